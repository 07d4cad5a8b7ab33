"""A run that holds: its stack starts at full speed, and still no byte of its conversations is missed."""

import os
import select
import signal
from pathlib import Path

import pytest

from tests.stack_leftovers import NOTHING, left_of
from tracer import procfs
from tracer.cleanup import cleanup_stack
from tracer.commands import Launch
from tracer.events import MessageSeen, NoteMade
from tracer.leftovers import processes_of
from tracer.lessons import FIRST, load_lesson
from tracer.session.live import LiveSession
from tracer.stack import StackPlan, plan_stack

pytestmark = [pytest.mark.root, pytest.mark.slow]


@pytest.mark.parametrize("late", [False, True], ids=["in time", "engine as late as can be"])
def test_a_held_run_decodes_what_daemon_and_containerd_say(runtime_dir: Path, late: bool) -> None:
    """An engine that gets no processor for a while finds nothing that happened meanwhile and was not seen."""
    plan = plan_stack()
    session = start(plan)
    if late:
        engine = stop_engine(plan)
        wait_until_all_else_waits(plan)
        os.kill(engine, signal.SIGCONT)

    wait_for_first_hold(session)
    events = [event for _, event in session.recording.events()]
    session.quit()
    report = cleanup_stack(plan)

    topics = [event.topic for event in events if isinstance(event, NoteMade)]
    methods = [event.title for event in events if isinstance(event, MessageSeen) and event.protocol == "grpc"]
    assert topics.count("filtered") == topics.count("watching") == 1
    assert "Version/Version" in methods
    assert "Events/Subscribe" in methods
    assert report.problems == []
    assert left_of(plan) == NOTHING


def start(plan: StackPlan) -> LiveSession:
    lesson = load_lesson(FIRST)
    launch = Launch(
        background=plan.background(curtain=True),
        foreground=plan.foreground(["run", "--rm", "hostbox", "true"], "/"),
        stages=lesson.stages,
        lesson=lesson.id,
        seats=plan.seats,
        hold=True,
    )
    return LiveSession(f"{plan.registry}/recording.jsonl", launch)


def stop_engine(plan: StackPlan) -> int:
    """SIGSTOP for the engine as soon as both of its first programs run; its pid."""
    while True:
        words = {pid: " ".join(procfs.argv(pid)) for pid in processes_of(plan)}
        engines = [pid for pid, text in words.items() if "tracer.engine" in text]
        if engines and all(
            any(name in text for text in words.values()) for name in ("-m runtime.containerd", "-m runtime.daemon")
        ):
            os.kill(engines[0], signal.SIGSTOP)
            return engines[0]


def wait_until_all_else_waits(plan: StackPlan) -> None:
    """Nobody runs any more: each sleeps in a call, or is stopped and waits for the engine."""
    while any(procfs.state(pid) in ("R", "D") for pid in processes_of(plan)):
        select.select([], [], [], 0.01)


def wait_for_first_hold(session: LiveSession) -> None:
    while not session.held:
        assert not session.ended, session.failure
        select.select([session.doorbell_fd], [], [])
        while session.refresh():
            pass
