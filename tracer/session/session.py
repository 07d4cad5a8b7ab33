"""What a session is, live or replayed: a recording, a cursor over it, and a way to ask for more of the story.

The screen, the report and the tests talk to this interface and cannot tell which kind they hold, except by
`is_live`. Moving requests answer with a sentence for people where something other than the obvious happened
("already at the first stage"), else with an empty one.
"""

from bisect import bisect_left, bisect_right
from typing import Protocol

from tracer.session.recording import Recording

_HAPPENINGS = (b'["exit"', b'["enter', b'["forke', b'["execu', b'["exite', b'["signa')
"""First bytes of the lines a step by call stops at; what lies between was derived from them and goes along."""


class SessionError(Exception):
    """A session cannot start or go on. The message is a lowercase sentence."""


class Cursor:
    """The last event on show. It follows the end of a growing recording until it is moved back."""

    def __init__(self, recording: Recording, *, follow: bool) -> None:
        self._recording = recording
        self._position = -1
        self.follow = follow

    @property
    def position(self) -> int:
        """Sequence number of the last event on show, -1 for none."""
        return len(self._recording) - 1 if self.follow else self._position

    @property
    def at_end(self) -> bool:
        return self.position >= len(self._recording) - 1

    def move_to(self, position: int) -> None:
        """Show the story up to and including this event."""
        self.follow = False
        self._position = max(-1, min(position, len(self._recording) - 1))

    def move_to_stage(self, index: int) -> None:
        """Show the story up to the moment a stage was held at: its event, and the stop right after it."""
        sequence = self._recording.stages[index]
        after = sequence + 1
        if after < len(self._recording) and self._recording.line(after).startswith(b'["stop"'):
            sequence = after
        self.move_to(sequence)

    def to_end(self, *, follow: bool) -> None:
        self.move_to(len(self._recording) - 1)
        self.follow = follow

    def stages_seen(self) -> int:
        """How many stages have been entered at the cursor."""
        return bisect_right(self._recording.stages, max(self.position, 0)) if self.position >= 0 else 0

    def next_stage(self) -> bool:
        """Move to the next stage after the cursor; False where there is none."""
        index = bisect_right(self._recording.stages, self.position) if self.position >= 0 else 0
        if index >= len(self._recording.stages):
            return False
        self.move_to_stage(index)
        return True

    def previous_stage(self) -> bool:
        """Move to the stage before the one the cursor is at; False where there is none."""
        index = bisect_left(self._recording.stages, self.position) - 1
        here = self._recording.stages[index] if index >= 0 else -1
        if here == self.position - 1:  # the cursor stands on the stop that follows its stage
            index -= 1
        if index < 0:
            return False
        self.move_to_stage(index)
        return True

    def next_happening(self) -> bool:
        """Move by one call, process event or signal, taking what was derived from it along."""
        position = self.position + 1
        end = len(self._recording)
        while position < end and not self._recording.line(position).startswith(_HAPPENINGS):
            position += 1
        while position + 1 < end and not self._recording.line(position + 1).startswith(_HAPPENINGS):
            position += 1
        if position >= end:
            return False
        self.move_to(position)
        return True

    def previous_happening(self) -> bool:
        """Move back by one call, process event or signal."""
        position = self.position
        while position >= 0 and not self._recording.line(position).startswith(_HAPPENINGS):
            position -= 1
        if position < 0:
            return False
        self.move_to(position - 1)
        return True


class Session(Protocol):
    """A story, live or replayed."""

    @property
    def recording(self) -> Recording: ...
    @property
    def cursor(self) -> Cursor: ...
    @property
    def is_live(self) -> bool: ...
    @property
    def terminal_fd(self) -> int:
        """The master side of the container's terminal, -1 where there is none."""

    @property
    def doorbell_fd(self) -> int:
        """Readable when the recording grew or the engine ended, -1 where it never will."""

    @property
    def held(self) -> bool:
        """Everything traced is held at the end of the recording (never so in replay)."""

    @property
    def in_turn(self) -> bool:
        """Held, and stages that were entered at one moment are being shown one after another (never so in replay)."""

    @property
    def ended(self) -> bool:
        """Nothing will be added to the recording any more."""

    @property
    def failure(self) -> str:
        """Why a live session ended before its story did; empty where it did not."""

    def refresh(self) -> int:
        """Take in what was recorded since; how many events came."""

    def step_stage(self) -> str: ...
    def step_event(self) -> str: ...
    def resume(self) -> str: ...
    def interrupt(self) -> str: ...
    def back(self) -> str: ...
    def forward(self) -> str: ...
    def back_event(self) -> str: ...
    def forward_event(self) -> str: ...
    def first(self) -> str: ...
    def last(self) -> str: ...
    def quit(self) -> None:
        """End the story and wait until nothing of it is left."""
