"""A live session over the real engine and a small program: held, stepped, typed to, and brought to its end."""

import os
import select
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tracer.commands import Launch, Program
from tracer.events import ProcessExecuted, RecordingEnded
from tracer.session.live import RETURNED, LiveSession
from tracer.session.session import SessionError

STAGES = (
    {
        "id": "shell-starts", "layer": "client", "title": "The shell starts", "about": "It is a shell.",
        "source": "runtime/client/run.py:run", "on": {"process": "executed", "fields": {}},
    },
)  # fmt: skip


def launch(*argv: str, hold: bool = False) -> Launch:
    environment = ("PATH=/usr/bin:/bin", "PS1=prompt> ")
    return Launch((), Program(argv, environment, "/"), STAGES if hold else (), "", {}, hold)


@pytest.fixture(name="client")
def _client(tmp_path: Path) -> str:
    """Echo under a name that the seat of the client is recognised by."""
    (tmp_path / "docker").symlink_to("/bin/echo")
    return str(tmp_path / "docker")


@pytest.fixture(name="start")
def _start(tmp_path: Path) -> Iterator[Callable[[Launch], LiveSession]]:
    started: list[LiveSession] = []

    def start(what: Launch) -> LiveSession:
        started.append(LiveSession(str(tmp_path / f"{len(started)}.jsonl"), what, terminal_size=(24, 80)))
        return started[-1]

    yield start
    for session in started:
        session.quit()


def wait_until(session: LiveSession, done: Callable[[], bool]) -> str:
    """Answer the doorbell and read the terminal until something is so; what the terminal said meanwhile."""
    said = ""
    while session.refresh():
        pass
    while not done():
        assert not session.ended, f"over: {session.failure or len(session.recording)}, {said!r}"
        ready, _, _ = select.select([session.doorbell_fd, session.terminal_fd], [], [], 20)
        assert ready, f"nothing came for 20 s; {len(session.recording)} events, held={session.held}, {said!r}"
        if session.terminal_fd in ready:
            try:
                said += os.read(session.terminal_fd, 4096).decode()
            except OSError:  # EIO: the terminal is nobody's any more
                select.select([session.doorbell_fd], [], [], 20)
        while session.refresh():
            pass
    while session.ended and select.select([session.terminal_fd], [], [], 0)[0]:  # what came last
        try:
            said += os.read(session.terminal_fd, 4096).decode()
        except OSError:
            break
    return said


@pytest.mark.slow
def test_live_runs_through_to_the_end(start: Callable[[Launch], LiveSession]) -> None:
    """Without holding, the program runs, its output comes out of the terminal, and the recording is complete."""
    session = start(launch("/bin/echo", "hello"))

    said = wait_until(session, lambda: session.ended)

    assert "hello" in said
    assert session.recording.complete
    assert session.failure == ""
    assert session.cursor.at_end


@pytest.mark.slow
def test_live_is_held_at_a_stage_until_it_is_told_to_go_on(start: Callable[[Launch], LiveSession], client: str) -> None:
    """At a stage everything is held and nothing is printed; one step lets it run to its end."""
    session = start(launch(client, "hello", hold=True))
    said_before = wait_until(session, lambda: session.held)

    answer = session.step_stage()
    again = session.step_stage()
    said_after = wait_until(session, lambda: session.ended)

    assert "hello" not in said_before
    assert answer == ""
    assert again == "running already"
    assert "hello" in said_after


@pytest.mark.slow
@pytest.mark.parametrize(("key", "holds"), [("step_stage", 2), ("resume", 1)])
def test_live_step_holds_at_the_next_stage_and_resume_at_none(
    start: Callable[[Launch], LiveSession], client: str, key: str, holds: int
) -> None:
    """Two stages: the step is held at the second, resuming runs through to the end."""
    ends = {**STAGES[0], "id": "shell-ends", "on": {"process": "exited", "fields": {}}}
    session = start(replace(launch(client, "hello", hold=True), stages=(*STAGES, ends)))
    wait_until(session, lambda: session.held)

    getattr(session, key)()
    wait_until(session, lambda: session.ended or len(session.recording.stops) == 2)
    session.step_stage()
    wait_until(session, lambda: session.ended)

    assert len(session.recording.stages) == 2
    assert len(session.recording.stops) == holds


