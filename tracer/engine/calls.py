"""System call stops: what a task asks of the kernel, and what it got. The engine's hot path.

A call is recorded when it has returned, in one line with its arguments, its result, what they point to and the files
they mean. Its beginning gets a line of its own only where that says more: it never returns (exit_group), it changes
everything (execve), it blocks while all is quiet, or a stage may hold before it.

A stop costs about 14 us, most of it two context switches. What our side adds is kept off the tracee's path: its
memory is read, then it is let go on, and only then is the line put together, on the other core. A call that somebody
may hold at is the exception.
"""

import struct
from time import monotonic_ns
from typing import Protocol

from tracer import codec
from tracer.engine import bindings
from tracer.engine.bindings import PTRACE_SYSCALL, ptrace
from tracer.engine.census import Census
from tracer.engine.chronicle import Chronicle
from tracer.engine.fdtable import NOTHING, FdTable
from tracer.engine.plans import Plan
from tracer.engine.tracee import Task
from tracer.events import SyscallEntered, SyscallExited
from tracer.redact import Redactor

_entry_fields = struct.Struct("<4xI16x7Q").unpack_from  # arch, (instruction and stack pointer,) number, six arguments
_stack_pointer = struct.Struct("<16xQ").unpack_from
_result_field = struct.Struct("<24xq").unpack_from
_INFO_SIZE = bindings.SYSCALL_INFO_SIZE
_ENTRY_OPERATION = bindings.SYSCALL_INFO_ENTRY
_EXIT_OPERATION = bindings.SYSCALL_INFO_EXIT
_SECCOMP_OPERATION = bindings.SYSCALL_INFO_SECCOMP
_GET_INFO = bindings.PTRACE_GET_SYSCALL_INFO
_MASK_OFFSETS = {
    bindings.AUDIT_ARCH["x86_64"]: 8 + 8 + 24 + 256,  # uc_flags, uc_link, uc_stack, uc_mcontext; uc_sigmask
    bindings.AUDIT_ARCH["aarch64"]: 128 + 8 + 8 + 24,  # a siginfo_t before; uc_sigmask comes before uc_mcontext
}
"""Where the mask is in the kernel's struct rt_sigframe, from the stack pointer at rt_sigreturn(2)."""
_NO_FILES: dict[int, str] = {}
_NO_DATA: dict[str, bytes | None] = {}


class Gate(Protocol):
    """The loop, as seen from a stop."""

    def restart(self, task: Task) -> None:
        """Let a stopped task go on, or remember to."""

    def after_event(self, tid: int) -> None:
        """Something of this task was recorded: hold here if anybody wishes to."""


class Ears(Protocol):
    """The story, as seen from a call."""

    def listening(self, path: str) -> None:
        """A socket bound to this path listens."""

    def launch_failed(self, task: Task, errno: int) -> None:
        """A launched program's execve failed."""


