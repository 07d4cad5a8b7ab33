"""One processor for the engine and for those it traces, because they take turns.

A stop is two context switches: to the engine, and back. On one processor each takes some 3 us; between two, the other
one must first be woken out of its idle state, which takes 10 to 25 us, more in a virtual machine. So the engine stays
where it is, and a task that makes calls comes to it: 300 fork+exec take half as long. A task that computes is let go
to wherever the scheduler likes after 50 ms, and called back when it makes calls again.

The tracees must not be misled: Go sizes its scheduler and nproc(1) answers by sched_getaffinity(2). So around that
call, and around sched_setaffinity(2), whoever may be meant has all processors back, and the kernel answers the truth.
A task that has been given a mask by one of its own keeps that, for good. What still shows is `Cpus_allowed` in
/proc/PID/status.

strace(1) leaves the placing to the scheduler; the trick is as old as `taskset 1 strace`.
"""

import os
from collections.abc import Mapping

from tracer.engine.tracee import Arguments, Place, Process, Task, contents_of

_COMPUTING_NS = 50_000_000
"""So long without a call, and not in one: it computes. On a busy machine it may wait 20 ms for its turn."""


class Affinity:
    """Which processors the tasks may use, sched(7)."""

    def __init__(self, tasks: Mapping[int, Task]) -> None:
        self.gathered = False
        """Tasks are called to the engine's processor; never so before calls are watched, or on a single processor."""
        self._tasks = tasks
        self._asking: set[Task] = set()
        """Those who are in a call about masks: until the kernel has answered, nobody is called back."""
        self._all = frozenset(os.sched_getaffinity(0))
        self._one = frozenset({_current_processor()}) & self._all

    def gather(self) -> None:
        """From here on calls are watched. What is started afterwards begins at the engine's place."""
        if len(self._all) == 1 or not self._one or self.gathered:
            return
        self.gathered = True
        os.sched_setaffinity(0, self._one)
        for task in self._tasks.values():
            self._confine(task)

    def born(self, task: Task, parent: Task | None) -> None:
        """A child has its parent's mask, and begins with calls, whatever its parent does."""
        if self.gathered:
            if parent is not None and parent.place is Place.OWN:
                task.place = Place.OWN
            elif _mask(task.tid) == self._one:
                task.place = Place.HERE
            else:
                self._confine(task)

    def before_call(self, task: Task) -> None:
        """A task is about to ask for a mask, or to set one: the caller's own, or that of any other."""
        if self.gathered:
            self._asking.add(task)
            for meant in [task] if task.arguments[0] & 0xFFFFFFFF == 0 else self._tasks.values():
                if meant.place is Place.HERE:
                    self._move(meant, self._all, Place.ANYWHERE)

    def after_call(self, process: Process, arguments: Arguments, result: int) -> None:
        """It has its answer. Whose mask is no longer the one we left it with, has one of its own."""
        if self.gathered and not self._is_asked():
            for task in self._tasks.values():
                if task.place is Place.ANYWHERE:
                    self._confine(task)

    def tick(self, now_ns: int) -> bool:
        """Let go of those who compute, and call back those who make calls. Whether it is too early to tell of any."""
        undecided = False
        if self.gathered:
            asked = self._is_asked()
            for task in self._tasks.values():
                computing = not task.in_call and now_ns - task.entered_ns > _COMPUTING_NS
                if computing and task.place is Place.HERE:
                    self._move(task, self._all, Place.ANYWHERE)
                elif not computing and not asked and task.place is Place.ANYWHERE:
                    self._confine(task)
                undecided |= not computing and not task.in_call
        return undecided

    def _is_asked(self) -> bool:
        self._asking = {task for task in self._asking if task.in_call and self._tasks.get(task.tid) is task}
        return bool(self._asking)

    def _confine(self, task: Task) -> None:
        if _mask(task.tid) == self._all:
            self._move(task, self._one, Place.HERE)
        else:
            task.place = Place.OWN

    @staticmethod
    def _move(task: Task, processors: frozenset[int], place: Place) -> None:
        try:
            os.sched_setaffinity(task.tid, processors)
            task.place = place
        except OSError:
            task.place = Place.OWN  # gone, or not ours to move, or in a cpuset without this processor


def _mask(tid: int) -> frozenset[int]:
    try:
        return frozenset(os.sched_getaffinity(tid))
    except OSError:
        return frozenset()


def _current_processor() -> int:
    """Field 39 of proc_pid_stat(5)."""
    raw = contents_of("/proc/self/stat")
    return int(raw[raw.rfind(b")") + 2 :].split()[36])
