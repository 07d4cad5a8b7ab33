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
from types import FrameType
from typing import NoReturn, Protocol

from tracer.engine import bindings, stops
from tracer.engine.bindings import PTRACE_LISTEN, PTRACE_SYSCALL, ptrace
from tracer.engine.calls import Calls
from tracer.engine.census import Census
from tracer.engine.chronicle import Chronicle
from tracer.engine.tracee import Process, Task, state
from tracer.events import HoldReleased, SignalDelivered, StopReached

_QUIET_S = 0.02
"""No stop for this long is silence: blocked calls are then shown as such, and the file is brought up to date."""
_SIGINFO_BYTES = 48
"""The rest of a siginfo_t is padding."""
_SIGNALS = frozenset({signal.SIGIO, signal.SIGALRM, signal.SIGTERM, signal.SIGHUP, signal.SIGINT})
"""Those that `notice` may be the handler of."""
_IDLE, _SETTLING, _BUSY = range(3)


class Course(Protocol):
    """What the loop tells `story`: how the run goes."""

    def executed(self, process: Process) -> None:
        """A process runs another program now; it is stopped still."""

    def watched(self) -> None:
        """`watch_calls` has come into force: every call that begins from here on will be seen."""

    def gone(self, pid: int, exit_code: int | None, killed_by: int | None) -> None:
        """A process is gone."""

    def quiet(self, times: int) -> bool:
        """Nothing has happened for a while, for the n-th time in a row; whether to ask again."""

    def signalled(self, number: int) -> None:
        """SIGIO: the control socket; SIGTERM, SIGINT, SIGHUP: the engine is to end."""


class LeftAlone(Exception):  # noqa: N818 - not an error
    """All that is still traced runs on without the engine."""


