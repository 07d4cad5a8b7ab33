"""kill -9 at every stage of the first lesson: whoever is killed, and then the owner too, cleanup finds everything.

Each stage is one live run, held there; the victims take turns, so that every part dies at many different moments.
A run costs seconds: without GLASSBOTTOM_REQUIRE_ALL=1, which .ci/run sets, only every sixth stage has one.
"""

import os
import select
import signal
from itertools import count
from pathlib import Path

import pytest

from tests.stack_leftovers import NOTHING, left_of
from tracer import procfs
from tracer.cleanup import cleanup_stack
from tracer.commands import Launch
from tracer.leftovers import processes_of
from tracer.lessons import FIRST, load_lesson
from tracer.session.live import LiveSession
from tracer.stack import StackPlan, plan_stack

pytestmark = [pytest.mark.root, pytest.mark.slow]

EVERY_STAGE = [str(stage["id"]) for stage in load_lesson(FIRST).stages]
STAGES = EVERY_STAGE if os.environ.get("GLASSBOTTOM_REQUIRE_ALL") == "1" else EVERY_STAGE[::6]
VICTIMS = (
    "tracer.engine",
    "glassbottom-oci",
    "containerd-shim",
    "runtime.containerd",
    "runtime.daemon",
    "runtime.client",
)


@pytest.mark.parametrize(("number", "stage"), list(zip(count(), STAGES, strict=False)), ids=lambda value: str(value))
def test_kill_9_at_a_stage_leaves_nothing(runtime_dir: Path, number: int, stage: str) -> None:
    """Held at the stage, one part is killed; then everything that is left of the stack is found and removed."""
    plan = plan_stack()
    lesson = load_lesson(FIRST)
    launch = Launch(
        background=plan.background(),
        foreground=plan.foreground(["run", "-i", "-t", "--name", "alpine", "hostbox", "sh", "-c", "exit 3"], "/"),
        stages=lesson.stages,
        lesson=lesson.id,
        seats=plan.seats,
        hold=False,
    )
    session = LiveSession(f"{plan.registry}/recording.jsonl", launch, terminal_size=(24, 80))
    session.arm(stage, armed=True)
    wait_for_hold(session)
    held = session.held

    victim = kill_one(plan, number)
    report = cleanup_stack(plan)
    session.quit()

    assert held or session.ended, f"neither held nor over at {stage}"
    assert report.problems == [], f"after kill -9 of {victim} at {stage}"
    assert left_of(plan) == NOTHING, f"after kill -9 of {victim} at {stage}"


def wait_for_hold(session: LiveSession) -> None:
    """Until everything is held at the stage, or the run is over without having come to it."""
    while not session.held and not session.ended:
        readable = [fd for fd in (session.doorbell_fd, session.terminal_fd) if fd >= 0]
        for fd in select.select(readable, [], [])[0]:
            if fd == session.terminal_fd:
                try:
                    os.read(fd, 65536)
                except OSError:
                    session.terminal_fd = -1
        while session.refresh():
            pass


def kill_one(plan: StackPlan, number: int) -> str:
    """SIGKILL to the part whose turn it is, or to the next one that is there."""
    running = [(pid, " ".join(procfs.argv(pid))) for pid in processes_of(plan)]
    for offset in range(len(VICTIMS)):
        victim = VICTIMS[(number + offset) % len(VICTIMS)]
        for pid, words in running:
            if victim in words:
                os.kill(pid, signal.SIGKILL)
                return victim
    return "nobody"
