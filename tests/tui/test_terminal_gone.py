"""The terminal is closed, freezes, or a signal comes: the app ends, and with it everything that it started.

Each test is the real command on a real pty(7), whose other end is held here.
"""

import fcntl
import os
import select
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import termios
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tracer import procfs
from tracer.cleanup import cleanup_stack
from tracer.leftovers import cgroup_folders, links_of, processes_of
from tracer.stack import StackPlan, load

pytestmark = pytest.mark.slow

REPLAY = ("replay", "010")
LIVE = ("run", "-i", "-t", "hostbox", "sh")
EVERY_VERB = [pytest.param(REPLAY, id="replay"), pytest.param(LIVE, id="live", marks=pytest.mark.root)]
SCREEN_TAKEN = b"\x1b[?1049h"
"""The first thing that is written: the alternate screen of xterm."""
SCREEN_GIVEN_BACK = b"\x1b[?1049l\x1b[?25h"
SHOWN = b"Stage 1 of"
ENDED_WITHIN_SECONDS = 20
"""Generous: what is looked for here stays for ever."""
FROZEN_WITHIN_SECONDS = 60
"""Some 12 kB are drawn in that time, which is what a pty(7) holds."""


class Watched:
    """A command on a pty of its own, told by what it writes."""

    def __init__(self, words: tuple[str, ...], runtime_dir: Path, *, controlling: bool = True) -> None:
        """Start it; `controlling`: as the foreground of its terminal, which a SIGHUP reaches when that is closed."""
        self.master, slave = os.openpty()
        self.terminal = os.ttyname(slave)
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 45, 160, 0, 0))
        environment = {**os.environ, "XDG_RUNTIME_DIR": str(runtime_dir), "TERM": "xterm-256color"}
        command = [*(["setsid", "--ctty"] if controlling else []), sys.executable, "-m", "tracer", *words]
        self.process = subprocess.Popen(
            command, stdin=slave, stdout=slave, stderr=slave, env=environment, start_new_session=not controlling
        )
        os.close(slave)
        self.written = b""

    def read_until(self, wanted: bytes) -> None:
        """Read what it writes until that is among it."""
        while wanted not in self.written:
            assert select.select([self.master], [], [], ENDED_WITHIN_SECONDS)[0], f"{wanted!r} was never written"
            self.written += os.read(self.master, 65536)

    def press_until_a_write_waits(self, key: bytes) -> None:
        """Press a key again and again and read nothing: one at a time, for keys that come together are drawn once."""
        until = time.monotonic() + FROZEN_WITHIN_SECONDS
        slave = os.open(self.terminal, os.O_WRONLY | os.O_NOCTTY)
        try:
            while select.select([], [slave], [], 0)[1]:
                assert time.monotonic() < until, "what is drawn never fills the terminal"
                os.write(self.master, key)
                time.sleep(0.02)
        finally:
            os.close(slave)

    def hang_up(self) -> None:
        """Close the terminal."""
        os.close(self.master)
        self.master = -1

    def exit_code(self, *, reading: bool = True) -> int:
        """Wait for its end."""
        handle = os.pidfd_open(self.process.pid)
        try:
            while True:
                watched = [handle] + ([self.master] if reading and self.master >= 0 else [])
                ready = select.select(watched, [], [], ENDED_WITHIN_SECONDS)[0]
                assert ready, "it has not ended"
                if handle in ready:
                    return self.process.wait()
                try:
                    self.written += os.read(self.master, 65536)
                except OSError:  # EIO: it has let go of the terminal
                    reading = False
        finally:
            os.close(handle)


Starter = Callable[..., Watched]


@pytest.fixture
def start() -> Iterator[Starter]:
    """Start commands; afterwards none may have left anything, neither a file nor a process."""
    folder = Path(tempfile.mkdtemp(prefix="gb-", dir="/tmp"))
    started: list[Watched] = []

    def begin(words: tuple[str, ...], *, controlling: bool = True) -> Watched:
        started.append(Watched(words, folder, controlling=controlling))
        return started[-1]

    yield begin
    for one in started:
        one.process.kill()
        one.process.wait()
        if one.master >= 0:
            one.hang_up()
    left = [str(path) for path in folder.rglob("*")] + programs_of(folder)
    for registry in folder.glob("glassbottom/*/"):
        cleanup_stack(load(str(registry)))
    shutil.rmtree(folder)
    assert left == []


def programs_of(folder: Path) -> list[str]:
    """The programs that run with this folder as their XDG_RUNTIME_DIR."""
    found = []
    for pid in procfs.pids():
        try:
            environment = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
        except OSError:
            continue  # it ended while we looked
        if f"XDG_RUNTIME_DIR={folder}".encode() in environment:
            found.append(" ".join(procfs.argv(pid)))
    return found