class Loop:
    """All stops, in the order in which the kernel reports them."""

    def __init__(self, chronicle: Chronicle, census: Census, calls: Calls) -> None:
        self.census = census
        self.course: Course
        self.held = False
        """Nobody is resumed."""
        self._chronicle = chronicle
        self._recorder = chronicle.recorder
        self._breakpoints = chronicle.breakpoints
        self._calls = calls
        self._stopped: list[tuple[int, int, int]] = []
        """During a hold, the tasks whose stop has been recorded: (tid, request, signal) of their restart."""
        self._kept: list[tuple[int, int]] = []
        """During a hold, the statuses that have not been looked at."""
        self._unwatched: set[Task] = set()
        """Those who are still to be stopped before their calls are watched."""
        self._waiting = False
        self._pending: list[int] = []
        self._activity = _IDLE
        self._quiet_times = 0

    # waiting

    def run(self) -> None:
        """Until nothing traced is left, or what is left is to be left alone."""
        try:
            self._take_stops()
        except LeftAlone:
            pass

    def leave(self) -> NoReturn:
        """Look at nothing any more. The engine's end lets all go on that is traced without EXITKILL (ptrace(2)).

        PTRACE_DETACH would have to stop each task first, and calls that are blocked would return EINTR.
        """
        raise LeftAlone

    def _take_stops(self) -> None:
        waitpid, wall, tasks, stopped = os.waitpid, bindings.WALL, self.census.tasks, self._calls.stopped
        syscall_stop, seccomp_stop = stops.SYSCALL_STOP, stops.SECCOMP_STOP
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
                if not self.held:
                    return
                self._wait_for_command()
                continue
            self._waiting = False
            if self._activity != _BUSY:
                self._stir()
            if self.held:
                self._kept.append((tid, status))
            elif status in (syscall_stop, seccomp_stop):
                task = tasks.get(tid)
                if task is None:
                    self.census.orphans[tid] = status
                else:
                    stopped(task)
            else:
                self._handle(tid, status)

    def notice(self, number: int, frame: FrameType | None = None) -> None:
        """The handler of every signal that the engine listens to."""
        self._pending.append(number)
        if self._waiting:
            self._waiting = False
            self._serve()
            self._waiting = True

    def _wait_for_command(self) -> None:
        """Everybody was killed during a hold: their deaths are recorded when it is released, like all else."""
        signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
        if not self._pending:
            self._pending.append(signal.sigwait(_SIGNALS))
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)

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
        undecided = self.census.affinity.tick(self._chronicle.now())
        if not busy:
            self._quiet_times += 1
            if not self.held:
                self._calls.report_blocked()
        again = self.course.quiet(self._quiet_times)
        if busy or again or undecided:
            signal.setitimer(signal.ITIMER_REAL, _QUIET_S)
        else:
            self._activity = _IDLE

    # everything else

    def _other_stop(self, task: Task, status: int) -> None:
        """Births, deaths, execs, signals, group stops."""
        tid = task.tid
        stop = stops.classify(status)
        if isinstance(stop, stops.TaskGone):
            self._gone(task, stop)
        elif isinstance(stop, stops.NewTask):
            # The child is stopped and can be looked at; the parent may go on meanwhile, at most to its call's return.
            child = bindings.event_message(tid)
            self.restart(task)
            self._born(task, child, stop.event)
        elif isinstance(stop, stops.Executed):
            former_tid = bindings.event_message(tid)
            leader = task
            if former_tid != tid:
                self._calls.report_unfinished(leader)  # it is gone without a word
            task = self.census.executed(tid, former_tid)
            if task is not leader:
                self._now_watched(leader)
            self.course.executed(task.process)
            self.after_event(tid)
            self.restart(task)
        elif isinstance(stop, stops.SignalDelivery):
            information = bindings.signal_information(tid)
            self.restart(task, stop.signal)
            if information is not None and not task.prelude:
                self._signal(tid, stop.signal, information)
        elif isinstance(stop, stops.GroupStop):
            self.restart(task, request=PTRACE_LISTEN)
        else:
            if isinstance(stop, stops.UnknownStop):
                text = f"a stop that this engine does not know: status {status:#x}"
                self._chronicle.note("unknown-stop", text, {"tid": tid})
            self.restart(task)
            self._now_watched(task)

    def _handle(self, tid: int, status: int) -> None:
        """Any stop."""
        task = self.census.tasks.get(tid)
        if task is None:
            self.census.orphans[tid] = status
        elif status in (stops.SYSCALL_STOP, stops.SECCOMP_STOP):
            self._calls.stopped(task)
        else:
            self._other_stop(task, status)

    def restart(self, task: Task, signal_number: int = 0, request: int = 0) -> None:
        """Let a stopped task go on, or remember how to."""
        if not request:
            # Whose call's beginning was seen, its end must be seen as well.
            request = PTRACE_SYSCALL if task.in_call else task.process.request
        if self.held:
            self._stopped.append((task.tid, request, signal_number))
        else:
            ptrace(request, task.tid, 0, signal_number)

    def _born(self, parent: Task, tid: int, event: int) -> None:
        if tid == 0 or tid in self.census.tasks:
            return  # the parent was killed in between, and the child will be adopted; or it has been already
        self.census.born(parent, tid, event)
        self.after_event(parent.tid)
        status = self.census.orphans.pop(tid, None)
        if status is not None:
            # Its first stop was reported before its parent's event: it has been waiting for its name.
            if self.held:
                self._kept.append((tid, status))
            else:
                self._handle(tid, status)

    def _gone(self, task: Task, stop: stops.TaskGone) -> None:
        self._calls.report_unfinished(task)
        process_is_gone = self.census.gone(task, stop)
        self.after_event(task.tid)
        self._now_watched(task)
        if process_is_gone:
            self.course.gone(task.process.pid, stop.exit_code, stop.signal)

    def _signal(self, tid: int, number: int, information: bytes) -> None:
        code, sender = struct.unpack_from("<8xi4xi", information)
        # si_pid holds a sender only for signals sent by a process (SI_USER and below, SIGCHLD).
        has_sender = code <= 0 or number == signal.SIGCHLD
        sender = sender if has_sender else 0
        self._chronicle.record(
            SignalDelivered(self._chronicle.now(), tid, number, code, sender, {"siginfo": information[:_SIGINFO_BYTES]})
        )
        self.after_event(tid)

    def after_event(self, tid: int) -> None:
        self._calls.last_tid = tid
        self._breakpoints.event_recorded(tid)
        if self._breakpoints.wish is not None:
            self.hold()

    def adopt_orphans(self) -> None:
        """Children whose parent's event never came, because the parent was killed: let them in all the same."""
        for tid, status in list(self.census.orphans.items()):
            del self.census.orphans[tid]
            if isinstance(stops.classify(status), stops.TaskGone):
                continue  # it never ran, and nobody heard of it
            task = self.census.adopt(tid)
            if task is not None:
                self.restart(task)

    def watch_calls(self) -> None:
        """From here on call stops are asked for: tasks that run without are interrupted, and go on with."""
        for task in self.census.tasks.values():
            # A leader that its threads outlive is a zombie, and never stops.
            if task.process.request != PTRACE_SYSCALL and state(task.tid) not in "ZX":
                self._unwatched.add(task)
                ptrace(bindings.PTRACE_INTERRUPT, task.tid, 0, 0)
        for process in self.census.processes.values():
            process.request = PTRACE_SYSCALL
            process.cwd = None  # nobody has watched it move

    def _now_watched(self, task: Task) -> None:
        """A task has been stopped by that, or is gone; the last of them brings it into force."""
        if task in self._unwatched:
            self._unwatched.remove(task)
            if not self._unwatched:
                for process in self.census.processes.values():
                    process.fds.clear()  # a thread that was watched already may have asked what another has closed
                self.course.watched()

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
        self._breakpoints.interrupted(self._calls.last_tid)
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
            self._handle(tid, status)
