"""The story in numbers: how many calls, which errors, how many bytes, how long under the tracer, and what for.

One `Tally` for each stage and seat, filled while the recording is read (`take`), and merged as it is asked for: by
seat, by stage, in all. Whatever is merged adds up: each call is counted once, in one stage, one seat and one purpose.

Durations are from a call's entry to its return, less the time in which everything was held. They are *traced time*: a
stop at either end of every call is in them, and so is waiting for something to come. They compare calls of one run with
each other, and say nothing about how fast a program is without a tracer.
"""

import re
from array import array
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from tracer.codec import decode_event
from tracer.decode.errnos import NAMES
from tracer.events import HoldReleased, StopReached, SyscallExited
from tracer.model.purposes import NOT_SEEN_TO_START, purposes_of_calls, purposes_of_process
from tracer.model.trace import TraceModel
from tracer.stages.layers import Layer


def _words(names: str) -> frozenset[str]:
    return frozenset(names.split())


READS = _words("read pread64 readv preadv preadv2 recvfrom recvmsg")
WRITES = _words("write pwrite64 writev pwritev pwritev2 sendto sendmsg")
MOVES = _words("sendfile splice copy_file_range tee vmsplice")
"""Calls whose result is a number of bytes: taken in, given out, or both at once."""
WITHOUT_RESULT = _words("rt_sigreturn sigreturn")
"""Calls that return to where a signal came: what looks like their result is a register of the interrupted program."""
RESTARTS = frozenset((512, 513, 514, 516))
"""ERESTARTSYS, ERESTARTNOINTR, ERESTARTNOHAND and ERESTART_RESTARTBLOCK: a signal came, and the kernel begins the call
again, or gives the program EINTR where a handler asks for that. Only a tracer sees them, and nothing has failed."""
BUCKETS = 32
OTHER = "other"
"""The seat of a process that has none of the six."""
BEFORE = ""
"""The stage of what happened before the first one."""
_CALL = re.compile(rb'\["exit",(\d+),-?\d+,(\d+),\[[^\]]*\],(-?\d+),(\d+)')


@dataclass(slots=True)
class Tally:
    """What some calls come to."""

    calls: int = 0
    errors: Counter[str] = field(default_factory=Counter)
    """Failed calls by errno's name."""
    interrupted: int = 0
    """Calls that a signal interrupted and the kernel begins again (RESTARTS): no failures."""
    read_bytes: int = 0
    written_bytes: int = 0
    durations: "array[int]" = field(default_factory=lambda: array("Q", bytes(8 * BUCKETS)))
    """How many calls took less than 2**index microseconds of traced time, and not less than half of that."""
    purposes: Counter[str] = field(default_factory=Counter)
    """Calls by what they were for: the phases of `phases.py`, and what is said of calls that are never folded."""

    def add(self, other: "Tally") -> None:
        """Merge another one into this."""
        self.calls += other.calls
        self.errors.update(other.errors)
        self.interrupted += other.interrupted
        self.read_bytes += other.read_bytes
        self.written_bytes += other.written_bytes
        for index, count in enumerate(other.durations):
            self.durations[index] += count
        self.purposes.update(other.purposes)

    def within_us(self, share: float) -> int:
        """So many microseconds of traced time were enough for this share of the calls, to the next power of two."""
        seen = 0
        for index, count in enumerate(self.durations):
            seen += count
            if count and seen >= share * self.calls:
                return int(2**index)
        return 0


