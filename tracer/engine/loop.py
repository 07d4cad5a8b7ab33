"""The wait loop: every stop of every traced task passes through here, one at a time.

    waitpid(-1, __WALL) -> a task has stopped -> what happened is recorded -> PTRACE_SYSCALL lets it go on

There is one thread and one blocking call. Two other things must be noticed all the same: commands on the control
socket (SIGIO) and silence (SIGALRM, a one-shot timer that is armed by activity). Their handlers run either while the
loop is blocked, where all tables are consistent and they may act at once (`_waiting`), or between two bytecodes of
its work, where they only leave a note (`_pending`) that is read before the next wait. No status can get lost that
way, and the hot path pays two assignments for it; a signalfd and poll(2) would cost two more system calls a stop.

How a hold works. The stop that causes it is recorded and its task not resumed. All other tasks run on to their next
stop and stay there: their statuses are kept unread, in order, and handled at the release as if they came then. So
nothing is recorded during a hold, nobody's blocked call is disturbed by an EINTR, and signals arrive afterwards.
"""

import os
import signal
import struct
from time import monotonic_ns
from types import FrameType
from typing import Protocol

from tracer import codec
from tracer.engine import bindings, stops
from tracer.engine.bindings import PTRACE_LISTEN, PTRACE_SYSCALL, ptrace
from tracer.engine.breakpoints import Breakpoints
from tracer.engine.census import Census
from tracer.engine.chronicle import Chronicle
from tracer.engine.fdtable import NOTHING, FdTable
from tracer.engine.plans import Plan
from tracer.engine.recorder import Recorder
from tracer.engine.tracee import Task
from tracer.events import HoldReleased, SignalDelivered, StopReached, SyscallEntered, SyscallExited
from tracer.redact import Redactor

_QUIET_S = 0.02
"""No stop for this long is silence: blocked calls are then shown as such, and the file is brought up to date."""
_ENTRY = struct.Struct("<4xI16x7Q")  # op, pad, arch, instruction and stack pointer, number, six arguments
_RESULT = struct.Struct("<24xq")
_INFO_SIZE = bindings.SYSCALL_INFO_SIZE
_ENTRY_OPERATION = bindings.SYSCALL_INFO_ENTRY
_EXIT_OPERATION = bindings.SYSCALL_INFO_EXIT
_GET_INFO = bindings.PTRACE_GET_SYSCALL_INFO
_IDLE, _SETTLING, _BUSY = range(3)


class Course(Protocol):
    """What the loop tells `story`: how the run goes."""

    def listening(self, path: str) -> None:
        """A socket bound to this path listens."""

    def launch_failed(self, task: Task, errno: int) -> None:
        """A launched program's execve failed."""

    def gone(self, pid: int, exit_code: int | None, killed_by: int | None) -> None:
        """A process is gone."""

    def quiet(self, times: int) -> bool:
        """Nothing has happened for a while, for the n-th time in a row; whether to ask again."""

    def signalled(self, number: int) -> None:
        """SIGIO: the control socket; SIGTERM, SIGINT, SIGHUP: the engine is to end."""


