"""A replayed session: requests move the cursor, by stage and by call."""

from pathlib import Path

import pytest

from tests.tui.story import docker_run
from tracer.events import StopReached
from tracer.session.replay import NO_MORE, NONE, ReplaySession


@pytest.fixture(name="session")
def _session(tmp_path: Path) -> ReplaySession:
    session = ReplaySession(str(docker_run().write(tmp_path / "story.jsonl")))
    while session.refresh():
        pass
    return session


def test_replay_opens_at_the_first_stage(session: ReplaySession) -> None:
    """As a live session would be held there: the stop is shown, nothing after it."""
    event = session.recording.event(session.cursor.position)

    assert session.cursor.stages_seen() == 1
    assert isinstance(event, StopReached)


def test_replay_steps_through_every_stage_and_back(session: ReplaySession) -> None:
    """Forward to the last stage, back to the first, and each stage is come to once each way."""
    there = [session.cursor.position]
    while session.step_stage() == "":
        there.append(session.cursor.position)
    back = [session.cursor.position]
    while session.back() == "":
        back.append(session.cursor.position)

    assert len(there) == len(session.recording.stages)
    assert back == there[::-1]


def test_replay_says_that_there_are_no_more_stages(session: ReplaySession) -> None:
    """At the end of the stages the request answers with a sentence and moves nothing."""
    session.last()
    position = session.cursor.position

    assert session.step_stage() == NO_MORE
    assert session.cursor.position == position


def test_replay_steps_by_call_and_takes_what_was_made_of_it_along(session: ReplaySession) -> None:
    """A step by call ends where the next call begins: messages and stages belong to the call before them."""
    position = session.cursor.position
    session.step_event()

    later = session.recording.lines(position + 1, session.cursor.position + 2)

    happenings = [line for line in later if line[:6] in (b'["exit', b'["exec', b'["fork')]
    assert len(happenings) == 2  # the one that was stepped over, and the next, just behind the cursor
    assert later[-1] in happenings


def test_replay_call_steps_there_and_back_meet(session: ReplaySession) -> None:
    """As many steps back as forward lead to where it began."""
    session.step_event()
    begin = session.cursor.position

    for _ in range(20):
        session.step_event()
    for _ in range(20):
        session.back_event()

    assert session.cursor.position == begin


def test_replay_of_a_recording_without_stages_opens_at_its_beginning(tmp_path: Path) -> None:
    """Nothing to stop at is not an error."""
    story = docker_run()
    story.lines = [line for line in story.lines if not line.startswith(('["stage', '["stop', '["released'))]
    session = ReplaySession(str(story.write(tmp_path / "plain.jsonl")))
    while session.refresh():
        pass

    assert session.cursor.position == 0
    assert session.step_stage() == NONE