@pytest.mark.slow
def test_live_shows_stages_that_come_together_one_after_another(
    start: Callable[[Launch], LiveSession], tmp_path: Path
) -> None:
    """What is told behind another stage is entered with it: a step shows it, and only the next lets the run go on."""
    (tmp_path / "docker").symlink_to("/bin/sh")
    ends = {**STAGES[0], "id": "shell-ends", "on": {"process": "exited"}, "after": ["shell-starts"]}
    asks = {**ends, "id": "shell-asks", "on": {"call": "getppid"}, "behind": ["shell-ends"]}
    what = launch(str(tmp_path / "docker"), "-c", ":", hold=True)
    session = start(replace(what, stages=(*STAGES, ends, asks)))
    wait_until(session, lambda: session.held)
    session.step_stage()
    wait_until(session, lambda: session.held and len(session.recording.stages) == 3)

    shown = [(session.cursor.stages_seen(), session.in_turn, session.held)]
    answers = [session.step_stage()]
    shown.append((session.cursor.stages_seen(), session.in_turn, session.held))
    answers.append(session.step_stage())
    wait_until(session, lambda: session.ended)

    assert shown == [(2, True, True), (3, False, True)]
    assert answers == ["", ""]


@pytest.mark.slow
def test_live_step_in_the_past_first_returns_to_the_present(
    start: Callable[[Launch], LiveSession], client: str
) -> None:
    """Looking back moves nothing that runs, and the next step only returns, saying so."""
    session = start(launch(client, "hello", hold=True))
    wait_until(session, lambda: session.held)
    session.back()

    answer = session.step_stage()

    assert answer == RETURNED
    assert session.held
    assert session.cursor.at_end


@pytest.mark.slow
def test_live_types_to_the_program(start: Callable[[Launch], LiveSession]) -> None:
    """What is written to the terminal reaches the program as its keyboard's."""
    session = start(launch("/bin/sh", "-i"))
    wait_until(session, lambda: len(session.recording) > 50)

    os.write(session.terminal_fd, b"echo $((6*7)); exit 3\n")
    said = wait_until(session, lambda: session.ended)

    ended = session.recording.event(len(session.recording) - 1)
    assert "42" in said
    assert isinstance(ended, RecordingEnded)
    assert ended.exit_code == 3


@pytest.mark.slow
def test_live_quit_leaves_no_process(start: Callable[[Launch], LiveSession]) -> None:
    """Quitting in the middle ends the engine and everything it traced, and completes the recording."""
    session = start(launch("/bin/sleep", "1000"))
    wait_until(session, lambda: any(isinstance(e, ProcessExecuted) for _, e in session.recording.events()))
    pid = next(e.tid for _, e in session.recording.events() if isinstance(e, ProcessExecuted))

    session.quit()

    assert session.ended
    assert not Path(f"/proc/{pid}").exists()
    while session.recording.refresh():
        pass
    assert session.recording.complete


@pytest.mark.slow
def test_live_stack_that_does_not_come_up_says_why(start: Callable[[Launch], LiveSession], tmp_path: Path) -> None:
    """A daemon that ends before it listens: how it ended, and the last thing that it said."""
    shell = ("/bin/sh", "-c", "echo starting; echo no memory left; exit 4")
    daemon = Program(shell, ("PATH=/usr/bin:/bin",), "/", f"{tmp_path}/docker.sock", "daemon")
    session = start(replace(launch("/bin/true", hold=True), background=(daemon,)))

    wait_until(session, lambda: session.ended)

    assert session.failure == "daemon ended with exit code 4 before it was ready\n  daemon: no memory left"


@pytest.mark.slow
def test_live_quit_is_no_failure(start: Callable[[Launch], LiveSession], client: str) -> None:
    """Whoever leaves in the middle need not be told why it ended."""
    session = start(launch(client, "hello", hold=True))
    wait_until(session, lambda: session.held)

    session.quit()
    while session.recording.refresh():
        pass

    assert session.recording.complete
    assert session.failure == ""


@pytest.mark.slow
def test_live_engine_that_cannot_start_says_why(tmp_path: Path) -> None:
    """A recording that cannot be written is the engine's complaint, passed on as a sentence."""
    session = LiveSession(str(tmp_path / "no" / "such" / "folder.jsonl"), launch("/bin/true"), terminal_size=(24, 80))

    with pytest.raises(SessionError, match=r"folder\.jsonl|[Nn]o such file"):
        _ = session.recording

    session.quit()


def test_live_session_needs_no_slow_imports() -> None:
    """It is started before anything else is imported, so it must not bring the screen along."""
    assert "tracer.session.live" in sys.modules
