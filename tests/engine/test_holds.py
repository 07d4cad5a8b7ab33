"""While held, nobody is resumed; every command does what `tracer/commands.py` says."""

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.engine.conftest import TRACEES, Session, program
from tracer.commands import ArmBreakpoint, Interrupt, Launch, Program, Quit, Resume, Speed, StepEvent, StepStage
from tracer.events import (
    ActionSeen,
    HoldReleased,
    MessageSeen,
    NoteMade,
    ProcessExecuted,
    ProcessExited,
    ProcessForked,
    RecordingEnded,
    StageEntered,
    StopReached,
    SyscallEntered,
    SyscallExited,
)

Start = Callable[..., Session]
PYTHON = (sys.executable, "-I", "-S")
STAGES = tuple(
    {
        "id": name,
        "layer": "client",
        "title": name,
        "about": name,
        "source": "tests/engine/test_holds.py:STAGES",
        "stop": stop,
        "on": {"call": call},
    }
    for name, call, stop in (("changes-folder", "chdir", "exit"), ("makes-folder", "mkdir", "entry"))
)


def state(pid: int) -> str:
    """The letter that /proc gives for a process's state."""
    with open(f"/proc/{pid}/stat") as file:
        return file.read().rpartition(")")[2].split()[0]


@pytest.fixture
def staged(tmp_path: Path) -> Iterator[Callable[..., Session]]:
    """A shell in the client's seat that changes its folder, makes another, and ends."""
    sessions: list[Session] = []

    def start(hold: bool, speed: Speed = "full") -> Session:
        client = tmp_path / "docker"
        client.symlink_to("/bin/sh")
        argv = (str(client), "-c", f"cd {tmp_path}; mkdir {tmp_path}/made")
        launch = Launch((), program(*argv), STAGES, "", {}, hold, speed=speed)
        sessions.append(Session(tmp_path, launch))
        return sessions[-1]

    yield start
    for session in sessions:
        session.close()


def test_a_blocked_call_is_recorded_when_all_is_quiet(session: Start, tmp_path: Path) -> None:
    """Nobody has to ask: silence itself shows who waits where."""
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    reader = session([*PYTHON, str(TRACEES / "blocked_reader.py"), str(fifo)])

    place = reader.wait_for(
        lambda event: isinstance(event, SyscallEntered) and event.data.get("1") == str(fifo).encode()
    )
    with open(fifo, "wb") as file:
        file.write(b"g")

    assert reader.finish() == 0
    assert isinstance(reader.events[place], SyscallEntered)
    assert isinstance(reader.events[-1], RecordingEnded)


def test_interrupt_holds_and_resume_releases(session: Start) -> None:
    """A process that computes is stopped, stays stopped, and runs again."""
    spinner = session([*PYTHON, str(TRACEES / "spinner.py")])
    pid = _launched(spinner)
    spinner.wait_for_kind(ProcessExecuted)

    spinner.send(Interrupt())
    stop = spinner.wait_for_kind(StopReached)
    _until(lambda: state(pid) == "t")
    spinner.send(Resume())
    spinner.wait_for_kind(HoldReleased, stop)
    _until(lambda: state(pid) == "R")

    assert spinner.events[stop].reason == "interrupt"  # type: ignore[union-attr]
    spinner.send(Quit())
    spinner.finish()
    end = spinner.events[-1]
    assert isinstance(end, RecordingEnded)
    assert (end.exit_code, end.reason) == (128 + signal.SIGKILL, "quit")


def test_nothing_is_recorded_during_a_hold(session: Start) -> None:
    """A signal that comes meanwhile is delivered and recorded after the release."""
    spinner = session([*PYTHON, str(TRACEES / "spinner.py")])
    pid = _launched(spinner)
    spinner.wait_for_kind(ProcessExecuted)
    spinner.send(Interrupt())
    stop = spinner.wait_for_kind(StopReached)

    _until(lambda: state(pid) == "t")
    os.kill(pid, signal.SIGTERM)
    spinner.send(Resume())
    gone = spinner.wait_for_kind(ProcessExited, stop)

    kinds = [type(event) for event in spinner.events[stop + 1 : gone]]
    assert kinds[0] is HoldReleased
    assert spinner.events[gone].signal == signal.SIGTERM  # type: ignore[union-attr]
    assert spinner.finish() == 128 + signal.SIGTERM


