"""The task service: what containerd can ask of a shim, one method a call.

Real counterpart: containerd runtime/v2/runc/task/service.go; containerd.task.v2.Task in `task_shim.proto`.

    containerd                                    shim
      | Create  ---------------------------------> mounts, `runc create`; TaskCreate
      | Wait    ---------------------------------> (answered when the process has ended)
      | Start   ---------------------------------> `runc start`; TaskStart
      | State, Pids, Stats, Kill, Pause, Exec ...
      | Delete  ---------------------------------> `runc delete`, unmount; TaskDelete
      | Shutdown --------------------------------> answered, then the shim ends if it holds nothing

One shim holds one container. Left out on purpose: a shim for all containers of a pod (an annotation that only
Kubernetes sets), and checkpoints, which are refused by name.
"""

import json
import os
from collections.abc import Callable
from typing import Any

from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.message import DecodeError
from google.protobuf.timestamp_pb2 import Timestamp

from runtime.api.containerd import task_shim_pb2 as task
from runtime.api.containerd.process_pb2 import Status
from runtime.api.containerd.runc_options_pb2 import Options, ProcessDetails
from runtime.shim.bundle import RuntimeOptions
from runtime.shim.container import Container, Surroundings, check_identifier
from runtime.shim.errors import ALREADY_EXISTS, INVALID_ARGUMENT, UNIMPLEMENTED, UNKNOWN, TaskError, not_found
from runtime.shim.process import Process
from runtime.shim.rootfs import Mount
from runtime.shim.runc import DEFAULT_BINARY
from runtime.shim.stdio import StdioPaths


