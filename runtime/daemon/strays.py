"""Find what belongs to no container: one of us was killed while it made or removed something (moby: none).

    run        a record, and perhaps a task, in containerd, whose container is gone or does not run
    layer      a writable snapshot whose container was killed with the daemon before it had a record

Looked for whenever the daemon has (re)connected to containerd, and taken away.
"""

import logging

from runtime.api.containerd import snapshots_pb2
from runtime.daemon import writable_layer
from runtime.daemon.container_store import ContainerStore
from runtime.daemon.containerd_client import Containerd, GRPCError
from runtime.daemon.task_client import TaskClient

log = logging.getLogger("daemon")

_ID_LENGTH = 64


class Strays:
    """Takes away what was left half way."""

    def __init__(self, containerd: Containerd, containers: ContainerStore, tasks: TaskClient, snapshotter: str) -> None:
        self._containerd = containerd
        self._containers = containers
        self._tasks = tasks
        self._snapshotter = snapshotter

    async def remove(self) -> None:
        """Look for strays and remove them; what cannot be removed now is logged, and found again the next time."""
        try:
            for container_id in await self._tasks.known_to_containerd():
                await self._forget_run(container_id)
            request = snapshots_pb2.ListSnapshotsRequest(snapshotter=self._snapshotter)
            found = [info async for reply in self._containerd.snapshots.stream("List", request) for info in reply.info]
            for info in found:
                if info.kind == snapshots_pb2.ACTIVE and _is_id(info.name) and not self._containers.owns(info.name):
                    await writable_layer.remove(self._containerd, self._snapshotter, info.name)
        except GRPCError as error:
            log.warning("cannot look for runs and layers that were left: %s", error)

    async def _forget_run(self, container_id: str) -> None:
        container = self._containers.get(container_id)
        if container is None:
            await self._tasks.forget(container_id)
        elif not container.state.running:
            async with container.lock:  # a start under way holds it
                if not container.state.running:
                    await self._tasks.forget(container_id)


def _is_id(key: str) -> bool:
    """Whether a snapshot is a container's: layers that are being unpacked have longer names."""
    return len(key) == _ID_LENGTH and set(key) <= set("0123456789abcdef")
