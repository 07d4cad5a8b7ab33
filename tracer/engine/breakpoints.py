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
        self.watchful = False
        """Whether anything could cause a hold now; while it cannot, tracees need not wait for our thoughts."""
        self.step_event = False
        """Hold at the next recorded event, whichever task it is of."""
        self.wish: Wish | None = None
        self._enabled = False
        self._step_stage = False
        self._armed: set[str] = set()
        self._passed: set[str] = set()
        """Stages at which not even a step holds, unless they are armed by name."""

    def enable(self) -> None:
        """The story begins: until now, while the background programs started, nothing could hold."""
        self._enabled = True
        self._update()

    def disable(self) -> None:
        """Everything ends: never hold again."""
        self._enabled = False
        self.wish = None
        self._update()

    def arm(self, stage: str, armed: bool) -> None:
        """Hold at this stage from now on, or no longer."""
        if armed:
            self._armed.add(stage)
        else:
            self._armed.discard(stage)
        self._update()

    def pass_by(self, stage: str) -> None:
        """Do not hold at this stage: its lesson says `hold = false`."""
        self._passed.add(stage)

    def next_event(self) -> None:
        """Hold at the next recorded event."""
        self.step_event = True
        self._update()

    def next_stage(self) -> None:
        """Hold at the next stage, armed or not, that is not one to pass by."""
        self._step_stage = True
        self._update()

    def stage_entered(self, entered: StageEntered) -> None:
        """A stage was recognised."""
        stepped = self._step_stage and entered.stage not in self._passed
        if self.watchful and self.wish is None and (stepped or entered.stage in self._armed):
            self.wish = Wish(entered.tid, "stage", entered.stage)

    def event_recorded(self, tid: int) -> None:
        """A call or a process event was recorded."""
        if self.step_event and self.watchful and self.wish is None:
            self.wish = Wish(tid, "event")

    def interrupted(self, tid: int) -> None:
        """The user wants to hold now."""
        if self._enabled and self.wish is None:
            self.wish = Wish(tid, "interrupt")

    def take(self) -> Wish | None:
        """The wish, which is then fulfilled: steps are over, breakpoints stay."""
        wish, self.wish = self.wish, None
        if wish is not None:
            self.step_event = self._step_stage = False
            self._update()
        return wish

    def _update(self) -> None:
        self.watchful = self._enabled and (self.step_event or self._step_stage or bool(self._armed))