def test_step_event_goes_one_event_at_a_time(session: Start) -> None:
    """Each step records one call or process event, and holds again."""
    stepped = session(["/bin/true"])
    stepped.send(StepEvent())
    stop = stepped.wait_for_kind(StopReached)

    for _ in range(5):
        stepped.send(StepEvent())
        released = stepped.wait_for_kind(HoldReleased, stop)
        following = stepped.wait_for_kind(StopReached, released)
        between = [
            event
            for event in stepped.events[released + 1 : following]
            if not isinstance(event, ActionSeen | MessageSeen)
        ]
        assert len(between) == 1
        stop = following

    stepped.send(Resume())
    assert stepped.finish() == 0


@pytest.mark.parametrize("speed", ["full", "filtered"])
def test_stages_hold_before_and_after_their_calls(staged: Callable[..., Session], tmp_path: Path, speed: Speed) -> None:
    """A stage with stop = exit holds once the call has happened, one with stop = entry before."""
    story = staged(True, speed)

    stop = story.wait_for_kind(StopReached)
    assert story.events[stop].stage == "changes-folder"  # type: ignore[union-attr]
    story.send(StepStage())
    stop = story.wait_for_kind(StopReached, stop + 1)
    assert story.events[stop].stage == "makes-folder"  # type: ignore[union-attr]
    assert not (tmp_path / "made").exists()
    story.send(Resume())

    assert story.finish() == 0
    assert (tmp_path / "made").exists()
    entered = [event for event in story.events if isinstance(event, StageEntered)]
    assert [event.stage for event in entered] == ["changes-folder", "makes-folder"]
    assert all(event.evidence < story.events.index(event) for event in entered)


def test_without_hold_stages_are_recorded_and_run_through(staged: Callable[[bool], Session]) -> None:
    """`record` stops nowhere."""
    story = staged(False)

    assert story.finish() == 0
    assert [event.stage for event in story.events if isinstance(event, StageEntered)] == [
        "changes-folder",
        "makes-folder",
    ]
    assert not [event for event in story.events if isinstance(event, StopReached)]


def test_a_disarmed_breakpoint_does_not_hold(staged: Callable[[bool], Session]) -> None:
    """The other one still does."""
    story = staged(True)
    story.wait_for_kind(StopReached)
    story.send(ArmBreakpoint("makes-folder", armed=False))
    story.send(Resume())

    assert story.finish() == 0
    assert len([event for event in story.events if isinstance(event, StopReached)]) == 1


def test_background_programs_listen_before_the_story_begins(session: Start, tmp_path: Path) -> None:
    """Start-up is recorded; then a note, then the foreground; at the end SIGTERM, and their exit."""
    path = str(tmp_path / "background.sock")
    listener = program(*PYTHON, str(TRACEES / "listener.py"), path, listens_on=path, label="listener")
    run = session(["/bin/true"], background=[listener])

    assert run.finish() == 0

    notes = [event.topic for event in run.events if isinstance(event, NoteMade)]
    launched = [event for event in run.events if isinstance(event, ProcessForked) and event.how == "launched"]
    ready = next(e for e, event in enumerate(run.events) if isinstance(event, NoteMade) and event.topic == "ready")
    exits = {event.tid: event.exit_code for event in run.events if isinstance(event, ProcessExited)}
    assert notes == ["background-started", "listening", "ready", "background-gone"]
    assert run.events.index(launched[0]) < ready < run.events.index(launched[1])
    assert exits[launched[0].tid] == 0
    assert not os.path.exists(path)
    assert (tmp_path / "session.jsonl.listener.log").read_text() == "listening\n"


