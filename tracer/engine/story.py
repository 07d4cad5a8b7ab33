"""The course of a run: what is started, when it is ready, and when it is over.

    Launch -> background programs, all at once -> each listens on its socket -> preparations, one after the other
           -> the foreground program -> it exits, and everything settles -> SIGTERM to the background
           -> SIGKILL to what is left -> RecordingEnded

Processes that run already (`attach`) take the place of the background programs where they are given: nothing is
waited for, and at the end nothing of theirs is killed.

Settled means: nothing has stopped for a while, and every task that is left waits in a call. While processes are left
that came up during the story (a shim that tidies up after its container), the silence must be longer, because one of
them may be waiting for a disk. Nothing is asked of the tracees: this is seen from outside.
"""

import os
import signal
import time

from tracer.commands import Attached, Launch, Program
from tracer.engine import spawn
from tracer.engine.attach import AttachError, seize
from tracer.engine.bindings import PTRACE_CONT, PTRACE_SYSCALL
from tracer.engine.chronicle import Chronicle
from tracer.engine.control import Control
from tracer.engine.curtain import listening_paths
from tracer.engine.loop import Loop
from tracer.engine.orders import obey
from tracer.engine.seccomp_filter import Filter
from tracer.engine.tracee import Process, Task, state
from tracer.events import RecordingEnded

_SETTLED_ALONE = 3
"""Ticks of silence (20 ms each) that end the story when only background programs are left."""
_SETTLED_IN_COMPANY = 50
"""The same, while processes of the story are still there."""
_ORPHANED = 25
"""Ticks after which the maker of a child is believed dead; on a busy machine it may just be late."""
_RESTLESS = 250
"""Ticks for which others may do something else than wait for those who listen; then they are watched all the same."""
_PATIENCE = 500
"""Ticks after the foreground program's exit in which everything must settle: a detached container may never."""
_TERMINATION_S = 10.0
"""How long background programs may take to end after SIGTERM."""
_COULD_NOT_RUN = 127


