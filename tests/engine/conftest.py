"""The engine as a session drives it: a child process, a socketpair, and a recording that grows."""

import contextlib
import os
import select
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

import pytest

from tracer import codec
from tracer.commands import Command, Launch, Program, Quit, Speed
from tracer.events import (
    Event,
    ProcessExecuted,
    ProcessForked,
    RecordingEnded,
    RecordingHeader,
    SyscallEntered,
    SyscallExited,
)

TRACEES = Path(__file__).parent.parent / "tracees"
PATIENCE_S = 20.0
E = TypeVar("E", bound=Event)


class Recording:
    """A recording read whole."""

    def __init__(self, path: Path) -> None:
        lines = path.read_text(encoding="utf-8").split("\n")
        assert lines.pop() == "", "the last line is complete"
        self.header: RecordingHeader = codec.decode_header(lines[0])
        self.events: list[Event] = [codec.decode_event(line, number) for number, line in enumerate(lines[1:], 2)]

    def all(self, kind: type[E]) -> list[E]:
        """The events of one kind, in order."""
        return [event for event in self.events if isinstance(event, kind)]

    def name(self, number: int) -> str:
        """The call's name, by the recording's own table."""
        return self.header.syscalls[number].name

    def calls(self, *names: str) -> list[SyscallExited]:
        """The returned calls with one of these names, in order."""
        return [event for event in self.all(SyscallExited) if self.name(event.number) in names]

    def entries(self, *names: str) -> list[SyscallEntered]:
        """The reported entries of calls with one of these names, in order."""
        return [event for event in self.all(SyscallEntered) if self.name(event.number) in names]

    def end(self) -> RecordingEnded:
        """The last event, which must be the end."""
        last = self.events[-1]
        assert isinstance(last, RecordingEnded)
        return last

    def programs(self) -> list[str]:
        """The basenames of what was executed, in order."""
        return [os.path.basename(event.argv[0]) for event in self.all(ProcessExecuted)]

    def forked(self, how: str) -> list[ProcessForked]:
        """The births of one kind."""
        return [event for event in self.all(ProcessForked) if event.how == how]


class Session:
    """The other end of the control socket."""

    def __init__(self, folder: Path, launch: Launch, terminal: int = -1) -> None:
        ours, theirs = socket.socketpair()
        self.socket = ours
        self.path = folder / "session.jsonl"
        command = [sys.executable, "-m", "tracer.engine", "--recording", str(self.path)]
        command += ["--control", str(theirs.fileno())]
        fds = [theirs.fileno()]
        if terminal >= 0:
            command += ["--terminal", str(terminal)]
            fds.append(terminal)
        self.engine = subprocess.Popen(command, pass_fds=fds, stdin=subprocess.DEVNULL)
        theirs.close()
        self.send(launch)
        self._text = ""
        self.events: list[Event] = []
        self.header: RecordingHeader | None = None

    def send(self, command: Command) -> None:
        """Give the engine a command."""
        self.socket.sendall(codec.encode_command(command).encode())

    def read(self) -> None:
        """Decode whatever has been added to the recording."""
        if not self.path.exists():
            return
        text = self.path.read_text(encoding="utf-8")
        new = text[len(self._text) :]
        complete = new.rfind("\n") + 1
        self._text += new[:complete]
        for line in new[:complete].split("\n")[:-1]:
            if self.header is None:
                self.header = codec.decode_header(line)
            else:
                self.events.append(codec.decode_event(line))

    def wait_for(self, condition: Callable[[Event], bool], start: int = 0) -> int:
        """Follow the recording, woken by the doorbell, until an event satisfies; its sequence number."""
        deadline = time.monotonic() + PATIENCE_S
        while True:
            for place in range(start, len(self.events)):
                if condition(self.events[place]):
                    return place
            start = len(self.events)
            ready, _, _ = select.select([self.socket], [], [], max(deadline - time.monotonic(), 0))
            assert ready, f"nothing rang; the last events are {self.events[-5:]}"
            rung = self.socket.recv(4096)
            self.read()
            assert rung or start < len(self.events), f"the engine ended; the last events are {self.events[-5:]}"

    def wait_for_kind(self, kind: type[Event], start: int = 0) -> int:
        """The sequence number of the next event of a kind."""
        return self.wait_for(lambda event: isinstance(event, kind), start)

    def finish(self) -> int:
        """Wait until the engine closes the socket and exits; its exit code."""
        while self.socket.recv(4096):
            pass
        self.read()
        return self.engine.wait(PATIENCE_S)

    def close(self) -> None:
        """Whatever state it is in, end it."""
        with contextlib.suppress(OSError):
            self.send(Quit())
        self.socket.close()
        self.engine.wait(PATIENCE_S)


@pytest.fixture
def record(tmp_path: Path) -> Callable[..., Recording]:
    """Run a program under the engine without a session; its recording."""

    def run(
        *argv: str, exit_code: int = 0, environment: dict[str, str] | None = None, speed: str = "full"
    ) -> Recording:
        path = tmp_path / "recording.jsonl"
        finished = subprocess.run(
            [sys.executable, "-m", "tracer.engine", "--recording", str(path), "--speed", speed, "--", *argv],
            check=False,
            timeout=60,
            capture_output=True,
            text=True,
            env={**os.environ, **(environment or {})},
        )
        assert finished.stderr == ""
        assert finished.returncode == exit_code
        return Recording(path)

    return run


@pytest.fixture
def record_tracee(record: Callable[..., Recording]) -> Callable[..., Recording]:
    """Run a program from tests/tracees under the engine; its recording."""

    def run(name: str, *arguments: str, exit_code: int = 0) -> Recording:
        argv = [sys.executable, "-I", "-S", str(TRACEES / name), *arguments]
        return record(*argv, exit_code=exit_code)

    return run


@pytest.fixture
def session(tmp_path: Path) -> Iterator[Callable[..., Session]]:
    """Start an engine with a session at its socket; ended with the test."""
    open_sessions: list[Session] = []

    def start(
        argv: Sequence[str],
        *,
        hold: bool = False,
        background: Sequence[Program] = (),
        preparations: Sequence[Program] = (),
        terminal: int = -1,
        speed: Speed = "full",
    ) -> Session:
        launch = Launch(tuple(background), program(*argv), (), "", {}, hold, tuple(preparations), speed=speed)
        open_sessions.append(Session(tmp_path, launch, terminal))
        return open_sessions[-1]

    yield start
    for each in open_sessions:
        each.close()


def program(*argv: str, **fields: str) -> Program:
    """A program with the test's own environment."""
    environment = tuple(f"{name}={value}" for name, value in os.environ.items())
    return Program(tuple(argv), environment, os.getcwd(), **fields)
