"""Whether to hold: pure decisions, without a tracee."""

from tracer.engine.breakpoints import Breakpoints
from tracer.events import StageEntered


def entered(stage: str) -> StageEntered:
    return StageEntered(0, 7, 7, stage, 0)


def holds_at(breakpoints: Breakpoints, stage: str) -> bool:
    """Whether entering the stage makes a wish, which is then fulfilled."""
    breakpoints.stage_entered(entered(stage))
    return breakpoints.take() is not None


def test_a_step_holds_at_a_stage_that_is_not_armed() -> None:
    """The step key means the next stage, whichever it is."""
    breakpoints = Breakpoints()
    breakpoints.enable()
    breakpoints.next_stage()

    assert holds_at(breakpoints, "mounts-made")


def test_a_stage_to_pass_by_holds_nobody_not_even_a_step() -> None:
    """Who types at the container's prompt is not stopped by it; the step waits for the stage after."""
    breakpoints = Breakpoints()
    breakpoints.enable()
    breakpoints.arm("container-exits", True)
    breakpoints.pass_by("key-pressed")
    breakpoints.next_stage()

    assert not holds_at(breakpoints, "key-pressed")
    assert holds_at(breakpoints, "container-exits")


def test_a_stage_to_pass_by_holds_when_it_is_armed_by_name() -> None:
    """What the user asks for by name counts more than the lesson."""
    breakpoints = Breakpoints()
    breakpoints.enable()
    breakpoints.pass_by("key-pressed")
    breakpoints.arm("key-pressed", True)

    assert holds_at(breakpoints, "key-pressed")
