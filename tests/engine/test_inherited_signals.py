"""What nohup(1) or a background job passes down reaches the tracee, as it does under strace."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from tests.engine.conftest import program
from tracer import codec
from tracer.commands import Launch
from tracer.engine.spawn import Streams
from tracer.events import RecordingEnded

IGNORED = (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGUSR1)
SHOW = ["grep", "-E", "^Sig(Blk|Ign):", "/proc/self/status"]


def ignoring() -> None:
    """In the child, before execve."""
    for number in IGNORED:
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_SETMASK, (signal.SIGUSR2, signal.SIGIO, signal.SIGALRM))


def output(*command: str) -> str:
    done = subprocess.run(command, stdout=-1, text=True, preexec_fn=ignoring, check=True, timeout=60)
    return done.stdout


def test_ignored_and_blocked_signals_are_passed_on_as_by_strace(tmp_path: Path, require: Callable[..., None]) -> None:
    """Untraced, under strace, and under the engine: the same masks; and the engine hears its timer all the same."""
    require("strace")
    engine = [sys.executable, "-m", "tracer.engine", "--recording", f"{tmp_path}/r.jsonl", "--"]

    plain = output(*SHOW)
    traced = output("strace", "-f", "-o", f"{tmp_path}/log", *SHOW)
    recorded = output(*engine, *SHOW)

    assert plain == traced == recorded
    assert plain.count("\n") == 2


def by_itself() -> str:
    """What a program that we start shows: make(1) passes down that 32 and 33 are ignored; Python cannot change it."""
    return subprocess.run(SHOW, stdout=-1, text=True, check=True).stdout


def test_nothing_is_ignored_where_nothing_was(tmp_path: Path) -> None:
    """What the engine ignores or handles itself is no business of the program's."""
    engine = [sys.executable, "-m", "tracer.engine", "--recording", f"{tmp_path}/r.jsonl", "--"]
    done = subprocess.run([*engine, *SHOW], stdout=-1, text=True, check=True)

    assert done.stdout == by_itself()
    assert Streams().signals.ignored == frozenset()


def test_background_programs_ignore_nothing(tmp_path: Path) -> None:
    """A daemon of ours must be there to be ended."""
    ours, theirs = socket.socketpair()
    background = program(*SHOW, label="daemon")
    launch = Launch((background,), program("sleep", "0.3"), (), "", {}, hold=False)
    path = tmp_path / "r.jsonl"
    command = [sys.executable, "-m", "tracer.engine", "--recording", str(path), "--control", str(theirs.fileno())]
    with subprocess.Popen(command, pass_fds=(theirs.fileno(),), preexec_fn=ignoring) as engine:
        theirs.close()
        ours.sendall(codec.encode_command(launch).encode())
        while ours.recv(4096):
            pass
        assert engine.wait(60) == 0
    ours.close()

    assert Path(f"{path}.daemon.log").read_text() == by_itself()


def test_hangup_that_is_to_be_ignored_ends_nothing(tmp_path: Path) -> None:
    """`nohup`: the terminal is closed, everybody gets SIGHUP, and the recording goes on to its end."""
    path = tmp_path / "r.jsonl"
    engine = [sys.executable, "-m", "tracer.engine", "--recording", str(path), "--"]
    words = ["sh", "-c", "echo up; read line; exit 7"]
    command = [*engine, *words]
    with subprocess.Popen(command, stdin=-1, stdout=-1, preexec_fn=ignoring, start_new_session=True) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        assert process.stdout.readline() == b"up\n"
        os.killpg(process.pid, signal.SIGHUP)
        process.stdin.write(b"on\n")
        process.stdin.close()
        assert process.wait(60) == 7

    ended = codec.decode_event(path.read_text().splitlines()[-1])
    assert isinstance(ended, RecordingEnded)
    assert ended.reason == "everything that was traced has ended"
