"""Start, stop, and what happens when a process ends (moby: daemon/start.go, stop.go, kill.go, monitor.go).

One run of a container, and who waits for whom:

    start()      Containers.Create, Tasks.Create, network, Tasks.Start      holds the container's lock
    the run      nobody holds anything; containerd's /tasks/exit resolves `container.task_exited`
    _finish()    Tasks.Delete (all output is flushed), streams end, state is saved, waiters wake, --rm removes

The order in `_finish` is what clients rely on: last output, end of the stream, then the answer to wait.
"""

import asyncio
import contextlib
import logging
import shutil
import time

from runtime.daemon import etc_files, shared_memory, signals, writable_layer
from runtime.daemon.background import Background
from runtime.daemon.container import Container, State
from runtime.daemon.container_store import ContainerStore
from runtime.daemon.containerd_client import Containerd, GRPCError, Status
from runtime.daemon.errors import ApiError, ConflictError, InvalidParameterError, NotModified, ServerError
from runtime.daemon.events import EventLog
from runtime.daemon.links import Links
from runtime.daemon.sandboxes import Sandboxes
from runtime.daemon.socket_watch import wait_for_socket
from runtime.daemon.spec_inputs import SpecGatherer
from runtime.daemon.start_failures import explain
from runtime.daemon.task_client import TaskClient
from runtime.daemon.timestamps import rfc3339
from runtime.daemon.volumes import VolumeStore

log = logging.getLogger("daemon")

SIGTERM, SIGKILL = 15, 9
DEFAULT_STOP_SECONDS = 10
_SECONDS_WITHOUT_SIGNAL = 2
"""What dockerd gives a process whose stop signal cannot be sent."""
_FIRST_RESTART_DELAY_SECONDS = 0.1
_LONGEST_RESTART_DELAY_SECONDS = 60.0


