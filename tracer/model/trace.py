"""The fold itself: events in, facts with sequence numbers in place."""

import shlex
from array import array
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass

from tracer.codec import decode_event
from tracer.events import (
    ActionSeen,
    Event,
    HoldReleased,
    MessageSeen,
    NoteMade,
    ProcessExecuted,
    ProcessExited,
    ProcessForked,
    RecordingEnded,
    RecordingHeader,
    Scalar,
    StageEntered,
    SyscallEntered,
    SyscallExited,
)
from tracer.model.conversation import Conversation
from tracer.model.phases import PhaseFold
from tracer.model.processes import NOBODY, Process, ProcessTable
from tracer.stages.layers import Layer, recognise

NO_CALL = 0xFFFF
"""What stands in `TraceModel.numbers` for an event that is not a call."""


@dataclass(frozen=True, slots=True)
class Action:
    """A named action, and the calls that amount to it."""

    sequence: int
    process: int
    action: str
    fields: Mapping[str, Scalar]
    calls: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class StageSeen:
    """A stage that was entered."""

    sequence: int
    stage: str
    process: int
    evidence: int


class TraceModel:
    """All facts of one recording, as far as it has been applied."""

    def __init__(self, header: RecordingHeader) -> None:
        self.header = header
        self.applied = 0
        """How many events have been taken in."""
        self.processes = ProcessTable()
        self.conversation = Conversation()
        self.actions: list[Action] = []
        self.stages: list[StageSeen] = []
        self.notes: list[tuple[int, NoteMade]] = []
        self.calls: array[int] = array("I")
        """Sequence numbers of all finished calls."""
        self.numbers: array[int] = array("H")
        """For each event, the number of the call it tells of, or NO_CALL."""
        self.owners: array[int] = array("I")
        """For each event, the index of the process it belongs to, or NOBODY."""
        self.linked = bytearray()
        """For each event, 1 where it is a call that something was made of, and which is therefore never folded."""
        self.carried: dict[int, list[int]] = {}
        """Call -> sequence numbers of the messages, actions and stages that were made of it."""
        self.story_start = 0
        """The first event after the stack was up: what is before is start-up, recorded and folded."""
        self.ended: RecordingEnded | None = None
        self.stage_table: dict[str, Mapping[str, object]] = {str(stage.get("id")): stage for stage in header.stages}
        self._phases: dict[int, PhaseFold] = {}
        self._entries: dict[int, int] = {}
        """Task -> the entry it is in."""

    # --- taking events in -----------------------------------------------------------------------------------------

    def apply_line(self, line: bytes) -> None:
        """Take the next event in, as it stands in the recording. Raises RecordingError."""
        if line.startswith(b'["exit",'):
            # Nearly all lines: kind, time, task and number are read off without decoding the arguments.
            try:
                _, _, tid, number, _ = line.split(b",", 4)
                self._call(int(tid), int(number))
            except ValueError:
                self.apply(decode_event(line.decode("utf-8", "replace"), self.applied + 2))
            return
        self.apply(decode_event(line.decode("utf-8", "replace"), self.applied + 2))

    def apply(self, event: Event) -> None:
        """Take the next event in."""
        sequence = self.applied
        if isinstance(event, SyscallExited):
            self._call(event.tid, event.number)
            return
        number, owner = NO_CALL, NOBODY
        if isinstance(event, SyscallEntered):
            number, owner = event.number & 0xFFFF, self.processes.of_task(event.tid)
            if owner != NOBODY:
                self.processes.all[owner].waiting[sequence] = -1
                self._entries[event.tid] = sequence
        elif isinstance(event, ProcessForked):
            owner = self.processes.forked(sequence, event)
        elif isinstance(event, ProcessExecuted):
            owner = self.processes.executed(sequence, event)
        elif isinstance(event, ProcessExited):
            owner = self.processes.exited(sequence, event)
        elif not isinstance(event, HoldReleased | RecordingEnded | NoteMade):
            owner = self.processes.of_task(event.tid)
        self.numbers.append(number)
        self.owners.append(owner)
        self.linked.append(0)
        self.applied += 1
        self._derived(sequence, owner, event)

    def _call(self, tid: int, number: int) -> None:
        sequence = self.applied
        owner = self.processes.of_task(tid)
        self.calls.append(sequence)
        self.numbers.append(number if 0 <= number < NO_CALL else NO_CALL - 1)
        self.owners.append(owner)
        self.linked.append(0)
        self.applied = sequence + 1
        if owner != NOBODY:
            process = self.processes.all[owner]
            process.calls.append(sequence)
            if tid in self._entries:
                process.waiting[self._entries.pop(tid)] = sequence

    def _derived(self, sequence: int, owner: int, event: Event) -> None:
        if isinstance(event, MessageSeen):
            self.conversation.seen(sequence, owner, event)
            self._link(sequence, event.calls)
        elif isinstance(event, ActionSeen):
            self.actions.append(Action(sequence, owner, event.action, event.fields, event.calls))
            self.processes.acted(event)
            self._link(sequence, event.calls)
        elif isinstance(event, StageEntered):
            if not self.stages and not self.story_start:
                self.story_start = min(event.evidence, sequence)
            self.stages.append(StageSeen(sequence, event.stage, owner, event.evidence))
            self._link(sequence, (event.evidence,))
        elif isinstance(event, ProcessExited):
            self._entries.pop(event.tid, None)
        elif isinstance(event, NoteMade):
            self.notes.append((sequence, event))
            if event.topic == "ready":
                self.story_start = sequence + 1
        elif isinstance(event, RecordingEnded):
            self.ended = event

    def _link(self, sequence: int, calls: tuple[int, ...]) -> None:
        for call in calls:
            if not 0 <= call < sequence:
                continue
            self.carried.setdefault(call, []).append(sequence)
            if not self.linked[call]:
                self.linked[call] = 1
                if (fold := self._phases.get(self.owners[call])) is not None:
                    fold.unsettle(call)

    @property
    def command_line(self) -> str:
        """The command as a person typed it, or would: `docker run ...`, whoever sits in the client's seat."""
        if self.header.typed:
            return shlex.join(self.header.typed)
        words = list(self.header.command)
        seat = recognise(words[0] if words else "", words)
        if seat is None or seat.layer is not Layer.CLIENT or seat.verb not in words:
            return shlex.join(words)
        return shlex.join(["docker", *words[words.index(seat.verb) :]])

    # --- asking ---------------------------------------------------------------------------------------------------

    def process_of(self, sequence: int) -> Process | None:
        """The process an event belongs to."""
        if not 0 <= sequence < self.applied or self.owners[sequence] == NOBODY:
            return None
        return self.processes.all[self.owners[sequence]]

    def acting_at(self, cursor: int) -> Process | None:
        """The process that acts at the cursor: the one that the last event there belongs to."""
        for sequence in range(min(cursor, self.applied - 1), -1, -1):
            process = self.process_of(sequence)
            if process is not None:
                return process
        return None

    def stage_at(self, cursor: int) -> StageSeen | None:
        """The stage entered last at the cursor."""
        count = bisect_right(self.stages, cursor, key=lambda stage: stage.sequence)
        return self.stages[count - 1] if count else None

    def layer_at(self, cursor: int) -> Layer | None:
        """The seat that acts at the cursor."""
        for sequence in range(min(cursor, self.applied - 1), -1, -1):
            process = self.process_of(sequence)
            if process is not None and (layer := process.layer_at(sequence)) is not None:
                return layer
        return None

    def calls_of(self, process: Process | None, cursor: int) -> tuple["array[int]", int]:
        """A process's finished calls (None: everyone's), and how many of them lie at or before the cursor."""
        calls = self.calls if process is None else process.calls
        return calls, bisect_right(calls, cursor)

    def waiting_at(self, process: Process, cursor: int) -> list[int]:
        """Entries of the calls that the process is in at the cursor: they block, or are held before they begin."""
        return (
            [entry for entry, done in process.waiting.items() if entry <= cursor and (done < 0 or done > cursor)]
            if process.alive_at(cursor)
            else []
        )

    def phases_of(self, process: Process, cursor: int) -> PhaseFold:
        """The process's calls in segments, ordinary runs folded, worked out at least up to the cursor."""
        fold = self._phases.get(process.index)
        if fold is None:
            fold = PhaseFold(process, self.numbers, self.linked, self.header.syscalls)
            self._phases[process.index] = fold
        fold.extend(self.calls_of(process, cursor)[1], self.story_start)
        return fold

    def call_name(self, sequence: int) -> str:
        """The name of the call that an event tells of, empty for other events."""
        number = self.numbers[sequence]
        if number == NO_CALL:
            return ""
        signature = self.header.syscalls.get(number)
        return signature.name if signature else f"syscall_{number}"
