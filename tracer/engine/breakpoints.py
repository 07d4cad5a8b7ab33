"""Whether to hold at this moment, and why. Pure decisions; the loop does the holding.

A hold is wished for by a stage whose breakpoint is armed, by the step keys, or by an interrupt. At most one hold is
wished for at a time: whatever else the same event would have caused is recorded all the same.
"""

from dataclasses import dataclass

from tracer.events import StageEntered, StopReason


@dataclass(frozen=True, slots=True)
class Wish:
    """Hold here."""

    tid: int
    reason: StopReason
    stage: str | None = None


class Breakpoints:
    """What is armed, and what has been wished for since the last hold."""

    def __init__(self) -> None:
        self.enabled = False
        """False while the background programs start, and while everything ends: then nothing holds."""
        self.step_event = False
        """Hold at the next recorded event, whichever task it is of."""
        self.step_stage = False
        """Hold at the next stage, armed or not."""
        self.wish: Wish | None = None
        self._armed: set[str] = set()

    def arm(self, stage: str, armed: bool) -> None:
        """Hold at this stage from now on, or no longer."""
        if armed:
            self._armed.add(stage)
        else:
            self._armed.discard(stage)

    def stage_entered(self, entered: StageEntered) -> None:
        """A stage was recognised."""
        if self.enabled and self.wish is None and (self.step_stage or entered.stage in self._armed):
            self.wish = Wish(entered.tid, "stage", entered.stage)

    def event_recorded(self, tid: int) -> None:
        """A call or a process event was recorded."""
        if self.step_event and self.enabled and self.wish is None:
            self.wish = Wish(tid, "event")

    def interrupted(self, tid: int) -> None:
        """The user wants to hold now."""
        if self.enabled and self.wish is None:
            self.wish = Wish(tid, "interrupt")

    def take(self) -> Wish | None:
        """The wish, which is then fulfilled: steps are over, breakpoints stay."""
        wish, self.wish = self.wish, None
        if wish is not None:
            self.step_event = self.step_stage = False
        return wish

    def disable(self) -> None:
        """Never hold again."""
        self.enabled = self.step_event = self.step_stage = False
        self.wish = None
