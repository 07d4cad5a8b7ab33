"""Listen to containerd's event stream (moby: libcontainerd/remote/client.go processEventStream).

    daemon -> containerd   Events.Subscribe {filters: ["namespace==moby"]}
    containerd -> daemon   Envelope {topic: "/tasks/exit", event: Any{containerd.events.TaskExit}} ...

All topics of the namespace are asked for, as whoever watches this conversation should see everything; acted upon are
exits and out-of-memory kills. Should containerd die, its shims live on: when its socket comes back, the subscription is
renewed, and every running container is asked after, since exits in between were told to nobody.
"""

import asyncio
import logging
from collections.abc import Callable

from google.protobuf.message import DecodeError

from runtime.api.containerd import events_pb2, events_service_pb2
from runtime.daemon.container import Container
from runtime.daemon.container_store import ContainerStore
from runtime.daemon.containerd_client import Containerd, GRPCError
from runtime.daemon.events import EventLog
from runtime.daemon.socket_watch import wait_for_socket
from runtime.daemon.strays import Strays
from runtime.daemon.task_client import TaskClient
from runtime.daemon.timestamps import from_protobuf

log = logging.getLogger("daemon")

_STOPPED = 3  # containerd.v1.types.Status


class TaskEvents:
    """Tells containers what became of their processes."""

    def __init__(
        self,
        containerd: Containerd,
        containers: ContainerStore,
        tasks: TaskClient,
        events: EventLog,
        strays: Strays,
    ) -> None:
        self._strays = strays
        self._containerd = containerd
        self._containers = containers
        self._tasks = tasks
        self._events = events
        self._on_exec_exit: dict[str, Callable[[int, int], None]] = {}
        self.stopping = False
        """Set while the daemon stops: that the stream ends is no news then."""

    def expect_exec(self, exec_id: str, on_exit: Callable[[int, int], None]) -> None:
        """Call back with status and instant when an exec's process has ended."""
        self._on_exec_exit[exec_id] = on_exit

    def forget_exec(self, exec_id: str) -> None:
        """Nobody waits for it any more."""
        self._on_exec_exit.pop(exec_id, None)

    async def run(self) -> None:
        """Follow the stream for as long as the daemon lives."""
        request = events_service_pb2.SubscribeRequest(filters=[f"namespace=={self._containerd.namespace}"])
        asking: asyncio.Task[None] | None = None
        while True:
            try:
                async for envelope in self._containerd.events.stream("Subscribe", request):
                    self._handle(envelope.topic, envelope.event.value)
                self._complain("containerd ended its event stream")
            except GRPCError as error:
                self._complain(f"lost containerd: {error.message}")
            await wait_for_socket(self._containerd.address)
            # It runs when the new subscription is waiting for its first event: what exits after the question is told.
            if asking is not None:
                asking.cancel()
            asking = asyncio.ensure_future(self.ask_after_all())

    def _complain(self, sentence: str) -> None:
        if not self.stopping:
            log.warning("%s", sentence)

    async def ask_after_all(self) -> None:
        """Find out which of the containers that should run do not any more, and what is there that should not be."""
        for container in self._containers.all():
            if container.state.running and not container.state.restarting:
                await self._ask_after(container)
        await self._strays.remove()

    async def _ask_after(self, container: Container) -> None:
        try:
            process = await self._tasks.get(container.id)
        except GRPCError as error:
            log.warning("cannot ask after container %s: %s", container.name, error)
            return
        if process is None:
            self._exited(container, 255, 0)  # nobody knows how it ended
        elif process.status == _STOPPED:
            self._exited(container, process.exit_status, from_protobuf(process.exited_at))

    def _handle(self, topic: str, value: bytes) -> None:
        try:
            if topic == "/tasks/exit":
                exit_event = events_pb2.TaskExit.FromString(value)
                exited_ns = from_protobuf(exit_event.exited_at)
                if exit_event.id != exit_event.container_id and exit_event.id:
                    if on_exit := self._on_exec_exit.pop(exit_event.id, None):
                        on_exit(exit_event.exit_status, exited_ns)
                elif container := self._containers.get(exit_event.container_id):
                    self._exited(container, exit_event.exit_status, exited_ns)
            elif topic == "/tasks/oom":
                oom_event = events_pb2.TaskOOM.FromString(value)
                if container := self._containers.get(oom_event.container_id):
                    container.state.oom_killed = True
                    self._events.container("oom", container)
        except DecodeError as error:
            log.warning("unreadable %s event: %s", topic, error)

    @staticmethod
    def _exited(container: Container, status: int, exited_ns: int) -> None:
        if not container.task_exited.done():
            container.task_exited.set_result((status, exited_ns))