class Calls:
    """Records calls."""

    def __init__(
        self,
        chronicle: Chronicle,
        census: Census,
        plans: dict[int, Plan],
        fdtable: FdTable,
        redactor: Redactor,
        arch: int,
    ) -> None:
        self.gate: Gate
        self.ears: Ears
        self.last_tid = 0
        """Whose call was recorded last."""
        self._chronicle = chronicle
        self._began_ns = chronicle.began_ns
        self._recorder = chronicle.recorder
        self._breakpoints = chronicle.breakpoints
        self._entry_numbers = chronicle.entry_numbers
        self._exit_numbers = chronicle.exit_numbers
        self._census = census
        self._plans = plans
        self._unknown_plan = plans[-1]
        self._fdtable = fdtable
        self._redactor = redactor
        self._arch = arch
        self._mask_offset = _MASK_OFFSETS[arch]
        info = bindings.SyscallInfo()
        self._raw, self._reference = info.raw, info.reference

    def stopped(self, task: Task) -> None:
        """A call begins or returns."""
        if ptrace(_GET_INFO, task.tid, _INFO_SIZE, self._reference) <= 0:
            return  # killed meanwhile: its exit status is on the way
        raw = self._raw
        operation = raw[0]
        if operation == _ENTRY_OPERATION or (operation == _SECCOMP_OPERATION and not task.in_call):
            self._begun(task, _entry_fields(raw))
        elif operation == _EXIT_OPERATION and task.in_call:
            task.in_call = False
            self._returned(task, _result_field(raw)[0])
        else:
            # Where every call is watched in spite of a filter, the filter stops a call whose entry has been reported.
            self.gate.restart(task)

    def before_sigreturn(self, task: Task) -> None:
        """rt_sigreturn(2) has no arguments: what it restores is a frame on the stack. Its mask becomes argument 0."""
        task.arguments = (_stack_pointer(self._raw)[0] + self._mask_offset,)

    def report_blocked(self) -> None:
        """All is quiet: record who waits in which call."""
        for task in list(self._census.tasks.values()):
            if task.in_call and task.entry < 0:
                self._report_entry(task)

    def report_unfinished(self, task: Task) -> None:
        """The task has died in a call: record that it had begun, for its end will never be seen."""
        if task.in_call and task.entry < 0:
            self._report_entry(task)

    def _begun(self, task: Task, info: tuple[int, ...]) -> None:
        """A call begins."""
        tid = task.tid
        number = info[1]
        plan = self._plans.get(number) or self._unknown_plan
        if info[0] != self._arch or task.prelude:
            if info[0] != self._arch:
                self._census.foreign(task.process, info[0])
            if not plan.early:
                self.gate.restart(task)
                return
            task.prelude = False
        task.arguments = arguments = info[2 : 2 + plan.count]
        task.entered_ns = monotonic_ns() - self._began_ns
        # Which file a descriptor is, is asked before the call can close it.
        if plan.first_fd >= 0:
            fd = arguments[plan.first_fd]
            task.file = file = task.process.fds.get(fd) or self._fdtable.lookup(task.process, fd)
            task.files = {plan.first_fd: file.name} if file.name else _NO_FILES
        elif plan.fds:
            files = {place: self._fdtable.lookup(task.process, arguments[place]) for place in plan.fds}
            task.file = files[plan.fds[0]]
            task.files = {place: file.name for place, file in files.items() if file.name}
        else:
            task.file = NOTHING
            task.files = _NO_FILES
        task.in_call = True
        task.number = number
        task.plan = plan
        task.entry = -1
        if plan.before:
            task.early = {}
            for read in plan.before:
                read(task.early, task.process.memory, arguments, None, task.file)
        if plan.prepare is not None:
            plan.prepare(task)
        if plan.reports_entry or number in self._entry_numbers:
            self._report_entry(task)
            self.gate.restart(task)  # only now: execve would destroy what was to be read, and a stage may hold here
        else:
            ptrace(PTRACE_SYSCALL, tid, 0, 0)

    def _returned(self, task: Task, result: int) -> None:
        """A call has returned: read what it left in memory, let the task go on, and then write the line."""
        tid = task.tid
        now = monotonic_ns() - self._began_ns
        plan: Plan = task.plan
        data = _NO_DATA
        if task.early is not None:
            data, task.early = task.early, None
        if plan.readers and not plan.early:
            data = {**data}
            for read in plan.readers:
                read(data, task.process.memory, task.arguments, result, task.file)
        if plan.effect is not None:
            self._effect(task, plan, result)
        files = task.files
        if plan.namer is not None and (result >= 0 or plan.names_given):
            files = plan.namer(self._fdtable, task.process, task.arguments, result, data, files)
        number = task.number
        arguments = task.arguments
        followed = number in self._exit_numbers
        # Where nothing could hold here, the task runs on while we write: the two cores then work at the same time.
        watched = self._breakpoints.watchful and (followed or self._breakpoints.step_event)
        if not watched:
            ptrace(task.process.request, tid, 0, 0)
        if data:
            stream = (task.process.pid, number, task.file.name) if plan.streams else None
            data = self._redactor.mask_all(data, stream, result)
        line = codec.encode_syscall_exited(now, tid, number, arguments, result, task.entered_ns, data, files)
        sequence = self._recorder.append(line)
        self.last_tid = tid
        if followed:
            event = SyscallExited(now, tid, number, arguments, result, task.entered_ns, data, files)
            self._chronicle.follow(sequence, event)
        if watched:
            self.gate.after_event(tid)
            self.gate.restart(task)

    def _effect(self, task: Task, plan: Plan, result: int) -> None:
        """What a returned call changed in the table of descriptors, and what the story has to know of it."""
        assert plan.effect is not None
        plan.effect(task.process, task.arguments, result)
        if result == 0 and plan.name == "listen":
            self.ears.listening(self._fdtable.listening_path(task.process, task.arguments[0]))
        elif result < 0 and plan.early and task.process.generation == 0:
            self.ears.launch_failed(task, -result)

    def _report_entry(self, task: Task) -> None:
        """Record that a call has begun: it never returns, or it blocks, or a stage begins before it."""
        plan: Plan = task.plan
        data: dict[str, bytes | None] = {}
        for read in plan.readers:
            read(data, task.process.memory, task.arguments, None, task.file)
        if plan.early:
            data = {key: value and self._redactor.mask_argv(value) for key, value in data.items()}
            task.early = data
        else:
            stream = (task.process.pid, task.number, task.file.name) if plan.streams else None
            data = self._redactor.mask_all(data, stream)
        event = SyscallEntered(task.entered_ns, task.tid, task.number, task.arguments, data, task.files)
        task.entry = self._recorder.write(event)
        if task.number in self._entry_numbers:
            self._chronicle.follow(task.entry, event)
        self.gate.after_event(task.tid)