class TaskService:
    """Answers the calls of one shim."""

    descriptor = task.DESCRIPTOR.services_by_name["Task"]

    def __init__(self, shim: Surroundings, namespace: str, default_root: str, shutdown: Callable[[], None]) -> None:
        self._shim = shim
        self._namespace = namespace
        self._default_root = default_root
        self._stop_shim = shutdown
        self._creating: Container | None = None
        self._container: Container | None = None

    async def call(self, method: str, request: Any, response: Any) -> None:
        """Run one method."""
        # A containerd that restarts dials its shims first of all: a good moment for events that wait for it.
        self._shim.publisher.offer()
        try:
            await getattr(self, f"_{method.lower()}")(request, response)
        except OSError as reason:
            what = f"{reason.filename}: " if reason.filename else ""
            raise TaskError(UNKNOWN, f"{method.lower()}: {what}{(reason.strerror or str(reason)).lower()}") from None

    def _held(self, container_id: str) -> Container:
        if self._container is None or self._container.id != container_id:
            raise not_found("container not created")
        return self._container

    # -- creation

    async def _create(self, request: task.CreateTaskRequest, response: task.CreateTaskResponse) -> None:
        check_identifier("container id", request.id)
        if request.checkpoint or request.parent_checkpoint:
            raise TaskError(UNIMPLEMENTED, "restoring a checkpoint is not implemented")
        if not os.path.isdir(request.bundle):
            raise TaskError(INVALID_ARGUMENT, f"bundle {request.bundle!r} is not a directory")
        if self._creating is not None or self._container is not None:
            raise TaskError(ALREADY_EXISTS, f"task {request.id}: this shim already holds a container: already exists")
        container = Container(self._shim, request.id, request.bundle, self._runtime_options(request.options))
        mounts = [Mount(mount.type, mount.source, tuple(mount.options)) for mount in request.rootfs]
        self._creating = container
        try:
            response.pid = await container.create(mounts, _paths(request))
            self._container = container
        finally:
            self._creating = None

    def _runtime_options(self, packed: AnyMessage) -> RuntimeOptions:
        options = Options()
        if packed.type_url.rsplit("/", 1)[-1] == Options.DESCRIPTOR.full_name:
            try:
                options.ParseFromString(packed.value)
            except DecodeError as reason:
                raise TaskError(INVALID_ARGUMENT, f"unmarshal error: options: {reason}") from None
        return RuntimeOptions(
            binary=options.binary_name or DEFAULT_BINARY,
            # Ids are unique in a containerd namespace only, so each has a root of its own.
            root=os.path.join(options.root or self._default_root, self._namespace),
            systemd_cgroup=options.systemd_cgroup,
            no_pivot_root=options.no_pivot_root,
            no_new_keyring=options.no_new_keyring,
        )

    async def _exec(self, request: task.ExecProcessRequest, _response: object) -> None:
        check_identifier("exec id", request.exec_id)
        container = self._held(request.id)
        container.init.require_running()
        try:
            json.loads(request.spec.value)
        except ValueError as reason:
            raise TaskError(INVALID_ARGUMENT, f"unmarshal error: process spec: {reason}") from None
        container.add_exec(request.exec_id, _paths(request), request.spec.value)

    async def _start(self, request: task.StartRequest, response: task.StartResponse) -> None:
        response.pid = await self._held(request.id).start(request.exec_id)

    # -- questions

    async def _state(self, request: task.StateRequest, response: task.StateResponse) -> None:
        container = self._held(request.id)
        process = container.process(request.exec_id)
        response.MergeFrom(
            task.StateResponse(
                id=container.id,
                bundle=container.bundle,
                pid=process.pid,
                status=process.status,
                stdin=process.paths.stdin,
                stdout=process.paths.stdout,
                stderr=process.paths.stderr,
                terminal=process.paths.terminal,
                exit_status=process.exit_status,
                exited_at=Timestamp(**process.exited_at),
                exec_id=process.exec_id,
            )
        )

    async def _wait(self, request: task.WaitRequest, response: task.WaitResponse) -> None:
        process = self._held(request.id).process(request.exec_id)
        await process.exited
        _fill_end(process, response)

    async def _pids(self, request: task.PidsRequest, response: task.PidsResponse) -> None:
        container = self._held(request.id)
        exec_ids = {process.pid: exec_id for exec_id, process in container.execs.items()}
        for pid in await container.pids():
            entry = response.processes.add(pid=pid)
            if pid in exec_ids:
                details = ProcessDetails(exec_id=exec_ids[pid])
                entry.info.type_url = details.DESCRIPTOR.full_name
                entry.info.value = details.SerializeToString()

    async def _stats(self, request: task.StatsRequest, response: task.StatsResponse) -> None:
        from runtime.shim.metrics import read_metrics  # only who is asked pays for the import

        container = self._held(request.id)
        container.init.require_running()
        response.stats.CopyFrom(read_metrics(container.init.pid))

    async def _connect(self, request: task.ConnectRequest, response: task.ConnectResponse) -> None:
        response.shim_pid = os.getpid()
        if self._container is not None and self._container.id == request.id:
            response.task_pid = self._container.init.pid

    # -- changes

    async def _kill(self, request: task.KillRequest, _response: object) -> None:
        await self._held(request.id).kill(request.exec_id, request.signal, everybody=request.all)

    async def _pause(self, request: task.PauseRequest, _response: object) -> None:
        await self._held(request.id).pause()

    async def _resume(self, request: task.ResumeRequest, _response: object) -> None:
        await self._held(request.id).resume()

    async def _update(self, request: task.UpdateTaskRequest, _response: object) -> None:
        await self._held(request.id).update(request.resources.value)

    async def _closeio(self, request: task.CloseIORequest, _response: object) -> None:
        process = self._held(request.id).process(request.exec_id)
        if request.stdin:
            process.streams.close_stdin()

    async def _resizepty(self, request: task.ResizePtyRequest, _response: object) -> None:
        process = self._held(request.id).process(request.exec_id)
        process.streams.resize(request.width, request.height)

    async def _checkpoint(self, _request: object, _response: object) -> None:
        raise TaskError(UNIMPLEMENTED, "checkpoint is not implemented")

    # -- the end

    async def _delete(self, request: task.DeleteRequest, response: task.DeleteResponse) -> None:
        process = await self._held(request.id).delete(request.exec_id)
        if not request.exec_id:
            self._container = None
        response.pid = process.pid
        _fill_end(process, response)

    async def _shutdown(self, request: task.ShutdownRequest, _response: object) -> None:
        """End the shim; while it holds a container, or the runtime makes one, only `now` does."""
        at_work = self._creating is not None and not self._creating.waits_for_client
        if (self._container is None and not at_work) or request.now:
            self._stop_shim()


def _paths(request: task.CreateTaskRequest | task.ExecProcessRequest) -> StdioPaths:
    return StdioPaths(request.stdin, request.stdout, request.stderr, request.terminal)


def _fill_end(process: Process, response: task.WaitResponse | task.DeleteResponse) -> None:
    if process.status == Status.STOPPED:
        response.exit_status = process.exit_status
        response.exited_at.CopyFrom(Timestamp(**process.exited_at))
