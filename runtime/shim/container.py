"""The container of this shim: its init, its execs, and the order in which their lives are told.

Real counterpart: containerd runtime/v2/runc/container.go and task/service.go.

    Create   mounts -> `runc create` -> pid file -> TaskCreate
    Start    `runc start` -> TaskStart                  (an exec: `runc exec` -> TaskExecStarted)
    the end  SIGCHLD -> output delivered -> TaskOOM if so -> TaskExit
    Delete   `runc delete` -> unmount -> TaskDelete     (an exec: its record only, and no event)
"""

import os
from typing import NamedTuple

from google.protobuf.timestamp_pb2 import Timestamp

from runtime.api.containerd import events_pb2 as events
from runtime.api.containerd.process_pb2 import Status
from runtime.shim import bundle as notes
from runtime.shim.bundle import RuntimeOptions
from runtime.shim.console import TerminalStreams
from runtime.shim.errors import ALREADY_EXISTS, FAILED_PRECONDITION, INVALID_ARGUMENT, UNKNOWN, TaskError, not_found
from runtime.shim.log import log
from runtime.shim.loop import Loop, spawn
from runtime.shim.oom import OomWatch
from runtime.shim.process import Process
from runtime.shim.publisher import Publisher
from runtime.shim.reaper import Reaper
from runtime.shim.rootfs import Mount, mount_all, unmount_all
from runtime.shim.runc import OciRuntime
from runtime.shim.stdio import StdioPaths, Streams


class Surroundings(NamedTuple):
    """What every container needs from its shim."""

    loop: Loop
    reaper: Reaper
    publisher: Publisher


