"""Every process the recording tells of: who made it, what it became by exec, its seat, its pids, its end.

A process is named by its place in the table (an *index*), never by its pid: pids are reused, and a pid inside the
container is another number than outside (pid_namespaces(7)). Threads are counted, not listed: a thread's calls are
its process's calls.

All facts carry the sequence number at which they became known, so that the tree at an earlier moment is a question,
not a state: nothing is undone when the cursor moves back.
"""

from array import array
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field

from tracer.events import ActionSeen, ProcessExecuted, ProcessExited, ProcessForked
from tracer.stages.layers import Layer, LayerFold

NOBODY = 0xFFFFFFFF
"""The index that stands for no process, in arrays that cannot hold None."""


@dataclass(frozen=True, slots=True)
class Execution:
    """One execve(2) that succeeded."""

    sequence: int
    path: str
    argv: tuple[str, ...]
    generation: int

    @property
    def program(self) -> str:
        """The last part of the path: what ps(1) would print."""
        return self.path.rsplit("/", 1)[-1]


@dataclass(slots=True)
class Process:
    """What became known of one process, and when."""

    index: int
    pid: int
    start_time: int
    born: int
    """Sequence number of its ProcessForked."""
    parent: int
    """Index of the process that made it, NOBODY where the engine launched it, or attached to it."""
    how: str
    nspids: list[tuple[int, tuple[int, ...]]] = field(default_factory=list)
    executions: list[Execution] = field(default_factory=list)
    layers: list[tuple[int, Layer]] = field(default_factory=list)
    threads: list[int] = field(default_factory=list)
    """Sequence numbers at which a thread beside the first appeared."""
    thread_ends: list[int] = field(default_factory=list)
    children: list[int] = field(default_factory=list)
    ended: int = -1
    """Sequence number of its end, -1 while it lives."""
    exit_code: int | None = None
    signal: int | None = None
    calls: "array[int]" = field(default_factory=lambda: array("I"))
    """Sequence numbers of its finished calls."""
    waiting: dict[int, int] = field(default_factory=dict)
    """Entry of a call written before its exit -> the exit's sequence number (-1: not seen yet)."""
    birth_call: int = -1
    """Sequence number of the fork/clone call that made it, where it is known."""

    def execution_at(self, cursor: int) -> Execution | None:
        """The program it runs at the cursor."""
        found = None
        for execution in self.executions:
            if execution.sequence > cursor:
                break
            found = execution
        return found

    def layer_at(self, cursor: int) -> Layer | None:
        found = None
        for sequence, layer in self.layers:
            if sequence > cursor:
                break
            found = layer
        return found

    def nspids_at(self, cursor: int) -> tuple[int, ...]:
        """Its pids in nested pid namespaces, outermost first."""
        found: tuple[int, ...] = ()
        for sequence, nspids in self.nspids:
            if sequence > cursor:
                break
            found = nspids
        return found

    def threads_at(self, cursor: int) -> int:
        """How many threads it has at the cursor, the first one included."""
        return 1 + bisect_right(self.threads, cursor) - bisect_right(self.thread_ends, cursor)

    def alive_at(self, cursor: int) -> bool:
        return self.born <= cursor and (self.ended < 0 or self.ended > cursor)


@dataclass(frozen=True, slots=True)
class Branch:
    """One line of the process tree."""

    process: Process
    depth: int
    last: tuple[bool, ...]
    """For each level down to this one, whether the ancestor is the last of its siblings: how the lines are drawn."""


class ProcessTable:
    """All processes, by index, and who a task belongs to right now."""

    def __init__(self) -> None:
        self.all: list[Process] = []
        self._of_task: dict[int, int] = {}
        self._fold = LayerFold()

    def of_task(self, tid: int) -> int:
        """The index of the process a task belongs to at this point of the recording, NOBODY if it is not known."""
        return self._of_task.get(tid, NOBODY)

    def forked(self, sequence: int, event: ProcessForked) -> int:
        self._fold.feed(event)
        if event.tid != event.pid and (owner := self._of_task.get(event.pid)) is not None:
            self._of_task[event.tid] = owner
            self.all[owner].threads.append(sequence)
            return owner
        parent = self._of_task.get(event.parent_tid, NOBODY)
        process = Process(len(self.all), event.pid, event.start_time, sequence, parent, event.how)
        process.birth_call = event.call
        if event.nspids:
            process.nspids.append((sequence, event.nspids))
        self.all.append(process)
        self._of_task[event.tid] = process.index
        if parent != NOBODY:
            self.all[parent].children.append(process.index)
        self._seat(sequence, process)
        return process.index

    def executed(self, sequence: int, event: ProcessExecuted) -> int:
        self._fold.feed(event)
        index = self._of_task.get(event.tid, self._of_task.get(event.former_tid, NOBODY))
        if index == NOBODY:
            return NOBODY
        process = self.all[index]
        self._of_task[event.tid] = index
        process.executions.append(Execution(sequence, event.path, event.argv, event.generation))
        # execve(2) ends every other thread of the process.
        process.thread_ends.extend([sequence] * (process.threads_at(sequence) - 1))
        if event.nspids and event.nspids != process.nspids_at(sequence):
            process.nspids.append((sequence, event.nspids))
        self._seat(sequence, process)
        return index

    def exited(self, sequence: int, event: ProcessExited) -> int:
        self._fold.feed(event)
        # The task stays known until its number is reused: what its end amounts to is told after it.
        index = self._of_task.get(event.tid, NOBODY)
        if index == NOBODY:
            return NOBODY
        process = self.all[index]
        if event.tid == event.pid:
            process.ended, process.exit_code, process.signal = sequence, event.exit_code, event.signal
        elif process.threads_at(sequence) > 1:
            process.thread_ends.append(sequence)
        return index

    def acted(self, event: ActionSeen) -> None:
        """What a process did may decide the seat of what it executes next (a runtime's init after pivot_root)."""
        self._fold.feed(event)

    def tree_at(self, cursor: int, hidden: frozenset[int] = frozenset()) -> Iterator[Branch]:
        """The processes born by then, parents before children, without what is below an index in `hidden`.

        Each stands where it was born: a shim whose parent has ended stays under it, since how it came to be is what
        is to be seen.
        """
        roots = [process.index for process in self.all if process.parent == NOBODY]
        stack: list[tuple[int, tuple[bool, ...]]] = []

        def push(children: list[int], last: tuple[bool, ...]) -> None:
            born = [child for child in children if self.all[child].born <= cursor]
            for place, child in reversed(list(enumerate(born))):
                stack.append((child, (*last, place == len(born) - 1)))

        push(roots, ())
        while stack:
            index, last = stack.pop()
            process = self.all[index]
            yield Branch(process, len(last) - 1, last)
            if index not in hidden:
                push(process.children, last)

    def layers_at(self, cursor: int) -> set[Layer]:
        """The seats that somebody alive sits in."""
        return {
            layer
            for process in self.all
            if process.alive_at(cursor) and (layer := process.layer_at(cursor)) is not None
        }

    def _seat(self, sequence: int, process: Process) -> None:
        layer = self._fold.layer_of(process.pid)
        if layer is not None and (not process.layers or process.layers[-1][1] is not layer):
            process.layers.append((sequence, layer))
