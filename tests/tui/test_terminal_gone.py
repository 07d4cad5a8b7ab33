"""The terminal is closed, freezes, or a signal comes: the app ends, and with it everything that it started."""

import os
import signal
import termios
from pathlib import Path

import pytest

from tests.tui.watched import Starter, Watched
from tracer import procfs
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