class Container:
    """A container from its creation to its deletion."""

    def __init__(self, shim: Surroundings, container_id: str, bundle: str, options: RuntimeOptions) -> None:
        self.id = container_id
        self.bundle = bundle
        self.execs: dict[str, Process] = {}
        self.init = Process("", StdioPaths("", "", "", terminal=False), Streams(shim.loop))
        self.waits_for_client = False
        """Whether nothing has been made yet, because nobody has opened the other ends of init's FIFOs."""
        self._shim = shim
        self._options = options
        self._runtime = OciRuntime(shim.reaper, options, bundle)
        self._oom: OomWatch | None = None
        self._deleted = False

    # -- creation

    async def create(self, mounts: list[Mount], paths: StdioPaths) -> int:
        """Mount the root filesystem, make the container, and return the pid of its waiting init."""
        rootfs = f"{self.bundle}/rootfs"
        self.init = self._new_process("", paths)
        try:
            mount_all(mounts, rootfs)
        except OSError as reason:
            raise TaskError(
                UNKNOWN, f"failed to mount rootfs component: {reason.filename}: {(reason.strerror or '').lower()}"
            ) from None
        # Noted before the call: from here on a shim that dies leaves something that `delete` must find.
        notes.write_options(self.bundle, self._options)
        try:
            self.waits_for_client = True
            await self._launch(self.init, f"{self.bundle}/init.pid")
        except (TaskError, OSError):
            # The runtime has undone its own part; init may be dead and unreaped, which the reaper sees to.
            if mounts:
                unmount_all(rootfs)
            raise
        self._oom = OomWatch(self._shim.loop, self.init.pid, self._publish_oom)
        self._shim.publisher.publish(
            "/tasks/create",
            events.TaskCreate(
                container_id=self.id,
                bundle=self.bundle,
                rootfs=[{"type": m.type, "source": m.source, "options": list(m.options)} for m in mounts],
                io=events.TaskIO(stdin=paths.stdin, stdout=paths.stdout, stderr=paths.stderr, terminal=paths.terminal),
                pid=self.init.pid,
            ),
        )
        spawn(self._follow(self.init))
        return self.init.pid

    def _new_process(self, exec_id: str, paths: StdioPaths) -> Process:
        streams = TerminalStreams(self._shim.loop) if paths.terminal else Streams(self._shim.loop)
        return Process(exec_id, paths, streams)

    async def _launch(self, process: Process, pid_file: str) -> None:
        """Have the runtime make init or an exec, give it its streams, and learn its pid."""
        streams = process.streams
        await streams.open(process.paths)
        self.waits_for_client = False
        # Before the runtime runs: init may be dead before its pid is read.
        self._shim.reaper.expect()
        try:
            if process.exec_id:
                await self._exec(process, pid_file)
            else:
                await self._runtime.create(self.id, pid_file, streams.stdio, streams.console_path)
            process.pid = self._runtime.read_pid(pid_file, "exec" if process.exec_id else "create")
            streams.begin()
            process.end = self._shim.reaper.claim(process.pid)
        except (TaskError, OSError):
            streams.close()
            raise
        finally:
            self._shim.reaper.settle()

    async def _exec(self, process: Process, pid_file: str) -> None:
        spec_file = f"{self.bundle}/{process.exec_id}-process.json"
        with open(spec_file, "wb") as file:
            file.write(process.spec)
        try:
            streams = process.streams
            await self._runtime.exec(self.id, spec_file, pid_file, streams.stdio, streams.console_path)
        finally:
            os.unlink(spec_file)

    # -- life

    def process(self, exec_id: str) -> Process:
        """Return init, or the exec of this id."""
        if not exec_id:
            return self.init
        if exec_id not in self.execs:
            raise not_found(f"process {exec_id}")
        return self.execs[exec_id]

    def add_exec(self, exec_id: str, paths: StdioPaths, spec: bytes) -> None:
        """Register a process; it is made by `start`, so that its client can prepare in between."""
        if exec_id in self.execs:
            raise TaskError(ALREADY_EXISTS, f"id {exec_id}: already exists")
        process = self._new_process(exec_id, paths)
        process.spec = spec
        self.execs[exec_id] = process
        self._shim.publisher.publish("/tasks/exec-added", events.TaskExecAdded(container_id=self.id, exec_id=exec_id))

    async def start(self, exec_id: str) -> int:
        """Let init run the user's program, or make an exec; return the pid."""
        process = self.process(exec_id)
        if process.starting or process.status != Status.CREATED:
            raise TaskError(FAILED_PRECONDITION, "cannot start a process that is not in the created state")
        process.starting = True
        try:
            if exec_id:
                await self._launch(process, f"{self.bundle}/{exec_id}.pid")
                spawn(self._follow(process))
            else:
                await self._runtime.start(self.id)
            if not process.exited.done:
                process.status = Status.RUNNING
            self._announce_start(process)
        finally:
            process.starting = False
            if process.exited.done:
                self._announce_exit(process)
        return process.pid

    def _announce_start(self, process: Process) -> None:
        if process.exec_id:
            self._shim.publisher.publish(
                "/tasks/exec-started",
                events.TaskExecStarted(container_id=self.id, exec_id=process.exec_id, pid=process.pid),
            )
        else:
            self._shim.publisher.publish("/tasks/start", events.TaskStart(container_id=self.id, pid=process.pid))

    async def kill(self, exec_id: str, number: int, *, everybody: bool) -> None:
        """Signal init through the runtime, which knows the container, or an exec directly."""
        process = self.process(exec_id)
        process.require_running()
        if exec_id:
            try:
                os.kill(process.pid, number)
            except ProcessLookupError:
                raise not_found("process already finished") from None
            return
        try:
            await self._runtime.kill(self.id, number, everybody=everybody)
        except TaskError as error:
            words = error.message.lower()
            if any(gone in words for gone in ("already finished", "not running", "no such process", "not exist")):
                raise not_found("process already finished") from None
            raise

    async def pause(self) -> None:
        """Freeze the container."""
        self.init.require_running()
        await self._runtime.pause(self.id)
        self.init.status = Status.PAUSED
        self._shim.publisher.publish("/tasks/paused", events.TaskPaused(container_id=self.id))

    async def resume(self) -> None:
        """Thaw the container."""
        self.init.require_running()
        await self._runtime.resume(self.id)
        if not self.init.exited.done:
            self.init.status = Status.RUNNING
        self._shim.publisher.publish("/tasks/resumed", events.TaskResumed(container_id=self.id))

    async def pids(self) -> list[int]:
        """Return the host's pids of all processes inside."""
        self.init.require_running()
        return await self._runtime.ps(self.id)

    async def update(self, resources: bytes) -> None:
        """Change the limits."""
        self.init.require_running()
        await self._runtime.update(self.id, resources)

    # -- the end

    async def _follow(self, process: Process) -> None:
        """Wait for the end of a process and tell it."""
        exit_status = await process.end
        if process is self.init:
            if not notes.has_own_pid_namespace(self.bundle):
                await self._kill_the_rest()
            if self._oom is not None:
                # The kernel counts before it kills, so a kill for memory is seen here at the latest.
                self._oom.check()
                self._oom.close()
        process.streams.process_exited()
        process.finish(exit_status)
        if not process.starting:
            self._announce_exit(process)

    async def _kill_the_rest(self) -> None:
        """Without a pid namespace of its own the kernel does not end the others with init: the runtime does."""
        try:
            await self._runtime.kill(self.id, 9, everybody=True)
        except TaskError as error:
            log(f"after the end of init: {error.message}")

    def _announce_exit(self, process: Process) -> None:
        self._shim.publisher.publish(
            "/tasks/exit",
            events.TaskExit(
                container_id=self.id,
                id=process.exec_id or self.id,
                pid=process.pid,
                exit_status=process.exit_status,
                exited_at=Timestamp(**process.exited_at),
            ),
        )

    def _publish_oom(self) -> None:
        self._shim.publisher.publish("/tasks/oom", events.TaskOOM(container_id=self.id))

    async def delete(self, exec_id: str) -> Process:
        """Remove an ended process; with init goes the container."""
        process = self.process(exec_id)
        if process.status in (Status.RUNNING, Status.PAUSED):
            raise TaskError(FAILED_PRECONDITION, "cannot delete a running process")
        if exec_id:
            if process.starting:
                raise TaskError(FAILED_PRECONDITION, "cannot delete a starting process")
            process.streams.close()
            del self.execs[exec_id]
            return process
        if self._deleted:
            raise not_found(f"container {self.id}")
        self._deleted = True
        try:
            await self._delete_container()
        except TaskError:
            self._deleted = False
            raise
        self._shim.publisher.publish(
            "/tasks/delete",
            events.TaskDelete(
                container_id=self.id,
                pid=process.pid,
                exit_status=process.exit_status,
                exited_at=Timestamp(**process.exited_at),
            ),
        )
        return process

    async def _delete_container(self) -> None:
        try:
            await self._runtime.delete(self.id)
        except TaskError as error:
            if "does not exist" not in error.message:
                raise
        if self.init.pid:
            # A container that was never started is killed by its deletion: its end is told before its deletion.
            await self.init.exited
        for process in [self.init, *self.execs.values()]:
            process.streams.close()
        unmount_all(f"{self.bundle}/rootfs")
        notes.forget_runtime(self.bundle)


def check_identifier(what: str, value: str) -> None:
    """Refuse an id that would be more than a file name: it becomes one."""
    allowed = value.replace("-", "").replace("_", "").replace(".", "")
    if not value or len(value) > 76 or value[0] in ".-_" or not (allowed.isascii() and allowed.isalnum()):
        raise TaskError(INVALID_ARGUMENT, f"{what} {value!r} must be letters, digits, and - _ . between them")
