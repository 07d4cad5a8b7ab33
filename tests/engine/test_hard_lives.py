"""Tracees that crash, are killed while held, change who they are, or hand out memory that bites."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import ptrace
import pytest

from tests.engine.conftest import TRACEES, Recording, Session
from tracer.commands import Interrupt, Resume
from tracer.events import HoldReleased, NoteMade, ProcessExecuted, ProcessExited, SignalDelivered, StopReached

Record = Callable[..., Recording]
NOBODY = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")


def test_a_crash_is_recorded_as_the_signal_that_it_is(record_tracee: Record) -> None:
    """The signal, who was hit, and the exit code that a shell would give."""
    recording = record_tracee("crashes.py", exit_code=128 + signal.SIGSEGV)

    launched = recording.forked("launched")[0]
    (child,) = (*recording.forked("fork"), *recording.forked("clone"))
    deaths = [(event.tid, event.signal) for event in recording.all(ProcessExited)]
    hits = [event.tid for event in recording.all(SignalDelivered) if event.signal == signal.SIGSEGV]
    assert hits == [child.tid, launched.tid]
    assert deaths == [(child.tid, signal.SIGSEGV), (launched.tid, signal.SIGSEGV)]
    assert recording.end().exit_code == 128 + signal.SIGSEGV


def test_who_is_killed_during_a_hold_is_gone_after_it(session: Callable[..., Session]) -> None:
    """SIGKILL cannot be held; the recording says so as soon as it goes on, and the engine ends with it."""
    spinner = session([sys.executable, "-I", "-S", str(TRACEES / "spinner.py")])
    place = spinner.wait_for(lambda event: isinstance(event, ProcessExecuted))
    executed = spinner.events[place]
    assert isinstance(executed, ProcessExecuted)
    spinner.send(Interrupt())
    stop = spinner.wait_for(lambda event: isinstance(event, StopReached))

    os.kill(executed.tid, signal.SIGKILL)
    deadline = time.monotonic() + 10
    while os.path.exists(f"/proc/{executed.tid}"):
        assert time.monotonic() < deadline
    spinner.send(Resume())

    gone = spinner.wait_for(lambda event: isinstance(event, ProcessExited), stop)
    assert isinstance(spinner.events[stop + 1], HoldReleased)
    assert spinner.events[gone].signal == signal.SIGKILL  # type: ignore[union-attr]
    assert spinner.finish() == 128 + signal.SIGKILL


@pytest.mark.root
def test_memory_that_waits_for_its_owner_is_not_waited_for(record_tracee: Record) -> None:
    """A page of userfaultfd: said to be unreadable, by a call that failed and by an execve that then succeeds."""
    recording = record_tracee("userfault.py")

    (write,) = (event for event in recording.calls("write") if event.result == -9)
    execve = recording.calls("execve")[-1]
    assert write.data["1"] is None
    assert (execve.data["0"], execve.result) == (None, 0)
    assert recording.programs()[-1] == "true"


@pytest.mark.root
@pytest.mark.parametrize("speed", ["full", "filtered"])
def test_a_setuid_program_is_privileged_under_roots_engine(
    record: Record, setuid_id: str, require: Callable[..., None], speed: str
) -> None:
    """As without a tracer; and it is recorded before and after it changes who it is."""
    require("setpriv")

    recording = record(*NOBODY, setuid_id, "-u", speed=speed)

    told = [event.data["1"] for event in recording.calls("write")]
    assert told == [b"0\n"]
    assert recording.programs() == ["setpriv", "id"]
    assert recording.all(ProcessExecuted)[-1].argv == (setuid_id, "-u")
    assert all(None not in event.data.values() for event in recording.calls("openat", "write"))


@pytest.mark.root
@pytest.mark.parametrize("speed", ["full", "filtered"])
def test_a_setuid_program_gains_nothing_under_an_ordinary_users_engine(
    users_engine: Callable[..., Recording], setuid_id: str, speed: str
) -> None:
    """The kernel does not honour the bit under an unprivileged tracer; the program runs as who it was, recorded."""
    recording = users_engine(setuid_id, "-u", speed=speed)

    assert [event.data["1"] for event in recording.calls("write")] == [b"65534\n"]
    assert recording.end().exit_code == 0


@pytest.mark.root
def test_a_program_that_may_be_executed_but_not_read_is_recorded(
    users_engine: Callable[..., Recording], setuid_id: str
) -> None:
    """Its memory is nobody's to read: what it points to is said to be unreadable, and all its calls are there."""
    os.chmod(setuid_id, 0o711)

    recording = users_engine(setuid_id, "-u")

    (write,) = recording.calls("write")
    assert (write.data["1"], write.result) == (None, len("65534\n"))
    assert recording.end().exit_code == 0
    assert not [note for note in recording.all(NoteMade) if note.topic == "unknown-stop"]


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that everybody may enter, unlike pytest's."""
    folder = Path(tempfile.mkdtemp(prefix="gb-engine-"))
    folder.chmod(0o777)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def setuid_id(open_folder: Path) -> str:
    """A copy of id(1) that is root's and set-user-ID."""
    path = open_folder / "id"
    shutil.copy(shutil.which("id") or "", path)
    path.chmod(0o4755)
    return str(path)


@pytest.fixture
def users_engine(open_folder: Path, require: Callable[..., None]) -> Callable[..., Recording]:
    """Record as nobody, by an interpreter that nobody may run."""
    require("setpriv")
    repository = Path(__file__).parents[2]
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": f"{repository}:{Path(ptrace.__path__[0]).parent}"}

    def can_run(python: str) -> bool:
        command = [*NOBODY, python, "-c", "import tracer.engine.__main__, ptrace"]
        return subprocess.run(command, env=environment, capture_output=True, check=False).returncode == 0

    python = next(filter(can_run, (sys.executable, "/usr/bin/python3")), None)
    if python is None:
        pytest.skip("no Python that an ordinary user may run")

    def run(*argv: str, speed: str = "full") -> Recording:
        path = open_folder / "recording.jsonl"
        command = [*NOBODY, python, "-m", "tracer.engine", "--recording", str(path), "--speed", speed, "--", *argv]
        finished = subprocess.run(
            command, env=environment, cwd=open_folder, capture_output=True, text=True, check=False
        )
        assert (finished.returncode, finished.stderr) == (0, "")
        return Recording(path)

    return run