class Statistics:
    """The tallies of a recording, as far as its lines have been taken in."""

    def __init__(self, model: TraceModel) -> None:
        self._model = model
        self.taken = 0
        """How many events have been taken in."""
        self._cells: dict[tuple[str, str], Tally] = {}
        self._reads, self._writes = self._numbers(READS | MOVES), self._numbers(WRITES | MOVES)
        self._without_result = self._numbers(WITHOUT_RESULT)
        self._stage, self._stages_passed = BEFORE, 0
        self._cell_of: dict[int, Tally] = {}
        """Process index -> where its calls are counted now; forgotten at each line that may change its seat."""
        self._held_since = -1
        self._held_until = [0]
        self._held_ns = [0]
        """When each hold ended, and how long everything had been held by then, in all."""

    def _numbers(self, names: frozenset[str]) -> frozenset[int]:
        syscalls = self._model.header.syscalls
        return frozenset(number for number, signature in syscalls.items() if signature.name in names)

    def take(self, line: bytes) -> None:
        """Take the next line in; the model has to know it already. Raises RecordingError."""
        sequence = self.taken
        self.taken += 1
        stages = self._model.stages
        while self._stages_passed < len(stages) and stages[self._stages_passed].sequence <= sequence:
            self._stage = stages[self._stages_passed].stage
            self._stages_passed += 1
            self._cell_of.clear()
        if found := _CALL.match(line):
            time_ns, number, result, entered_ns = found.groups()
            self._call(sequence, int(time_ns), int(number), int(result), int(entered_ns))
            return
        self._cell_of.clear()
        if line.startswith((b'["exit"', b'["stop"', b'["released"')):
            event = decode_event(line.decode("utf-8", "replace"), sequence + 2)
            if isinstance(event, SyscallExited):
                self._call(sequence, event.time_ns, event.number, event.result, event.entered_ns)
            elif isinstance(event, StopReached):
                self._held_since = event.time_ns
            elif isinstance(event, HoldReleased) and self._held_since >= 0:
                self._held_until.append(event.time_ns)
                self._held_ns.append(self._held_ns[-1] + max(0, event.time_ns - self._held_since))
                self._held_since = -1

    def _call(self, sequence: int, time_ns: int, number: int, result: int, entered_ns: int) -> None:
        owner = self._model.owners[sequence]
        tally = self._cell_of.get(owner)
        if tally is None:
            tally = self._cell_of[owner] = self._cell(self._stage, self._seat(sequence))
        tally.calls += 1
        if -result in RESTARTS and number not in self._without_result:
            tally.interrupted += 1
        elif -4096 < result < 0 and number not in self._without_result:
            tally.errors[NAMES.get(-result, f"errno {-result}")] += 1
        elif result > 0:
            if number in self._reads:
                tally.read_bytes += result
            if number in self._writes:
                tally.written_bytes += result
        took_us = max(0, time_ns - entered_ns - self._held_between(entered_ns, time_ns)) // 1000
        tally.durations[min(took_us.bit_length(), BUCKETS - 1)] += 1

    def _held_between(self, start_ns: int, end_ns: int) -> int:
        """For how long everything was held between two moments; a hold of which one lies inside counts whole."""
        first, last = bisect_right(self._held_until, start_ns), bisect_right(self._held_until, end_ns)
        return self._held_ns[last - 1] - self._held_ns[first - 1]

    def _seat(self, sequence: int) -> str:
        process = self._model.process_of(sequence)
        return (process and process.layer_at(sequence)) or OTHER

    def _cell(self, stage: str, seat: str) -> Tally:
        tally = self._cells.get((stage, seat))
        if tally is None:
            tally = self._cells[stage, seat] = Tally()
        return tally

    def sort_out(self) -> Iterator[None]:
        """Say of each call what it was for. A step of the work for each process, so that others get a turn."""
        for tally in self._cells.values():
            tally.purposes.clear()
        named = purposes_of_calls(self._model)
        for process in self._model.processes.all:
            for start, stop, purpose in purposes_of_process(self._model, process, self.taken - 1, named):
                self._sort_in(process.calls, start, stop, purpose)
            yield
        for tally in self._cells.values():
            if nobodys := tally.calls - tally.purposes.total():
                tally.purposes[NOT_SEEN_TO_START] = nobodys

    def _sort_in(self, calls: "array[int]", place: int, stop: int, purpose: str) -> None:
        while place < stop:
            end, stage, seat = self._same_cell(calls, place, stop)
            self._cell(stage, seat).purposes[purpose] += end - place
            place = end

    def _same_cell(self, calls: "array[int]", place: int, stop: int) -> tuple[int, str, str]:
        """The first place after this one that is of another stage or seat, and which they are here."""
        sequence = calls[place]
        stages = self._model.stages
        passed = bisect_right(stages, sequence, key=lambda stage: stage.sequence)
        bounds = [stages[passed].sequence] if passed < len(stages) else []
        process = self._model.process_of(sequence)
        if process is not None:
            bounds += [seated for seated, _ in process.layers if seated > sequence][:1]
        end = min([stop, *(bisect_left(calls, bound) for bound in bounds)])
        return max(end, place + 1), stages[passed - 1].stage if passed else BEFORE, self._seat(sequence)

    # --- asking ---------------------------------------------------------------------------------------------------

    @property
    def total(self) -> Tally:
        """All calls."""
        return self._merged(lambda _: "").get("", Tally())

    def by_layer(self) -> Mapping[str, Tally]:
        """Seat -> its calls, in the order of the seats, whoever has none last."""
        found = self._merged(lambda cell: cell[1])
        return {seat: found[seat] for seat in (*map(str, Layer), OTHER) if seat in found}

    def by_stage(self) -> Mapping[str, Tally]:
        """Stage -> the calls from its beginning to the next one's, in the order of the story."""
        found = self._merged(lambda cell: cell[0])
        order = dict.fromkeys([BEFORE, *(stage.stage for stage in self._model.stages)])
        return {stage: found[stage] for stage in order if stage in found}

    def _merged(self, key: Callable[[tuple[str, str]], str]) -> dict[str, Tally]:
        merged: dict[str, Tally] = {}
        for cell, tally in self._cells.items():
            merged.setdefault(key(cell), Tally()).add(tally)
        return merged