def plan_of(one: Watched) -> StackPlan:
    """The stack that a live run has made."""
    folder = next(
        word.partition(b"=")[2].decode()
        for word in Path(f"/proc/{one.process.pid}/environ").read_bytes().split(b"\0")
        if word.startswith(b"XDG_RUNTIME_DIR=")
    )
    (registry,) = Path(folder, "glassbottom").iterdir()
    return load(str(registry))


@pytest.mark.parametrize("words", EVERY_VERB)
def test_closing_the_terminal_ends_the_app(start: Starter, words: tuple[str, ...]) -> None:
    """The window is closed while the story is held: SIGHUP, and no terminal to write to."""
    app = start(words)
    app.read_until(SHOWN)

    app.hang_up()

    assert app.exit_code() == 128 + signal.SIGHUP


@pytest.mark.parametrize("words", EVERY_VERB)
def test_closing_the_terminal_is_noticed_without_a_signal(start: Starter, words: tuple[str, ...]) -> None:
    """A program that is not the terminal's foreground is sent nothing; nothing is written while a story is held."""
    app = start(words, controlling=False)
    app.read_until(SHOWN)

    app.hang_up()

    assert app.exit_code() == 128 + signal.SIGHUP


@pytest.mark.parametrize("words", EVERY_VERB)
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_signal_while_held_ends_the_app_and_gives_the_terminal_back(
    start: Starter, words: tuple[str, ...], number: signal.Signals
) -> None:
    """The exit code says which signal it was, and the terminal is as it was before."""
    app = start(words)
    before = termios.tcgetattr(app.master)
    app.read_until(SHOWN)

    app.process.send_signal(number)

    assert app.exit_code() == 128 + number
    assert SCREEN_GIVEN_BACK in app.written
    assert termios.tcgetattr(app.master) == before


@pytest.mark.parametrize("words", EVERY_VERB)
def test_signal_ends_the_app_on_a_terminal_that_nobody_reads(start: Starter, words: tuple[str, ...]) -> None:
    """A frozen terminal: what is to be drawn for each key fills it, until a write waits."""
    app = start(words)
    app.read_until(SHOWN)
    app.press_until_a_write_waits(b"z")

    app.process.terminate()

    assert app.exit_code(reading=False) == 128 + signal.SIGTERM


@pytest.mark.parametrize("words", EVERY_VERB)
def test_signal_while_the_screen_is_set_up_ends_the_app(start: Starter, words: tuple[str, ...]) -> None:
    """The terminal has just been taken over and nothing is drawn yet."""
    app = start(words)
    app.read_until(SCREEN_TAKEN)

    app.process.terminate()

    assert app.exit_code() == 128 + signal.SIGTERM


@pytest.mark.parametrize("words", EVERY_VERB)
def test_terminal_closed_while_the_screen_is_set_up_ends_the_app(start: Starter, words: tuple[str, ...]) -> None:
    """Likewise, with nobody to draw for."""
    app = start(words)
    app.read_until(SCREEN_TAKEN)

    app.hang_up()

    assert app.exit_code() == 128 + signal.SIGHUP


@pytest.mark.root
def test_signals_while_the_stack_is_taken_down_leave_nothing(start: Starter) -> None:
    """A shell sends SIGHUP after the kernel has, and a user presses Ctrl-C again: neither cuts the cleaning short."""
    app = start(LIVE)
    app.read_until(SHOWN)
    plan = plan_of(app)

    for number in (signal.SIGHUP, signal.SIGTERM, signal.SIGINT, signal.SIGTERM):
        app.process.send_signal(number)

    assert app.exit_code() in {128 + signal.SIGHUP, 128 + signal.SIGINT, 128 + signal.SIGTERM}
    mounts = [mount.point for mount in procfs.mounts() if mount.point.startswith(plan.root)]
    assert [*processes_of(plan), *mounts, *cgroup_folders(plan), *links_of(plan)] == []


@pytest.mark.parametrize("words", EVERY_VERB)
def test_app_draws_itself_again_after_it_was_stopped(start: Starter, words: tuple[str, ...]) -> None:
    """SIGSTOP, another program's output, SIGCONT: the screen is taken over again, and keys are answered as before."""
    app = start(words)
    app.read_until(SHOWN)
    app.process.send_signal(signal.SIGSTOP)
    os.waitid(os.P_PID, app.process.pid, os.WSTOPPED)
    app.written = b""

    app.process.send_signal(signal.SIGCONT)
    app.read_until(SCREEN_TAKEN)
    app.read_until(SHOWN)
    os.write(app.master, b"q")

    assert app.exit_code() == 0
