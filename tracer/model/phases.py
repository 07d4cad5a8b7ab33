"""Folding: long runs of calls that every program makes get one line and an honest count.

    ▸ dynamic linking  61 calls

Which calls belong together is told by their names and their place after the execve(2):

    execve | dynamic linking ............. | starting up ............ | everything else
           | until ld.so unmaps its cache  | until the first call     | runs of the same sort fold
           | (ld.so(8)) or first odd call  | that is not a start's    |

A call that carried a message, made an action or led to a stage is never folded away: it ends the run before it.
Nothing is dropped: the counts of all segments add up to the calls of the process.
"""

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from tracer.events import SyscallSignature
from tracer.model.processes import Process


def _words(names: str) -> frozenset[str]:
    return frozenset(names.split())


LINKING = _words(
    "access arch_prctl brk close execve fstat getrandom mmap mprotect munmap newfstatat open openat pread64 prlimit64 "
    "read readlink rseq set_robust_list set_tid_address stat uname"
)
"""What ld.so does between execve and handing over to the program."""
STARTING = LINKING | _words(
    "clock_getres clock_gettime clone clone3 fcntl futex getcwd getdents64 getegid geteuid getgid getpid gettid getuid "
    "gettimeofday ioctl lseek lstat madvise mremap rt_sigaction rt_sigprocmask rt_sigreturn sched_getaffinity "
    "sched_yield sigaltstack sysinfo"
)
"""What an interpreter or a language runtime does before the program's own code shows."""
_MEMORY = _words("brk madvise mmap mprotect mremap munmap")
_FILES = _words(
    "access close fcntl fstat getdents64 ioctl lseek lstat newfstatat open openat pread64 read readlink stat statx"
)
SORTS: Mapping[str, frozenset[str]] = {
    "closing descriptors": _words("close close_range"),
    "memory": _MEMORY,
    "files": _FILES,
    "signal handling": _words("rt_sigaction rt_sigprocmask rt_sigreturn sigaltstack"),
    "threads and waiting": _words(
        "clock_nanosleep epoll_ctl epoll_pwait epoll_wait futex gettid nanosleep poll ppoll sched_yield select"
    ),
    "asking who and when": _words(
        "clock_gettime getcwd getegid geteuid getgid getpid getppid gettimeofday getuid uname"
    ),
    "files and memory": _FILES | _MEMORY,  # what loading a library or a module looks like
}
"""Ordinary work, by sort, the narrower first; a run of at least FOLD_FROM calls of one sort becomes one line."""
FOLD_FROM = 6
_INTERPRETERS = ("python", "perl", "node", "ruby", "bash")
_GO_PROGRAMS = frozenset({"docker", "dockerd", "containerd", "containerd-shim-runc-v2", "runc", "ctr"})

BEFORE = "before the story: start-up of the stack"
UNFOLDED = ""


@dataclass(frozen=True, slots=True)
class Segment:
    """A run of a process's calls: places `start` up to `stop` (not included) in its list of calls."""

    start: int
    stop: int
    name: str
    """The phase's name, empty for calls that are shown one by one."""
    row: int
    """The row it begins at when every folded segment is one row."""


