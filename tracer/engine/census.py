"""Who is alive: births, execs and deaths of tasks, each recorded as it happens.

The kernel tells a birth twice, by the parent's event and by the child's first stop, in either order. A child that
stops first waits in `orphans` for its parent's event, so that its birth is recorded before anything it does and with
the task that really made it. If the parent was killed in between, the event never comes and the child is adopted.
"""

import os
from collections.abc import Sequence

from tracer.engine.affinity import Affinity
from tracer.engine.chronicle import Chronicle
from tracer.engine.fdtable import working_directory
from tracer.engine.stops import EVENT_FORK, EVENT_VFORK, TaskGone
from tracer.engine.tracee import (
    Place,
    Process,
    Task,
    contents_of,
    link_of,
    namespace_pids,
    pid_namespace,
    start_time,
    strings,
    thread_group,
)
from tracer.events import ForkKind, ProcessExecuted, ProcessExited, ProcessForked
from tracer.redact import Redactor

_CLONE_FS = 0x200
_CLONE_FILES = 0x400
_CLONE_THREAD = 0x10000
_CLONE_UNTRACED = 0x800000
_ENVIRONMENTS = 16


class Census:
    """All traced tasks by tid, all traced processes by pid."""

    def __init__(self, chronicle: Chronicle, redactor: Redactor) -> None:
        self.tasks: dict[int, Task] = {}
        self.processes: dict[int, Process] = {}
        self.orphans: dict[int, int] = {}
        """First stops (wait statuses) of children whose parent's event has not been seen yet."""
        self.affinity = Affinity(self.tasks)
        self._chronicle = chronicle
        self._redactor = redactor
        self._own_namespace = pid_namespace(os.getpid())
        self._environments: dict[bytes, tuple[str, ...]] = {}

    def launched(self, pid: int, *, background: bool, request: int) -> Task:
        """The engine has started it; it is seized, and on its way to its execve."""
        process = self.processes[pid] = Process(pid, background=background, request=request)
        task = self._seat(pid, process)
        task.prelude = True
        self._record_birth(0, task, "launched", -1)
        return task

    def attached(self, pid: int, tids: Sequence[int], request: int) -> None:
        """A process that runs already is followed from here on, with these of its threads, the leader first."""
        process = self.processes[pid] = Process(pid, background=True, request=request)
        process.attached = True
        for tid in tids:
            self._record_birth(0, self._seat(tid, process), "attached" if tid == pid else "thread", -1)
        self._record_program(process, pid, pid)
        process.cwd = None  # nobody watches it move

    def born(self, parent: Task, tid: int, event: int) -> Task:
        """The parent's fork, vfork or clone event."""
        flags = self._clone_flags(parent)
        # Whose calls are not watched cannot be asked for its flags, but the child can for its thread group.
        if flags & _CLONE_THREAD or (not parent.in_call and thread_group(tid)[0] == parent.process.pid):
            task = self._seat(tid, parent.process, parent)
            self._record_birth(parent.tid, task, "thread", parent.entry)
            return task
        how: ForkKind = "fork" if event == EVENT_FORK else "vfork" if event == EVENT_VFORK else "clone"
        process = self.processes[tid] = self._child(tid, parent.process)
        if flags & _CLONE_FILES:
            process.fds = parent.process.fds
        if flags & _CLONE_FS:
            process.shares_cwd = parent.process.shares_cwd = True
        elif not parent.process.shares_cwd:
            process.cwd = parent.process.cwd
        task = self._seat(tid, process, parent)
        self._record_birth(parent.tid, task, how, parent.entry)
        return task

    def before_clone(self, task: Task) -> None:
        """The kernel tells no tracer of a child that is made with CLONE_UNTRACED: say that one is missing."""
        if self._clone_flags(task) & _CLONE_UNTRACED:
            self._chronicle.note(
                "untraced",
                f"task {task.tid} asks for a child that no tracer is told of (CLONE_UNTRACED): it is not recorded, and "
                "under filtered speed the calls that are watched fail for it with ENOSYS",
                {"tid": task.tid},
            )

    def adopt(self, tid: int) -> Task | None:
        """A child whose maker died before it could be asked; None where the child is gone too."""
        group, parent = thread_group(tid)
        if not group:
            return None
        process = self.processes.get(group)
        if process is None:
            process = self.processes[group] = self._child(group, self.processes.get(parent))
        task = self._seat(tid, process)
        self._record_birth(parent, task, "clone" if tid == group else "thread", -1)
        return task

    def executed(self, tid: int, former_tid: int) -> Task:
        """Execve succeeded; the caller may have been another thread, which has taken over the leader's tid."""
        task = self.tasks[tid]
        if former_tid not in (0, tid) and former_tid in self.tasks:
            # The leader that was is gone without an exit status; the thread that was lives on under its tid.
            task = self.tasks.pop(former_tid)
            task.tid = tid
            self.tasks[tid] = task
            task.process.tasks -= 1
        process = task.process
        task.prelude = False
        process.memory.forget()
        process.fds = {}  # close-on-exec; and execve ends any sharing of the table
        process.generation += 1
        self._record_program(process, tid, former_tid or tid)
        return task

    def _record_program(self, process: Process, tid: int, former_tid: int) -> None:
        """What /proc says of the program that a process runs."""
        self._chronicle.record(
            ProcessExecuted(
                time_ns=self._chronicle.now(),
                tid=tid,
                former_tid=former_tid,
                path=link_of(tid, "exe"),
                argv=self._redactor.mask_command(strings(contents_of(f"/proc/{tid}/cmdline"))),
                environment=self._environment(tid),
                cwd=working_directory(process).name,
                generation=process.generation,
                nspids=process.nspids,
            )
        )

    def _environment(self, tid: int) -> tuple[str, ...]:
        """The environment, masked. Children mostly inherit the very same one, so the last few are remembered."""
        raw = contents_of(f"/proc/{tid}/environ")
        masked = self._environments.get(raw)
        if masked is None:
            if len(self._environments) >= _ENVIRONMENTS:
                del self._environments[next(iter(self._environments))]
            masked = self._environments[raw] = self._redactor.mask_environment(strings(raw))
        return masked

    def gone(self, task: Task, stop: TaskGone) -> bool:
        """A task is gone; whether its process is gone with it."""
        del self.tasks[task.tid]
        process = task.process
        process.tasks -= 1
        self._chronicle.record(ProcessExited(self._chronicle.now(), task.tid, process.pid, stop.exit_code, stop.signal))
        if process.tasks > 0:
            return False
        process.memory.forget()
        self.processes.pop(process.pid, None)
        return True

    def foreign(self, process: Process, arch: int) -> None:
        """A call of another ABI: its number would be read as another call's, so it is not recorded."""
        if not process.foreign:
            process.foreign = True
            self._chronicle.note(
                "foreign-abi",
                f"process {process.pid} makes calls of another ABI (AUDIT_ARCH {arch:#x}); they are not recorded",
                {"pid": process.pid},
            )

    def _seat(self, tid: int, process: Process, parent: Task | None = None) -> Task:
        task = self.tasks[tid] = Task(tid, process)
        process.tasks += 1
        if process.attached:
            task.place = Place.OWN  # the engine may be killed, and nobody would give it its processors back
        else:
            self.affinity.born(task, parent)
        return task

    @staticmethod
    def _child(pid: int, parent: Process | None) -> Process:
        """A new process, with what it has of the one that made it (None: that is gone)."""
        if parent is None:
            return Process(pid, background=False)
        if not parent.attached:
            return Process(pid, background=parent.background, request=parent.request)
        child = Process(pid, background=False)  # and every call of it is watched, whatever is of its parent
        child.attached = True
        return child

    def _record_birth(self, parent_tid: int, task: Task, how: ForkKind, call: int) -> None:
        tid = task.tid
        # /proc/TID/status costs five times this readlink, so it is read only inside a pid namespace. Threads are in
        # their leader's.
        if task.process.nspids == (task.process.pid,) or pid_namespace(tid) == self._own_namespace:
            nspids: tuple[int, ...] = (tid,)
        else:
            nspids = namespace_pids(tid)
        if tid == task.process.pid:
            task.process.nspids = nspids
        self._chronicle.record(
            ProcessForked(self._chronicle.now(), parent_tid, tid, task.process.pid, how, nspids, start_time(tid), call)
        )

    @staticmethod
    def _clone_flags(parent: Task) -> int:
        """The flags of the clone or clone3 call that the parent is in; 0 for fork and vfork."""
        if not parent.in_call:
            return 0
        if parent.plan.name == "clone":
            return parent.arguments[0]
        if parent.plan.name == "clone3":
            flags = parent.process.memory.read(parent.arguments[0], 8)
            return int.from_bytes(flags or b"", "little")
        return 0
