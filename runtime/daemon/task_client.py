"""Containers and tasks in containerd, call by call (moby: libcontainerd/remote/client.go).

In containerd a *container* is a record (spec, snapshot, runtime) and a *task* is what runs of it. For one run:

    Containers.Create    the record with config.json inside
    Tasks.Create         containerd starts the shim; the shim mounts the snapshot and calls `runtime create`
    Tasks.Start          the shim calls `runtime start`; the user's program is executed
    (event /tasks/exit)
    Tasks.Delete         `runtime delete`, the shim ends
    Containers.Delete    the record goes; the next run makes a new one
"""

import json
import logging
import os
from signal import SIGKILL
from typing import Any

from google.protobuf.any_pb2 import Any as AnyMessage

from runtime.api.containerd import containers_pb2, runc_options_pb2, tasks_pb2
from runtime.daemon.container import Container
from runtime.daemon.containerd_client import Containerd, GRPCError, Status
from runtime.daemon.options import DaemonOptions
from runtime.daemon.stdio import StdioPaths

log = logging.getLogger("daemon")

_SPEC_TYPE = "types.containerd.io/opencontainers/runtime-spec/1/Spec"
_PROCESS_TYPE = "types.containerd.io/opencontainers/runtime-spec/1/Process"
_OPTIONS_TYPE = "containerd.runc.v1.Options"
_BUNDLE_LABEL = "com.docker/engine.bundle.path"