class Story:
    """Implements `loop.Course`."""

    def __init__(
        self,
        loop: Loop,
        chronicle: Chronicle,
        control: Control | None,
        streams: spawn.Streams,
        filtered: Filter | None = None,
    ) -> None:
        self.exit_code: int | None = None
        self.reason = ""
        self._loop = loop
        self._chronicle = chronicle
        self._control = control
        self._streams = streams
        self._filtered = filtered
        self._request = PTRACE_CONT if filtered else PTRACE_SYSCALL
        """How what is started goes on between the calls that are watched."""
        self._launch: Launch
        self._background: dict[int, Program] = {}
        self._foreground = 0
        self._attached: dict[int, Attached] = {}
        """What ran before the engine, by pid."""
        self._preparations: list[Program] = []
        self._preparing = 0
        """The pid of the preparation that runs."""
        self._awaited: dict[str, str] = {}
        """Socket path -> label of background programs that do not listen yet."""
        self._links: dict[str, str] = {}
        """Socket path -> the link to it by which it can be found once every call is watched."""
        self._behind_curtain = False
        """Not every call is watched yet."""
        self._lifting = False
        """Every task is being stopped, to be watched from there."""
        self._ticks_of_listening = 0
        self._orphan_ticks = 0
        self._ticks_after_exit = 0
        self._ending_since = 0.0
        self._killed = False

    # the beginning

    def begin(self, launch: Launch) -> None:
        """Start the background programs, and the foreground program if there are none."""
        self._launch = launch
        self._preparations = list(launch.preparations)
        for program in launch.background:
            if program.listens_on:
                self._awaited[program.listens_on] = program.label
                if program.seen_at:
                    self._links[program.listens_on] = program.seen_at
        if self._filtered is not None:
            names = self._filtered.names
            text = f"calls other than these {len(names)} are not watched, and not recorded: {' '.join(names)}"
            if "tgkill" in names:
                text += " (of tgkill not SIGURG, by which Go's threads interrupt each other)"
            if launch.speed == "wire":
                labels = ", ".join(program.label for program in launch.background)
                text = f"of {labels} themselves, {text}"
            self._chronicle.note("filtered", text, {"speed": launch.speed, "calls": " ".join(names)})
        elif launch.hold and self._links:
            self._behind_curtain = True
            labels = ", ".join(program.label for program in launch.background)
            text = f"{labels}: started at full speed; their processes are recorded, their calls not yet"
            self._chronicle.note("filtered", text)
            self._loop.wake()
        if not self._behind_curtain:
            self._loop.census.affinity.gather()
        try:
            self._attach()
        except AttachError as error:
            self._end(str(error))
            return
        for program in launch.background:
            self._start_background(program)
        if not self._awaited and not self.reason:
            self._prepare()

    def _attach(self) -> None:
        """Follow what runs already. Raises AttachError."""
        watched = self._launch.speed == "full"
        for attached in self._launch.attach:
            tids = seize(attached)
            self._attached[attached.pid] = attached
            self._loop.census.attached(attached.pid, tids, PTRACE_CONT)
            calls = "from their next call on" if watched else "without their calls, which are not recorded"
            self._chronicle.note(
                "attached",
                f"{attached.label} was running: its {len(tids)} threads are followed {calls}; every process that it "
                "starts from now on is followed with all its calls; what it started before is not looked at",
                {"label": attached.label, "pid": attached.pid, "speed": self._launch.speed},
            )
        if watched:
            self._loop.watch_calls()

    def _look_behind_curtain(self) -> None:
        """Lift it when those listen whom others wait for, and the others wait: too early is not wrong, only slow."""
        if self._links.keys() <= listening_paths():
            self._ticks_of_listening += 1
            all_wait = all(state(tid) == "S" for tid in self._loop.census.tasks)
            if all_wait or self._ticks_of_listening > _RESTLESS:
                self._lift_curtain()

    def _lift_curtain(self) -> None:
        """Stop every task once, and watch it from there."""
        if self._behind_curtain and not self._lifting:
            self._lifting = True
            self._loop.census.affinity.gather()
            self._loop.watch_calls()

    def watched(self) -> None:
        """Every task has been stopped. Only now may anybody find whom to connect to."""
        if self._behind_curtain:
            self._behind_curtain = False
            self._chronicle.note("watching", "from here on every call is recorded")
            if not self._ending_since:
                for path in listening_paths() & self._awaited.keys():
                    self.listening(path)

    def _start_background(self, program: Program) -> int:
        """The new process's pid; 0 where it cannot be started, which ends the story."""
        request = PTRACE_CONT if self._behind_curtain else self._request
        log_path = f"{self._chronicle.recorder.path}.{program.label or 'background'}.log"
        null = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
        log = spawn.open_log(log_path)
        try:
            streams = spawn.Streams(null, log, new_session=True)
            pid = spawn.spawn(program, streams, request, self._filtered)
        except spawn.SpawnError as error:
            self._end(f"cannot start {program.label or program.argv[0]}: {error}")
            return 0
        finally:
            os.close(null)
            os.close(log)
        self._loop.census.launched(pid, background=True, request=request)
        self._background[pid] = program
        label = program.label or program.argv[0]
        self._chronicle.note(
            "background-started", f"{label} starts, pid {pid}", {"label": label, "pid": pid, "log": log_path}
        )
        return pid

    def _prepare(self) -> None:
        """Run the next preparation; the last one that has ended lets the story begin."""
        if self._preparations:
            self._preparing = self._start_background(self._preparations.pop(0))
        else:
            self._start_foreground()

    def _start_foreground(self) -> None:
        program = self._launch.foreground
        if self._background:
            labels = ", ".join(program.label or program.argv[0] for program in self._background.values())
            self._chronicle.note("ready", f"{labels}: ready; the story begins")
        try:
            wire = self._launch.speed == "wire"
            request, filtered = (PTRACE_SYSCALL, None) if wire else (self._request, self._filtered)
            self._foreground = spawn.spawn(program, self._streams, request, filtered)
        except spawn.SpawnError as error:
            self.exit_code = _COULD_NOT_RUN
            self._end(str(error))
            return
        self._chronicle.breakpoints.enable()
        self._loop.census.launched(self._foreground, background=False, request=request)

    def listening(self, path: str) -> None:
        """A socket bound to this path listens, watched; the last one that was awaited lets the story begin."""
        if self._behind_curtain:
            return  # `watched` will find it
        label = self._awaited.pop(path, None)
        if label is None:
            return
        self._chronicle.note("listening", f"{label} listens on {path}", {"label": label, "path": path})
        link = self._links.get(path)
        if link:
            try:
                os.symlink(path, link)
            except OSError as error:
                self._end(f"cannot make {link}: {(error.strerror or str(error)).lower()}")
        if not self._awaited and not self._ending_since:
            self._prepare()

    def launch_failed(self, task: Task, errno: int) -> None:
        """Execve of a launched program failed: the rest of its life is the engine's own code."""
        task.prelude = True
        program = self._background.get(task.tid, self._launch.foreground)
        if task.tid == self._foreground:
            self.exit_code = _COULD_NOT_RUN
        self._end(f"cannot execute {program.argv[0]}: {os.strerror(errno)}")

    def executed(self, process: Process) -> None:
        """Whoever runs a program of its own is none of the daemons any more: a shim, a runtime, the container."""
        if self._launch.speed == "wire" and process.pid not in self._background:
            process.request = PTRACE_SYSCALL

    # the end

    def gone(self, pid: int, exit_code: int | None, killed_by: int | None) -> None:
        """A process is gone: the foreground program's end is the beginning of the end."""
        if pid == self._foreground:
            if self.exit_code is None:
                self.exit_code = exit_code if killed_by is None else 128 + (killed_by or 0)
        elif pid in self._background:
            program = self._background.pop(pid)
            label = program.label or program.argv[0]
            how = f"signal {killed_by}" if killed_by is not None else f"exit code {exit_code}"
            self._chronicle.note("background-gone", f"{label} ended with {how}", {"label": label, "pid": pid})
            prepared = pid == self._preparing and exit_code == 0
            if prepared and not self._ending_since:
                self._prepare()
            elif (self._awaited or self._preparing) and not self._foreground and not self._ending_since:
                self._end(f"{label} ended with {how} before it was ready")
        elif pid in self._attached:
            label = self._attached.pop(pid).label
            how = f"signal {killed_by}" if killed_by is not None else f"exit code {exit_code}"
            self._chronicle.note("attached-gone", f"{label} ended with {how}", {"label": label, "pid": pid})
        if self._ending_since and not self._background:
            self._kill_all()

    def quiet(self, times: int) -> bool:
        """Bring the reader up to date; after silence, see whether the story is over. Whether to ask again."""
        if self._chronicle.recorder.flush() and self._control is not None:
            self._control.ring()
        self._orphan_ticks = self._orphan_ticks + 1 if self._loop.census.orphans else 0
        if self._orphan_ticks >= _ORPHANED:
            self._loop.adopt_orphans()
        if self._ending_since:
            self._leave_if_alone()
            if time.monotonic() - self._ending_since > _TERMINATION_S:
                self._kill_all()
            return True
        if self._behind_curtain:
            self._look_behind_curtain()
            return True
        if self.exit_code is None or self._loop.held:
            return self._orphan_ticks > 0
        self._ticks_after_exit += 1
        if self._ticks_after_exit > _PATIENCE:
            self._end("the foreground program has ended; what it left behind does not come to rest")
            return True
        census = self._loop.census
        alone = all(process.background for process in census.processes.values())
        if times < (_SETTLED_ALONE if alone else _SETTLED_IN_COMPANY):
            return True
        # Where only some calls are watched, a task may sleep in another, and may have gone to sleep before all were.
        # What is attached has more to do than this story.
        if all(
            (task.in_call or self._filtered is not None) and state(task.tid) == "S"
            for task in census.tasks.values()
            if task.process.pid not in self._attached
        ):
            self._end("the foreground program has ended and everything has settled")
        return True

    def signalled(self, number: int) -> None:
        """A command has come, the session has gone, or the engine is asked to end."""
        if number != signal.SIGIO:
            self._end(f"the engine was ended by {signal.Signals(number).name}")
            return
        if self._control is not None:
            for command in self._control.commands():
                obey(command, self._loop, self._chronicle.breakpoints, self)
            if self._control.closed:
                self._end("the session has gone")

    def quit(self) -> None:
        """The user wants to end it."""
        self._end("quit")

    def finish(self) -> None:
        """Nothing traced is left: the recording's last line."""
        reason = self.reason or "everything that was traced has ended"
        self._chronicle.record(RecordingEnded(self._chronicle.now(), self.exit_code, reason))
        self._chronicle.recorder.close()
        if self._control is not None:
            self._control.ring()
            self._control.close()

    def _end(self, reason: str) -> None:
        """No more holds; ask the background programs to end, or kill everything where there are none."""
        if self._ending_since:
            return
        self.reason = reason
        self._ending_since = time.monotonic()
        self._chronicle.breakpoints.disable()
        self._lift_curtain()
        self._loop.release()
        # The daemon first: it is containerd's client, and says goodbye to it.
        for pid in reversed(list(self._background)):
            os.kill(pid, signal.SIGTERM)
        if not self._background:
            self._kill_all()
        self._loop.wake()

    def _kill_all(self) -> None:
        """All that is ours."""
        self._loop.adopt_orphans()
        for process in list(self._loop.census.processes.values()):
            if process.attached:
                continue
            try:
                os.kill(process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass  # its exit status is on the way

    def _leave_if_alone(self) -> None:
        """Nothing is left but what is not ours: what ran before, and its children."""
        processes = self._loop.census.processes.values()
        if processes and all(process.attached for process in processes):
            others = len(processes) - len(self._attached)
            labels = ", ".join(f"{attached.label} (pid {pid})" for pid, attached in self._attached.items())
            text = f"{labels} and {others} processes started meanwhile are let go, and run on"
            self._chronicle.note("detached", text, {"started": others})
            self._loop.leave()
