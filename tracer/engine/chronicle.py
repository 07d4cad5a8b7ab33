"""Where an event goes once it is known: into the recording, to the decoders, to the stage matcher, to the breakpoints.

    event -> recording -> pipeline.feed -> MessageSeen, ActionSeen -> recording
                       -> matcher.feed (event and derived events) -> StageEntered -> recording, breakpoints

The order is the recording's promise: what was derived from an event stands after it, and cites its sequence number.
"""

import time
from collections.abc import Mapping, Sequence
from typing import Protocol

from tracer.engine.breakpoints import Breakpoints
from tracer.engine.recorder import Recorder
from tracer.events import Event, NoteMade, Scalar, StageEntered, SyscallExited


class Decoder(Protocol):
    """What `decode.pipeline.Pipeline` is to the engine."""

    @property
    def entry_numbers(self) -> frozenset[int]:
        """Calls whose entry must be recorded and fed."""

    @property
    def exit_numbers(self) -> frozenset[int]:
        """Calls whose return must be fed."""

    def feed(self, sequence: int, event: Event) -> Sequence[Event]:
        """The messages and actions that this event completes."""


class StageMatcher(Protocol):
    """What `stages.matcher.Matcher` is to the engine."""

    @property
    def entry_numbers(self) -> frozenset[int]:
        """Calls whose entry must be recorded and fed."""

    @property
    def exit_numbers(self) -> frozenset[int]:
        """Calls whose return must be fed."""

    def feed(self, sequence: int, event: Event) -> Sequence[StageEntered]:
        """The stages that begin with this event."""


class NoDecoder:
    """Nothing is decoded: a plain list of calls."""

    entry_numbers: frozenset[int] = frozenset()
    exit_numbers: frozenset[int] = frozenset()

    def feed(self, sequence: int, event: Event) -> Sequence[Event]:
        """Nothing follows from any event."""
        return ()


class NoStages:
    """No story is looked for."""

    entry_numbers: frozenset[int] = frozenset()
    exit_numbers: frozenset[int] = frozenset()

    def feed(self, sequence: int, event: Event) -> Sequence[StageEntered]:
        """No event begins a stage."""
        return ()


class Chronicle:
    """Records events, with all that follows from them."""

    def __init__(self, recorder: Recorder, decoder: Decoder, matcher: StageMatcher, breakpoints: Breakpoints) -> None:
        self.recorder = recorder
        self.breakpoints = breakpoints
        self._decoder = decoder
        self._matcher = matcher
        self.entry_numbers = decoder.entry_numbers | matcher.entry_numbers
        self.exit_numbers = decoder.exit_numbers | matcher.exit_numbers
        self.began_ns = time.monotonic_ns()

    def now(self) -> int:
        """Nanoseconds since the recording began."""
        return time.monotonic_ns() - self.began_ns

    def note(self, topic: str, text: str, fields: Mapping[str, Scalar] | None = None) -> None:
        """Say something about the recording itself."""
        self.record(NoteMade(self.now(), topic, text, fields or {}))

    def record(self, event: Event) -> int:
        """Write it, and write what follows from it; answers its own sequence number."""
        sequence = self.recorder.write(event)
        self.follow(sequence, event)
        return sequence

    def follow(self, sequence: int, event: Event) -> None:
        """Write what follows from an event that has been written."""
        for derived in self._decoder.feed(sequence, event):
            place = self.recorder.write(derived)
            self._stages(place, derived)
        # A call that only the decoder wants is no business of the matcher's; everything else is.
        if not isinstance(event, SyscallExited) or event.number in self._matcher.exit_numbers:
            self._stages(sequence, event)

    def _stages(self, sequence: int, event: Event) -> None:
        for entered in self._matcher.feed(sequence, event):
            self.recorder.write(entered)
            self.breakpoints.stage_entered(entered)