def curtained(folder: Path, *waiter: str, link: str = "seen.sock") -> list[Program]:
    """A program that listens, and one that is told a link to its socket, and comes to listen when it has found it."""
    paths = [str(folder / name) for name in ("first.sock", "last.sock")]
    argv = waiter or (str(TRACEES / "waiter.py"),)
    listener = program(*PYTHON, str(TRACEES / "listener.py"), paths[0], listens_on=paths[0], label="first")
    return [
        replace(listener, seen_at=str(folder / link)),
        program(*PYTHON, *argv, str(folder / link), paths[1], listens_on=paths[1], label="last"),
    ]


def test_the_background_of_a_story_that_will_hold_starts_unwatched(session: Start, tmp_path: Path) -> None:
    """No call is recorded, and said not to be, until one listens and the other waits; then every call of both."""
    run = session(["/bin/true"], background=curtained(tmp_path), hold=True)

    assert run.finish() == 0

    notes = [event for event in run.events if isinstance(event, NoteMade)]
    watching = next(place for place, event in enumerate(run.events) if event in notes and event.topic == "watching")
    before = [event for event in run.events[:watching] if isinstance(event, SyscallEntered | SyscallExited)]
    sent = [event.data for event in run.events[watching:] if isinstance(event, SyscallExited) and event.data]
    topics = [note.topic for note in notes]
    assert [note.text for note in notes if note.topic == "filtered"] == [
        "first, last: started at full speed; their processes are recorded, their calls not yet"
    ]
    assert before == [], "neither is watched before"
    assert {"1": b"the first byte"} in sent
    assert topics.index("watching") < topics.index("listening"), "nobody can be connected to before"
    assert [topics.count(topic) for topic in ("listening", "ready", "background-gone")] == [2, 1, 2]


@pytest.mark.slow
def test_who_never_waits_is_watched_all_the_same(session: Start, tmp_path: Path) -> None:
    """The other program computes until it finds the link: after a while the curtain is lifted in the middle of that."""
    run = session(["/bin/true"], background=curtained(tmp_path, str(TRACEES / "waiter.py"), "--busy"), hold=True)

    assert run.finish() == 0
    assert {"1": b"the first byte"} in [event.data for event in run.events if isinstance(event, SyscallExited)]


def test_who_listens_again_is_not_found_before_everybody_is_watched(session: Start, tmp_path: Path) -> None:
    """One task is watched before the other, and may listen(2) once more in between."""
    for name in ("one", "two", "three"):
        (tmp_path / name).mkdir()
        first, last = curtained(tmp_path / name)
        again = replace(first, argv=(*PYTHON, str(TRACEES / "listener.py"), first.listens_on, "--again"))
        run = session(["/bin/true"], background=[again, last], hold=True)

        assert run.finish() == 0
        topics = [event.topic for event in run.events if isinstance(event, NoteMade)]
        assert topics.index("watching") < topics.index("listening")


def test_quit_behind_the_curtain_ends_everything(session: Start, tmp_path: Path) -> None:
    """Nobody has listened yet, or will: it is not waited for."""
    first, last = curtained(tmp_path)
    run = session(["/bin/true"], background=[replace(first, argv=("/bin/sleep", "1000")), last], hold=True)
    run.wait_for(lambda event: isinstance(event, NoteMade) and event.topic == "background-started")
    run.send(Quit())

    run.finish()

    end = run.events[-1]
    assert isinstance(end, RecordingEnded)
    assert end.reason == "quit"
    assert not os.path.lexists(first.seen_at)


def test_a_pause_behind_the_curtain_holds_nobody(session: Start, tmp_path: Path) -> None:
    """Start-up is never held: it goes on, and the story comes."""
    run = session(["/bin/true"], background=curtained(tmp_path), hold=True)
    run.send(Interrupt())

    assert run.finish() == 0
    assert [event.topic for event in run.events if isinstance(event, NoteMade)].count("listening") == 2
    assert not any(isinstance(event, StopReached) for event in run.events)


def test_a_death_behind_the_curtain_ends_the_story(session: Start, tmp_path: Path) -> None:
    """Whoever was to listen is gone, and the other one would wait for ever."""
    first, last = curtained(tmp_path)
    run = session(["/bin/true"], background=[replace(first, argv=("/bin/false",)), last], hold=True)

    run.finish()

    end = run.events[-1]
    assert isinstance(end, RecordingEnded)
    assert end.reason == "first ended with exit code 1 before it was ready"