class Loop:
    """All stops, in the order in which the kernel reports them."""

    def __init__(
        self,
        chronicle: Chronicle,
        census: Census,
        plans: dict[int, Plan],
        fdtable: FdTable,
        redactor: Redactor,
        arch: int,
    ) -> None:
        self.census = census
        self.course: Course
        self.held = False
        """Nobody is resumed."""
        self._chronicle = chronicle
        self._began_ns = chronicle.began_ns
        self._recorder: Recorder = chronicle.recorder
        self._breakpoints: Breakpoints = chronicle.breakpoints
        self._plans = plans
        self._unknown_plan = plans[-1]
        self._fdtable = fdtable
        self._redactor = redactor
        self._arch = arch
        self._entry_numbers = chronicle.entry_numbers
        self._exit_numbers = chronicle.exit_numbers
        self._info = bindings.SyscallInfo()
        self._stopped: list[tuple[int, int, int]] = []
        """During a hold, the tasks whose stop has been recorded: (tid, request, signal) of their restart."""
        self._kept: list[tuple[int, int]] = []
        """During a hold, the statuses that have not been looked at."""
        self._waiting = False
        self._pending: list[int] = []
        self._activity = _IDLE
        self._quiet_times = 0
        self._last_tid = 0

    # waiting

    def run(self) -> None:
        """Until nothing traced is left."""
        waitpid, wall = os.waitpid, bindings.WALL
        while True:
            self._waiting = True
            if self._pending:
                self._waiting = False
                self._serve()
                continue
            try:
                tid, status = waitpid(-1, wall)
            except ChildProcessError:
                self._waiting = False
                return
            self._waiting = False
            if self._activity != _BUSY:
                self._stir()
            if self.held:
                self._kept.append((tid, status))
            elif status == stops.SYSCALL_STOP:
                self._call_stop(tid)
            else:
                self._other_stop(tid, status)

    def notice(self, number: int, frame: FrameType | None = None) -> None:
        """The handler of every signal that the engine listens to."""
        self._pending.append(number)
        if self._waiting:
            self._waiting = False
            self._serve()
            self._waiting = True

    def _serve(self) -> None:
        while self._pending:
            number = self._pending.pop(0)
            if number == signal.SIGALRM:
                self._tick()
            else:
                self.course.signalled(number)

    def wake(self) -> None:
        """Make sure that the timer goes off, even if nothing stops any more."""
        self._stir()

    def _stir(self) -> None:
        """A stop after silence, or the first since the last tick."""
        if self._activity == _IDLE:
            signal.setitimer(signal.ITIMER_REAL, _QUIET_S)
        self._activity = _BUSY
        self._quiet_times = 0

    def _tick(self) -> None:
        """The timer went off: bring the file up to date, and see whether all is quiet."""
        busy = self._activity == _BUSY
        self._activity = _SETTLING
        if not busy:
            self._quiet_times += 1
            if not self.held:
                self._report_blocked()
        again = self.course.quiet(self._quiet_times)
        if busy or again:
            signal.setitimer(signal.ITIMER_REAL, _QUIET_S)
        else:
            self._activity = _IDLE

    # system calls

    def _call_stop(self, tid: int) -> None:
        """A call begins or returns. The hot path: about 14 us a stop, most of it the kernel's."""
        task = self.census.tasks.get(tid)
        if task is None:
            self.census.orphans[tid] = stops.SYSCALL_STOP
            return
        raw = self._info.raw
        if ptrace(_GET_INFO, tid, _INFO_SIZE, self._info.reference) <= 0:
            return  # killed meanwhile: its exit status is on the way
        operation = raw[0]
        if operation == _ENTRY_OPERATION:
            self._begun(task, _ENTRY.unpack_from(raw))
        elif operation == _EXIT_OPERATION and task.in_call:
            task.in_call = False
            self._returned(task, _RESULT.unpack_from(raw)[0])
        else:
            self.restart(tid)

    def _begun(self, task: Task, info: tuple[int, ...]) -> None:
        """A call begins."""
        tid = task.tid
        number = info[1]
        plan = self._plans.get(number) or self._unknown_plan
        if info[0] != self._arch or task.prelude:
            if info[0] != self._arch:
                self.census.foreign(task.process, info[0])
            if not plan.early:
                self.restart(tid)
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
        if plan.reports_entry or number in self._entry_numbers:
            self._report_entry(task)
            self.restart(tid)
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
        elif plan.readers:
            data = {}
            for read in plan.readers:
                read(data, task.process.memory, task.arguments, result, task.file)
        if plan.effect is not None:
            self._effect(task, plan, result)
        number = task.number
        arguments = task.arguments
        # Who has nothing to say about holding runs on while we write: the two cores then work at the same time.
        followed = number in self._exit_numbers or self._breakpoints.step_event
        if not followed:
            ptrace(PTRACE_SYSCALL, tid, 0, 0)
        if data:
            data = self._redactor.mask_all(data)
        files = task.files
        line = codec.encode_syscall_exited(now, tid, number, arguments, result, task.entered_ns, data, files)
        sequence = self._recorder.append(line)
        self._last_tid = tid
        if followed:
            if number in self._exit_numbers:
                event = SyscallExited(now, tid, number, arguments, result, task.entered_ns, data, files)
                self._chronicle.follow(sequence, event)
            self._after_event(tid)
            self.restart(tid)

    def _effect(self, task: Task, plan: Plan, result: int) -> None:
        """What a returned call changed in the table of descriptors, and what the story has to know of it."""
        assert plan.effect is not None
        plan.effect(task.process, task.arguments, result)
        if result == 0 and plan.name == "listen":
            self.course.listening(self._fdtable.listening_path(task.process, task.arguments[0]))
        elif result < 0 and plan.early and task.process.generation == 0:
            self.course.launch_failed(task, -result)

    def _report_entry(self, task: Task) -> None:
        """Record that a call has begun: it never returns, or it blocks, or a stage begins before it."""
        plan: Plan = task.plan
        data: dict[str, bytes | None] = {}
        for read in plan.readers:
            read(data, task.process.memory, task.arguments, None, task.file)
        data = self._redactor.mask_all(data)
        if plan.early:
            task.early = data
        event = SyscallEntered(task.entered_ns, task.tid, task.number, task.arguments, data, task.files)
        task.entry = self._recorder.write(event)
        if task.number in self._entry_numbers:
            self._chronicle.follow(task.entry, event)
        self._breakpoints.event_recorded(task.tid)
        if self._breakpoints.wish is not None:
            self.hold()

    def _report_blocked(self) -> None:
        """All is quiet: record who waits in which call."""
        for task in list(self.census.tasks.values()):
            if task.in_call and task.entry < 0 and not task.prelude:
                self._report_entry(task)

    # everything else

    def _other_stop(self, tid: int, status: int) -> None:
        """Births, deaths, execs, signals, group stops."""
        task = self.census.tasks.get(tid)
        if task is None:
            self.census.orphans[tid] = status
            return
        stop = stops.classify(status)
        if isinstance(stop, stops.TaskGone):
            self._gone(task, stop)
        elif isinstance(stop, stops.NewTask):
            self._born(task, stop)
            self.restart(tid)
        elif isinstance(stop, stops.Executed):
            self.census.executed(tid, bindings.event_message(tid))
            self._after_event(tid)
            self.restart(tid)
        elif isinstance(stop, stops.SignalDelivery):
            self._signal(task, stop.signal)
            self.restart(tid, PTRACE_SYSCALL, stop.signal)
        elif isinstance(stop, stops.GroupStop):
            self.restart(tid, PTRACE_LISTEN)
        else:
            if isinstance(stop, stops.UnknownStop):
                text = f"a stop that this engine does not know: status {status:#x}"
                self._chronicle.note("unknown-stop", text, {"tid": tid})
            self.restart(tid)

    def restart(self, tid: int, request: int = PTRACE_SYSCALL, signal_number: int = 0) -> None:
        """Let a stopped task go on, or remember how to."""
        if self.held:
            self._stopped.append((tid, request, signal_number))
        else:
            ptrace(request, tid, 0, signal_number)

    def _born(self, parent: Task, stop: stops.NewTask) -> None:
        tid = bindings.event_message(parent.tid)
        if tid == 0:
            return  # the parent was killed in between; the child is adopted when it stops
        self.census.born(parent, tid, stop.event)
        self._after_event(parent.tid)
        status = self.census.orphans.pop(tid, None)
        if status is not None:
            # Its first stop was reported before its parent's event: it has been waiting for its name.
            if self.held:
                self._kept.append((tid, status))
            else:
                self._other_stop(tid, status)

    def _gone(self, task: Task, stop: stops.TaskGone) -> None:
        process_is_gone = self.census.gone(task, stop)
        self._after_event(task.tid)
        if process_is_gone:
            self.course.gone(task.process.pid, stop.exit_code, stop.signal)

    def _signal(self, task: Task, number: int) -> None:
        information = bindings.signal_information(task.tid)
        if information is None or task.prelude:
            return
        code, sender = struct.unpack_from("<8xi4xi", information)
        # si_pid holds a sender only for signals sent by a process (SI_USER and below, SIGCHLD).
        has_sender = code <= 0 or number == signal.SIGCHLD
        self._chronicle.record(
            SignalDelivered(self._chronicle.now(), task.tid, number, code, sender if has_sender else 0)
        )
        self._after_event(task.tid)

    def _after_event(self, tid: int) -> None:
        self._last_tid = tid
        self._breakpoints.event_recorded(tid)
        if self._breakpoints.wish is not None:
            self.hold()

    def adopt_orphans(self) -> None:
        """Children whose parent's event never came, because the parent was killed: let them in all the same."""
        for tid, status in list(self.census.orphans.items()):
            del self.census.orphans[tid]
            if isinstance(stops.classify(status), stops.TaskGone):
                continue  # it never ran, and nobody heard of it
            if self.census.adopt(tid) is not None:
                self.restart(tid)

    # holding

    def hold(self) -> None:
        """Resume nobody from here on."""
        wish = self._breakpoints.take()
        if wish is not None and not self.held:
            self.held = True
            self._recorder.write(StopReached(self._chronicle.now(), wish.tid, wish.reason, wish.stage))
            self.course.quiet(0)

    def interrupt(self) -> None:
        """Hold now. Those who compute are stopped; those who are in a call will stop when it returns."""
        self._breakpoints.interrupted(self._last_tid)
        self.hold()
        for task in self.census.tasks.values():
            if self.held and not task.in_call:
                ptrace(bindings.PTRACE_INTERRUPT, task.tid, 0, 0)

    def release(self) -> None:
        """Everything runs again, until the next hold; which may be at one of the stops that waited."""
        if not self.held:
            return
        self._recorder.write(HoldReleased(self._chronicle.now()))
        self.held = False
        if self._activity != _BUSY:
            self._stir()
        stopped, self._stopped = self._stopped, []
        for tid, request, signal_number in stopped:
            ptrace(request, tid, 0, signal_number)
        kept, self._kept = self._kept, []
        for place, (tid, status) in enumerate(kept):
            if self.held:
                self._kept[:0] = kept[place:]
                return
            if status == stops.SYSCALL_STOP:
                self._call_stop(tid)
            else:
                self._other_stop(tid, status)


_NO_FILES: dict[int, str] = {}
_NO_DATA: dict[str, bytes | None] = {}