class PhaseFold:
    """The segments of one process, worked out as far as was asked and kept."""

    def __init__(
        self, process: Process, numbers: Sequence[int], linked: bytearray, syscalls: Mapping[int, SyscallSignature]
    ) -> None:
        self._process = process
        self._numbers = numbers
        self._linked = linked
        self._sorts = list(SORTS)
        self._bits = {number: _bits(signature.name) for number, signature in syscalls.items()}
        self._execve = {number for number, signature in syscalls.items() if signature.name == "execve"}
        self._munmap = {number for number, signature in syscalls.items() if signature.name == "munmap"}
        self._mprotect = {number for number, signature in syscalls.items() if signature.name == "mprotect"}
        self._starts: array[int] = array("I")
        self._rows: array[int] = array("I")
        self._names: list[str] = []
        self._done = 0

    def extend(self, count: int, story_start: int) -> None:
        """Work out the segments of the first `count` calls."""
        if count <= self._done:
            return
        if self._starts:  # the last segment may have been cut short by the count asked for last time
            self._done = self._starts[-1]
            self._drop(len(self._starts) - 1)
        calls = self._process.calls
        while self._done < count:
            stop, name = self._next(self._done, count, calls, story_start)
            if name != UNFOLDED or not self._names or self._names[-1] != UNFOLDED:
                self._rows.append(self._row_after_last())
                self._starts.append(self._done)
                self._names.append(name)
            self._done = stop

    def row_count(self, count: int) -> int:
        """How many rows the first `count` calls take."""
        if not count:
            return 0
        segment = self.at_place(count - 1)
        return segment.row + (1 if segment.name else count - segment.start)

    def at_row(self, row: int) -> Segment:
        """The segment that a row belongs to."""
        return self._segment(bisect_right(self._rows, row) - 1)

    def at_place(self, place: int) -> Segment:
        """The segment that a call belongs to, by its place in the process's list of calls."""
        return self._segment(bisect_right(self._starts, place) - 1)

    def segments(self, count: int) -> Iterator[Segment]:
        """The segments of the first `count` calls."""
        for index in range(bisect_left(self._starts, count)):
            segment = self._segment(index)
            yield Segment(segment.start, min(segment.stop, count), segment.name, segment.row)

    def unsettle(self, sequence: int) -> None:
        """A call turned out to matter after it was folded: work its surroundings out again."""
        place = bisect_left(self._process.calls, sequence)
        if place < self._done:
            keep = bisect_right(self._starts, place) - 1
            self._done = self._starts[keep]
            self._drop(keep)

    def _segment(self, index: int) -> Segment:
        stop = self._starts[index + 1] if index + 1 < len(self._starts) else self._done
        return Segment(self._starts[index], stop, self._names[index], self._rows[index])

    def _drop(self, keep: int) -> None:
        del self._starts[keep:], self._rows[keep:], self._names[keep:]

    def _row_after_last(self) -> int:
        if not self._rows:
            return 0
        return self._rows[-1] + (1 if self._names[-1] else self._done - self._starts[-1])

    def _next(self, start: int, count: int, calls: Sequence[int], story_start: int) -> tuple[int, str]:
        """Where the segment that begins here ends, and its name."""
        first = calls[start]
        if first < story_start:
            return min(count, bisect_left(calls, story_start)), BEFORE
        if self._linked[first] or not (mask := self._bits.get(self._numbers[first], 0)):
            return start + 1, UNFOLDED
        if mask & (_LINKING | _STARTING) and (phase := self._place_after_exec(start, calls)):
            linking = phase == "dynamic linking"
            stop = self._run(start, count, calls, _LINKING if linking else _STARTING, linking)[0]
            if stop - start >= FOLD_FROM:
                return stop, phase
        stop, common = self._run(start, count, calls, mask & _ORDINARY, False)
        if common and stop - start >= FOLD_FROM:
            return stop, self._sorts[(common & -common).bit_length() - 1]
        return start + 1, UNFOLDED

    def _place_after_exec(self, start: int, calls: Sequence[int]) -> str:
        """The phase of a program's start that a call may begin, empty where the program is past its start."""
        execution = self._process.execution_at(calls[start])
        if execution is None:
            return ""
        first = bisect_right(calls, execution.sequence)
        if first < start and self._numbers[calls[first]] in self._execve:
            first += 1  # the execve itself returns after the program has been replaced, and is worth a line
        if start == first:
            return "dynamic linking"
        if self._names and self._names[-1] == "dynamic linking" and self._starts[-1] >= first:
            if execution.program.startswith(_INTERPRETERS):
                return "interpreter start"
            return "Go runtime start" if execution.program in _GO_PROGRAMS else "program start"
        return ""

    def _run(self, start: int, count: int, calls: Sequence[int], mask: int, linking: bool) -> tuple[int, int]:
        """Where the run of calls that share a bit of `mask` ends, and the bits they share.

        Linking ends after ld.so's munmap of its cache too, which comes after it has protected what it relocated.
        """
        protected = False
        bound = self._next_exec(calls[start])
        numbers, linked, bits = self._numbers, self._linked, self._bits
        place = start
        while place < count:
            sequence = calls[place]
            number = numbers[sequence]
            shared = mask & bits.get(number, 0)
            if not shared or linked[sequence] or sequence > bound or (number in self._execve and place > start):
                break
            mask = shared
            place += 1
            if linking:
                protected = protected or number in self._mprotect
                if protected and number in self._munmap:
                    break
        return place, mask

    def _next_exec(self, sequence: int) -> int:
        for execution in self._process.executions:
            if execution.sequence >= sequence:
                return execution.sequence
        return 0xFFFFFFFF


_LINKING = 1 << 30
_STARTING = 1 << 31
_ORDINARY = _LINKING - 1


def _bits(name: str) -> int:
    """One bit for each sort a call belongs to, and two for what a program's start may hold."""
    mask = _LINKING * (name in LINKING) | _STARTING * (name in STARTING)
    for index, names in enumerate(SORTS.values()):
        mask |= (name in names) << index
    return mask