class TaskClient:
    """What the daemon asks of containerd about one container after another."""

    def __init__(self, containerd: Containerd, options: DaemonOptions) -> None:
        self._containerd = containerd
        self._options = options

    def _runtime_options(self, container: Container) -> AnyMessage:
        """Which OCI runtime the shim is to call, and where that runtime keeps its state."""
        name = container.host_config["Runtime"]
        options = runc_options_pb2.Options(
            binary_name=self._options.runtimes[name],
            root=os.path.join(self._options.exec_root, f"runtime-{name}"),
        )
        return AnyMessage(type_url=_OPTIONS_TYPE, value=options.SerializeToString())

    async def create_container(self, container: Container, image: str, spec: dict[str, Any]) -> None:
        """Containers.Create, replacing a record that a killed daemon left."""
        record = containers_pb2.Container(
            id=container.id, image=image, snapshotter=container.snapshotter, snapshot_key=container.id
        )
        record.labels[_BUNDLE_LABEL] = ""
        record.runtime.name = self._options.shim
        record.runtime.options.CopyFrom(self._runtime_options(container))
        record.spec.type_url = _SPEC_TYPE
        record.spec.value = json.dumps(spec, separators=(",", ":")).encode()
        request = containers_pb2.CreateContainerRequest(container=record)
        try:
            await self._containerd.containers.call("Create", request)
        except GRPCError as error:
            if error.status is not Status.ALREADY_EXISTS:
                raise
            await self.delete_task(container.id)
            await self.delete_container(container.id)
            await self._containerd.containers.call("Create", request)

    async def create_task(self, container: Container, stdio: StdioPaths) -> int:
        """Tasks.Create; returns the process id of the init that waits for Tasks.Start."""
        request = tasks_pb2.CreateTaskRequest(
            container_id=container.id,
            stdin=stdio.stdin,
            stdout=stdio.stdout,
            stderr=stdio.stderr,
            terminal=container.terminal,
        )
        for mount in container.rootfs:
            request.rootfs.add(type=mount.type, source=mount.source, options=mount.options)
        request.options.CopyFrom(self._runtime_options(container))
        reply = await self._containerd.tasks.call("Create", request)
        return int(reply.pid)

    async def start(self, id: str, exec_id: str = "") -> int:
        """Tasks.Start of the init, or of an exec."""
        request = tasks_pb2.StartRequest(container_id=id, exec_id=exec_id)
        reply = await self._containerd.tasks.call("Start", request)
        return int(reply.pid)

    async def kill(self, id: str, signal: int, exec_id: str = "") -> None:
        """Tasks.Kill; a process that is gone already is as good as killed."""
        request = tasks_pb2.KillRequest(container_id=id, signal=signal, exec_id=exec_id)
        await self._unless_gone(self._containerd.tasks.call("Kill", request))

    async def delete_task(self, id: str) -> None:
        """Tasks.Delete; when it answers, the shim has flushed all output and is gone."""
        request = tasks_pb2.DeleteTaskRequest(container_id=id)
        await self._now_or_later(self._containerd.tasks.call("Delete", request))

    async def delete_process(self, id: str, exec_id: str) -> None:
        """Tasks.DeleteProcess of an exec that has ended."""
        request = tasks_pb2.DeleteProcessRequest(container_id=id, exec_id=exec_id)
        await self._unless_gone(self._containerd.tasks.call("DeleteProcess", request))

    async def delete_container(self, id: str) -> None:
        """Containers.Delete."""
        request = containers_pb2.DeleteContainerRequest(id=id)
        await self._now_or_later(self._containerd.containers.call("Delete", request))

    async def clear_away(self, id: str) -> None:
        """Delete an ended run. What cannot be deleted is logged and left for `known_to_containerd`: it is over."""
        try:
            await self.delete_task(id)
            await self.delete_container(id)
        except GRPCError as error:
            log.warning("the run of container %s is not cleared away: %s", id, error.message)

    async def forget(self, id: str) -> None:
        """Leave nothing of a container's run in containerd, whatever state it is in. Raises GRPCError."""
        await self._now_or_later(self.kill(id, SIGKILL))
        await self._now_or_later(self._containerd.tasks.call("Wait", tasks_pb2.WaitRequest(container_id=id)))
        await self.delete_task(id)
        await self.delete_container(id)

    async def known_to_containerd(self) -> list[str]:
        """Ids of the containers that a daemon has put into containerd; `ctr` may have put others there."""
        reply = await self._containerd.containers.call("List", containers_pb2.ListContainersRequest())
        return [container.id for container in reply.containers if _BUNDLE_LABEL in container.labels]

    async def exec(self, id: str, exec_id: str, process: dict[str, Any], stdio: StdioPaths) -> None:
        """Tasks.Exec: announce one more process; Tasks.Start with its exec id runs it."""
        request = tasks_pb2.ExecProcessRequest(
            container_id=id,
            exec_id=exec_id,
            stdin=stdio.stdin,
            stdout=stdio.stdout,
            stderr=stdio.stderr,
            terminal=bool(process.get("terminal")),
        )
        request.spec.type_url = _PROCESS_TYPE
        request.spec.value = json.dumps(process, separators=(",", ":")).encode()
        await self._containerd.tasks.call("Exec", request)

    async def resize(self, id: str, height: int, width: int, exec_id: str = "") -> None:
        """Tasks.ResizePty."""
        request = tasks_pb2.ResizePtyRequest(container_id=id, exec_id=exec_id, width=width, height=height)
        await self._containerd.tasks.call("ResizePty", request)

    async def close_stdin(self, id: str, exec_id: str = "") -> None:
        """Tasks.CloseIO: the shim drops its own end of stdin, so that the process sees the end of file."""
        request = tasks_pb2.CloseIORequest(container_id=id, exec_id=exec_id, stdin=True)
        await self._unless_gone(self._containerd.tasks.call("CloseIO", request))

    async def pause(self, id: str) -> None:
        """Tasks.Pause: the freezer cgroup."""
        await self._containerd.tasks.call("Pause", tasks_pb2.PauseTaskRequest(container_id=id))

    async def resume(self, id: str) -> None:
        """Tasks.Resume."""
        await self._containerd.tasks.call("Resume", tasks_pb2.ResumeTaskRequest(container_id=id))

    async def pids(self, id: str) -> list[int]:
        """Tasks.ListPids: every process in the container's cgroup."""
        reply = await self._containerd.tasks.call("ListPids", tasks_pb2.ListPidsRequest(container_id=id))
        return [int(process.pid) for process in reply.processes]

    async def metrics(self, id: str) -> AnyMessage | None:
        """Tasks.Metrics of one container: a message of the cgroup version that the host has; None when it is gone."""
        reply = await self._containerd.tasks.call("Metrics", tasks_pb2.MetricsRequest(filters=[f"id=={id}"]))
        return reply.metrics[0].data if reply.metrics else None

    async def get(self, id: str, exec_id: str = "") -> Any | None:
        """Tasks.Get; None when there is no such task."""
        try:
            request = tasks_pb2.GetRequest(container_id=id, exec_id=exec_id)
            reply = await self._containerd.tasks.call("Get", request)
        except GRPCError as error:
            if error.status is Status.NOT_FOUND:
                return None
            raise
        return reply.process

    async def _now_or_later(self, call: Any) -> None:
        """A containerd that is away keeps no run from ending: it is cleared up when it is back (task_events.py)."""
        try:
            await self._unless_gone(call)
        except GRPCError as error:
            if error.status is not Status.UNAVAILABLE:
                raise

    @staticmethod
    async def _unless_gone(call: Any) -> None:
        try:
            await call
        except GRPCError as error:
            if error.status is not Status.NOT_FOUND and "process already finished" not in (error.message or ""):
                raise