class Lifecycle:
    """Moves containers from one state to the next."""

    def __init__(
        self,
        containerd: Containerd,
        containers: ContainerStore,
        tasks: TaskClient,
        gatherer: SpecGatherer,
        links: Links,
        sandboxes: Sandboxes,
        volumes: VolumeStore,
        events: EventLog,
        background: Background,
        fifo_root: str,
    ) -> None:
        self._containerd = containerd
        self._containers = containers
        self._tasks = tasks
        self._gatherer = gatherer
        self._links = links
        self._sandboxes = sandboxes
        self._volumes = volumes
        self._events = events
        self._fifo_root = fifo_root
        self._background = background
        self._restart_alarms: dict[str, asyncio.TimerHandle] = {}

    def fifo_directory(self, container: Container) -> str:
        """Where the FIFOs of a container's processes are; short, since the shim may put sockets beside them."""
        return f"{self._fifo_root}/{container.id}"

    # Start -----------------------------------------------------------------------------------------------

    async def start(self, container: Container) -> None:
        """Run a container. NotModified when it runs; the error's text decides between 125, 126 and 127 in the CLI."""
        async with container.lock:
            if container.removing:
                raise ConflictError("container is marked for removal and cannot be started")
            if container.state.running and not container.state.restarting:
                raise NotModified
            self._cancel_restart(container)
            try:
                await self._run(container)
            except Exception as error:  # whatever it was: what the start has made goes again
                refusal = await self._start_failed(container, error)
                self._background.spawn(self.remove_if_asked(container))
                raise refusal from error
        self._background.spawn(self._finish_when_exited(container))

    async def _run(self, container: Container) -> None:
        owner = self._sandboxes.prepare(container)
        loop = asyncio.get_running_loop()
        streams = container.streams
        etc = etc_files.write(container, owner)
        shared_memory.prepare(container, self._containers)
        self._volumes.use(container)
        spec = self._gatherer.spec(container, etc)
        if streams.outputs_ended.done():  # a run before this one failed half way
            container.new_streams()
            streams = container.streams
        container.task_exited = loop.create_future()
        await self._tasks.create_container(container, container.image_name, spec)
        stdio = streams.make_fifos(self.fifo_directory(container), "init")
        container.begin_log()
        streams.on_input_closed = lambda: self._background.spawn(self._tasks.close_stdin(container.id))
        streams.open()
        pid = await self._tasks.create_task(container, stdio)
        streams.process_created()
        # The namespace exists and the program does not run yet: the one moment to furnish it.
        self._sandboxes.attach(container, pid)
        if container.endpoints:
            self._links.write_hosts(container)
        await self._tasks.start(container.id)
        container.stopped.clear()
        container.stopped_by_hand = False
        container.state = State(running=True, pid=pid, started_at=rfc3339(time.time_ns()))
        self._containers.save(container)
        self._links.tell_parents(container)
        self._events.container("start", container)

    async def _start_failed(self, container: Container, error: Exception) -> ApiError:
        """Undo a start that went half way, and say why in dockerd's words."""
        message = error.message if isinstance(error, (GRPCError, ApiError)) else str(error)
        message = message or "containerd refused without a word"
        try:
            await self._tasks.forget(container.id)
        except GRPCError as cause:
            log.warning("what the start of %s has left is not cleared away: %s", container.name, cause.message)
        self._sandboxes.detach(container)
        shared_memory.release(container)
        self._volumes.leave(container)
        container.streams.drain_and_close()
        container.new_streams()
        container.task_exited.cancel()
        code, message = explain(message)
        container.state = State(exit_code=code, error=message)
        self._containers.save(container)
        container.tell_exit()
        if isinstance(error, ApiError):
            return error
        return InvalidParameterError(message) if code in (126, 127) else ServerError(message)

    # The end of a run ------------------------------------------------------------------------------------

    def readopt(self, container: Container) -> None:
        """Take a run over that an earlier daemon began: open its FIFOs again and wait for its end."""
        if container.state.restarting:
            container.state.restarting = container.state.running = False
            self._background.spawn(self._start_quietly(container))
            return
        container.stopped.clear()
        self._volumes.keep(container)
        streams = container.streams
        container.begin_log()
        try:
            streams.adopt_fifos(self.fifo_directory(container), "init")
            streams.open()
            streams.process_created()
        except OSError as error:
            log.warning("output of container %s is lost: %s", container.name, error)
        self._background.spawn(self._finish_when_exited(container))

    async def _finish_when_exited(self, container: Container) -> None:
        status, exited_ns = await container.task_exited
        async with container.lock:
            await self._finish(container, status, exited_ns)
        await self.remove_if_asked(container)

    async def remove_if_asked(self, container: Container) -> None:
        """Remove an ended run of `--rm`: its client waits for that, so a containerd that is away is waited for."""
        while container.auto_remove and not container.state.running:
            try:
                await self.remove(container, force=True, volumes=True)
                return
            except GRPCError as error:
                if error.status is not Status.UNAVAILABLE:
                    raise
                await wait_for_socket(self._containerd.address)

    async def _finish(self, container: Container, status: int, exited_ns: int) -> None:
        await self._tasks.clear_away(container.id)
        container.streams.drain_and_close()
        container.new_streams()
        for session in list(container.execs.values()):
            session.container_stopped()
        container.state = State(
            exit_code=status,
            oom_killed=container.state.oom_killed,
            started_at=container.state.started_at,
            finished_at=rfc3339(exited_ns),
        )
        self._events.container("die", container, exitCode=str(status))
        self._sandboxes.detach(container)
        shared_memory.release(container)
        self._volumes.leave(container)
        self._plan_restart(container, status)
        self._containers.save(container)
        container.stopped.set()
        container.tell_exit()

    def _plan_restart(self, container: Container, status: int) -> None:
        """Begin another run where the restart policy wants one, after a delay that doubles each time."""
        policy = container.host_config["RestartPolicy"]
        name, most = policy.get("Name") or "no", int(policy.get("MaximumRetryCount") or 0)
        wanted = name in ("always", "unless-stopped") or (
            name == "on-failure" and status != 0 and (not most or container.restart_count < most)
        )
        if not wanted or container.stopped_by_hand:
            return
        delay = min(_FIRST_RESTART_DELAY_SECONDS * 2.0**container.restart_count, _LONGEST_RESTART_DELAY_SECONDS)
        container.restart_count += 1
        container.state.restarting = container.state.running = True
        # The delay is Docker's own semantics, not a guess at how long something takes.
        loop = asyncio.get_running_loop()
        self._restart_alarms[container.id] = loop.call_later(delay, self._restart_now, container)

    def _restart_now(self, container: Container) -> None:
        self._restart_alarms.pop(container.id, None)
        self._background.spawn(self._start_quietly(container))

    async def _start_quietly(self, container: Container) -> None:
        try:
            await self.start(container)
        except (ApiError, NotModified) as error:
            log.warning("restart of %s: %s", container.name, error)

    def _cancel_restart(self, container: Container) -> bool:
        alarm = self._restart_alarms.pop(container.id, None)
        if alarm is None:
            return False
        alarm.cancel()
        container.state.restarting = container.state.running = False
        self._containers.save(container)
        container.tell_exit()
        return True

    # Signals ---------------------------------------------------------------------------------------------

    async def kill(self, container: Container, signal: int) -> None:
        """Send a signal to the first process."""
        await self.settled(container)
        if self._cancel_restart(container):
            return  # between two runs there is no process; that there will be none is what was meant
        if not container.state.running:
            raise ConflictError(f"Cannot kill container: {container.name}: Container {container.id} is not running")
        if signal in (SIGTERM, SIGKILL):
            container.stopped_by_hand = True
        if container.state.paused and signal == SIGKILL:
            await self._tasks.resume(container.id)  # a frozen process cannot die
        self._events.container("kill", container, signal=str(signal))
        await self._tasks.kill(container.id, signal)
        if signal == SIGKILL:
            await container.stopped.wait()

    async def stop(self, container: Container, seconds: int | None) -> None:
        """Ask the process to end; kill it when it has not after `seconds` (-1: never)."""
        await self.settled(container)
        container.stopped_by_hand = True
        if self._cancel_restart(container):
            return
        if not container.state.running:
            raise NotModified
        if seconds is None:
            seconds = int(container.config.get("StopTimeout") or DEFAULT_STOP_SECONDS)
        first = signals.stop_signal(container.config.get("StopSignal") or "SIGTERM")
        if container.state.paused:
            await self._tasks.resume(container.id)
        if signals.exists(first):
            self._events.container("kill", container, signal=str(first))
            await self._tasks.kill(container.id, first)
        else:
            seconds = _SECONDS_WITHOUT_SIGNAL
        alarm = None
        if seconds >= 0:
            # The grace period is what `stop -t` means: a promise to the user, not a limit on any protocol step.
            loop = asyncio.get_running_loop()
            alarm = loop.call_later(seconds, lambda: self._background.spawn(self._kill_if_running(container)))
        try:
            await container.stopped.wait()
        finally:
            if alarm is not None:
                alarm.cancel()
        self._events.container("stop", container)

    async def _kill_if_running(self, container: Container) -> None:
        if not container.stopped.is_set():
            self._events.container("kill", container, signal=str(SIGKILL))
            await self._tasks.kill(container.id, SIGKILL)

    async def restart(self, container: Container, seconds: int | None) -> None:
        """Stop if it runs, then start."""
        try:
            await self.stop(container, seconds)
        except NotModified:
            pass  # not running: just start
        await self.start(container)
        self._events.container("restart", container)

    async def pause(self, container: Container) -> None:
        """Freeze all processes."""
        async with container.lock:
            self._require_running(container)
            if container.state.paused:
                raise ConflictError(f"Container {container.id} is already paused")
            await self._tasks.pause(container.id)
            container.state.paused = True
            self._containers.save(container)
        self._events.container("pause", container)

    async def unpause(self, container: Container) -> None:
        """Thaw them."""
        async with container.lock:
            if not container.state.paused:
                raise ServerError(f"Container {container.id} is not paused")
            await self._tasks.resume(container.id)
            container.state.paused = False
            self._containers.save(container)
        self._events.container("unpause", container)

    async def resize(self, container: Container, height: int, width: int) -> None:
        """Tell the terminal its size."""
        await self.require_running(container)
        if container.terminal:  # else there is nothing to resize, and nothing wrong with asking
            await self._tasks.resize(container.id, height, width)
        self._events.container("resize", container, height=str(height), width=str(width))

    async def settled(self, container: Container) -> None:
        """Wait for a start or a finish that is under way.

        The program's first words can be out before Tasks.Start has answered, and who has read them may well send a
        signal at once.
        """
        async with container.lock:
            pass

    async def require_running(self, container: Container) -> None:
        """409 unless it runs."""
        await self.settled(container)
        self._require_running(container)

    @staticmethod
    def _require_running(container: Container) -> None:
        if not container.state.running:
            raise ConflictError(f"Container {container.id} is not running")

    # Remove ----------------------------------------------------------------------------------------------

    async def remove(self, container: Container, force: bool, volumes: bool) -> None:
        """Delete a container with its writable layer, log and anonymous volumes."""
        if container.removing:
            if force:
                await container.removed()
                return
            raise ConflictError(f"removal of container {container.name} is already in progress")
        while not await self._removed_unless_running(container, volumes):
            if not force:
                what = "paused" if container.state.paused else "restarting" if container.state.restarting else "running"
                advice = {
                    "paused": "Unpause and then stop the container before attempting removal or force remove",
                }.get(what, "Stop the container before attempting removal or force remove")
                raise ConflictError(f"You cannot remove a {what} container {container.id}. {advice}")
            if self._cancel_restart(container):
                continue
            gone = container.removed()
            with contextlib.suppress(ConflictError):  # it has ended by itself meanwhile
                await self.kill(container, SIGKILL)
            if container.auto_remove:  # the end of the run removes it by itself
                await gone
                return
            gone.cancel()

    async def _removed_unless_running(self, container: Container, volumes: bool) -> bool:
        async with container.lock:  # which a start under way holds: whether it runs is known only afterwards
            if container.state.running:
                return False
            if self._containers.get(container.id) is not None:
                await self._remove(container, volumes)
            return True

    async def _remove(self, container: Container, volumes: bool) -> None:
        container.removing = True
        try:
            await writable_layer.remove(self._containerd, container.snapshotter, container.id)
        except GRPCError:
            container.removing = False
            raise
        shared_memory.release(container)
        self._volumes.leave(container)
        container.streams.end_sinks()
        self._containers.discard(container)
        shutil.rmtree(self.fifo_directory(container), ignore_errors=True)
        if volumes:
            others = [point for other in self._containers.all() for point in other.mount_points]
            self._volumes.remove_anonymous(container.mount_points, others)
        self._events.container("destroy", container)
        container.tell_removed()