def test_a_link_that_cannot_be_made_ends_the_story(session: Start, tmp_path: Path) -> None:
    """Nobody waits for ever, and the reason says why."""
    run = session(["/bin/true"], background=curtained(tmp_path, link="no/such/folder"), hold=True)

    run.finish()

    end = run.events[-1]
    assert isinstance(end, RecordingEnded)
    assert end.reason == f"cannot make {tmp_path}/no/such/folder: no such file or directory"


def test_a_background_program_that_fails_ends_the_story(session: Start) -> None:
    """The foreground never starts, and the reason says why."""
    failing = program("/bin/false", listens_on="/nowhere", label="daemon")
    run = session(["/bin/true"], background=[failing])

    run.finish()

    end = run.events[-1]
    assert isinstance(end, RecordingEnded)
    assert end.exit_code is None
    assert end.reason == "daemon ended with exit code 1 before it was ready"


@pytest.mark.slow
@pytest.mark.parametrize("speed", ["full", "filtered"])
def test_what_the_foreground_leaves_behind_is_ended(session: Start, tmp_path: Path, speed: Speed) -> None:
    """A process that sleeps on after the foreground's exit counts as settled, and is gone at the end."""
    path = str(tmp_path / "background.sock")
    listener = program(*PYTHON, str(TRACEES / "listener.py"), path, listens_on=path, label="listener")
    run = session(["sh", "-c", "setsid sleep 1000 & exit 4"], background=[listener], speed=speed)

    assert run.finish() == 4

    sleeper = next(event for event in run.events if isinstance(event, ProcessExecuted) and "1000" in event.argv)
    gone = {event.tid: event.signal for event in run.events if isinstance(event, ProcessExited)}
    assert gone[sleeper.tid] == signal.SIGKILL
    end = run.events[-1]
    assert isinstance(end, RecordingEnded)
    assert end.reason == "the foreground program has ended and everything has settled"


def test_the_terminal_becomes_the_programs_own(session: Start) -> None:
    """It is the controlling terminal of a new session, whose output comes out at the other end."""
    master, slave = os.openpty()
    run = session(["sh", "-c", "tty; ps -o tty= -p $$"], terminal=slave)
    os.close(slave)

    assert run.finish() == 0
    shown = os.read(master, 4096).decode().split()
    os.close(master)
    assert shown[0].startswith("/dev/pts/")
    assert shown[1] == shown[0].removeprefix("/dev/")


@pytest.mark.parametrize("how", ["session", "engine", "quit", "terminated"])
def test_nothing_outlives_session_or_engine(session: Start, how: str, tmp_path: Path) -> None:
    """A dead TUI, a killed engine, Quit, SIGTERM: the traced programs are gone."""
    path = str(tmp_path / "background.sock")
    listener = program(*PYTHON, str(TRACEES / "listener.py"), path, listens_on=path, label="listener")
    run = session([*PYTHON, str(TRACEES / "spinner.py")], background=[listener], hold=True)
    run.wait_for(lambda event: isinstance(event, ProcessExecuted) and "spinner" in " ".join(event.argv))
    pids = [event.pid for event in run.events if isinstance(event, ProcessForked) and event.how == "launched"]
    if how == "session":
        run.socket.shutdown(2)
    elif how == "quit":
        run.send(Quit())
    else:
        run.engine.send_signal(signal.SIGKILL if how == "engine" else signal.SIGTERM)

    run.engine.wait(20)
    assert len(pids) == 2
    _until(lambda: not any(os.path.exists(f"/proc/{pid}") and state(pid) != "Z" for pid in pids))


def _launched(session: Session) -> int:
    place = session.wait_for_kind(ProcessForked)
    event = session.events[place]
    assert isinstance(event, ProcessForked)
    return event.pid


def _until(condition: Callable[[], bool]) -> None:
    """A process's state changes without telling us: look again, for a bounded time."""
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)
