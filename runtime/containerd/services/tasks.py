"""Tasks: what runs. Each call is passed on to the shim of the container.

Real counterpart: containerd `services/tasks/local.go` on `runtime/v2/shim.go`.

    client                 containerd                         shim
      | Tasks/Create   -->   | start the shim, Create, Connect --> |      a task's events (/tasks/start, exit, ...)
      | Tasks/Start    -->   | Start, State                    --> |      come from the shim (ADDRESS.ttrpc)
      | Tasks/Wait     -->   | Connect, Wait  (answered later) --> |
      | Tasks/Get      -->   | State                           --> |
      | Tasks/Delete   -->   | Delete, Shutdown, then `SHIM delete`

Calls that change something run to their end even when the client goes away meanwhile: half a Create would be nobody's,
and a whole one, too, which is why it is undone.

Left out on purpose: Checkpoint (CRIU), and checkpoints to create from.
"""

import asyncio
from typing import Any

from google.protobuf.empty_pb2 import Empty

from runtime.api.containerd import task_shim_pb2 as shim_api
from runtime.api.containerd import tasks_pb2, types_pb2
from runtime.api.containerd.process_pb2 import STOPPED, Process
from runtime.containerd import clock, filters, identifiers, log
from runtime.containerd.errors import (
    AlreadyExistsError,
    ContainerdError,
    InvalidArgumentError,
    NotFoundError,
    UnimplementedError,
)
from runtime.containerd.metadata import Metadata
from runtime.containerd.server import Call
from runtime.containerd.services.containers import read_container
from runtime.containerd.shim import Shim
from runtime.containerd.shims import Shims
from runtime.containerd.ttrpc_client import ConnectionClosedError
from runtime.containerd.unfinished import to_the_end


class TasksService:
    """`ctr tasks ...` and `ctr run`."""

    descriptor = tasks_pb2.DESCRIPTOR.services_by_name["Tasks"]

    def __init__(self, metadata: Metadata, shims: Shims) -> None:
        self._metadata, self._shims = metadata, shims

    async def create(self, call: Call, request: tasks_pb2.CreateTaskRequest) -> tasks_pb2.CreateTaskResponse:
        container = read_container(self._metadata, call.namespace, request.container_id)
        if request.HasField("checkpoint"):
            raise UnimplementedError("creating a task from a checkpoint")
        if self._shims.find(call.namespace, container.id) is not None:
            raise AlreadyExistsError(f"task {container.id}")
        client_gone: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        runtime, spec = container.runtime, container.spec.value
        try:
            task = await to_the_end(
                self._shims.create(call.namespace, runtime.name, runtime.options, spec, request, client_gone)
            )
        except asyncio.CancelledError:
            client_gone.set_result(None)
            raise
        connected = await _ask(task, "Connect", shim_api.ConnectRequest(id=container.id))
        return tasks_pb2.CreateTaskResponse(container_id=container.id, pid=connected.task_pid)

    async def start(self, call: Call, request: tasks_pb2.StartRequest) -> tasks_pb2.StartResponse:
        task = self._task(call, request.container_id)
        await _ask(task, "Start", shim_api.StartRequest(id=task.bundle.id, exec_id=request.exec_id))
        state = await _ask(task, "State", shim_api.StateRequest(id=task.bundle.id, exec_id=request.exec_id))
        return tasks_pb2.StartResponse(pid=state.pid)

    async def delete(self, call: Call, request: tasks_pb2.DeleteTaskRequest) -> tasks_pb2.DeleteResponse:
        task = self._task(call, request.container_id)
        deleted = await to_the_end(self._shims.delete(task))
        return _delete_response(task.bundle.id, deleted)

    async def delete_process(self, call: Call, request: tasks_pb2.DeleteProcessRequest) -> tasks_pb2.DeleteResponse:
        task = self._task(call, request.container_id)
        await _ask(task, "State", shim_api.StateRequest(id=task.bundle.id, exec_id=request.exec_id))
        deleted = await _ask(task, "Delete", shim_api.DeleteRequest(id=task.bundle.id, exec_id=request.exec_id))
        return _delete_response(request.exec_id, deleted)

    async def get(self, call: Call, request: tasks_pb2.GetRequest) -> tasks_pb2.GetResponse:
        task = self._task(call, request.container_id)
        return tasks_pb2.GetResponse(process=await _process(task, request.exec_id))

    async def list(self, call: Call, request: tasks_pb2.ListTasksRequest) -> tasks_pb2.ListTasksResponse:
        processes: list[Process] = []
        for task in self._shims.in_namespace(call.namespace):
            try:
                processes.append(await _process(task, ""))
            except ContainerdError:
                continue  # it ended while we asked the others
        return tasks_pb2.ListTasksResponse(tasks=processes)

    async def kill(self, call: Call, request: tasks_pb2.KillRequest) -> Empty:
        task = self._task(call, request.container_id)
        wanted = shim_api.KillRequest(
            id=task.bundle.id, exec_id=request.exec_id, signal=request.signal, all=request.all
        )
        await _ask(task, "Kill", wanted)
        return Empty()

    async def exec(self, call: Call, request: tasks_pb2.ExecProcessRequest) -> Empty:
        if not request.exec_id:
            raise InvalidArgumentError("exec id cannot be empty")
        identifiers.require_identifier(request.exec_id)
        task = self._task(call, request.container_id)
        wanted = shim_api.ExecProcessRequest(
            id=task.bundle.id,
            exec_id=request.exec_id,
            terminal=request.terminal,
            stdin=request.stdin,
            stdout=request.stdout,
            stderr=request.stderr,
            spec=request.spec,
        )
        await _ask(task, "Exec", wanted)
        return Empty()

    async def resize_pty(self, call: Call, request: tasks_pb2.ResizePtyRequest) -> Empty:
        task = self._task(call, request.container_id)
        wanted = shim_api.ResizePtyRequest(
            id=task.bundle.id, exec_id=request.exec_id, width=request.width, height=request.height
        )
        await _ask(task, "ResizePty", wanted)
        return Empty()

    async def close_io(self, call: Call, request: tasks_pb2.CloseIORequest) -> Empty:
        task = self._task(call, request.container_id)
        wanted = shim_api.CloseIORequest(id=task.bundle.id, exec_id=request.exec_id, stdin=request.stdin)
        await _ask(task, "CloseIO", wanted)
        return Empty()

    async def pause(self, call: Call, request: tasks_pb2.PauseTaskRequest) -> Empty:
        task = self._task(call, request.container_id)
        await _ask(task, "Pause", shim_api.PauseRequest(id=task.bundle.id))
        return Empty()

    async def resume(self, call: Call, request: tasks_pb2.ResumeTaskRequest) -> Empty:
        task = self._task(call, request.container_id)
        await _ask(task, "Resume", shim_api.ResumeRequest(id=task.bundle.id))
        return Empty()

    async def list_pids(self, call: Call, request: tasks_pb2.ListPidsRequest) -> tasks_pb2.ListPidsResponse:
        task = self._task(call, request.container_id)
        pids = await _ask(task, "Pids", shim_api.PidsRequest(id=task.bundle.id))
        return tasks_pb2.ListPidsResponse(processes=pids.processes)

    async def update(self, call: Call, request: tasks_pb2.UpdateTaskRequest) -> Empty:
        task = self._task(call, request.container_id)
        wanted = shim_api.UpdateTaskRequest(
            id=task.bundle.id, resources=request.resources, annotations=request.annotations
        )
        await _ask(task, "Update", wanted)
        return Empty()

    async def metrics(self, call: Call, request: tasks_pb2.MetricsRequest) -> tasks_pb2.MetricsResponse:
        wanted = filters.parse(request.filters)
        response = tasks_pb2.MetricsResponse()
        for task in self._shims.in_namespace(call.namespace):
            container_id = task.bundle.id
            reader = filters.message_reader(Process(id=container_id))
            if not wanted.matches(reader):
                continue
            try:
                answer = await _ask(task, "Stats", shim_api.StatsRequest(id=container_id))
            except NotFoundError:
                continue  # it ended while we asked the others
            except ContainerdError as error:
                log.warn(f"collecting metrics for {container_id}: {error}")
                continue
            response.metrics.append(types_pb2.Metric(timestamp=clock.now(), id=container_id, data=answer.stats))
        return response

    async def wait(self, call: Call, request: tasks_pb2.WaitRequest) -> tasks_pb2.WaitResponse:
        task = self._task(call, request.container_id)
        ended = await _ask(task, "Wait", shim_api.WaitRequest(id=task.bundle.id, exec_id=request.exec_id))
        return tasks_pb2.WaitResponse(exit_status=ended.exit_status, exited_at=ended.exited_at)

    def _task(self, call: Call, container_id: str) -> Shim:
        container = read_container(self._metadata, call.namespace, container_id)
        task = self._shims.find(call.namespace, container.id)
        if task is None:
            raise NotFoundError(f"task {container.id} not found", bare=True)
        return task


async def _ask(task: Shim, method: str, request: Any) -> Any:
    """Call the shim; a shim that is gone counts as a task that does not exist."""
    try:
        return await task.call(method, request)
    except ConnectionClosedError:
        raise NotFoundError("ttrpc: closed") from None


async def _process(task: Shim, exec_id: str) -> Process:
    state = await _ask(task, "State", shim_api.StateRequest(id=task.bundle.id, exec_id=exec_id))
    # containerd fills in `id` and leaves `container_id` empty.
    return Process(
        id=exec_id or task.bundle.id,
        pid=state.pid,
        status=state.status,
        stdin=state.stdin,
        stdout=state.stdout,
        stderr=state.stderr,
        terminal=state.terminal,
        exit_status=state.exit_status,
        exited_at=state.exited_at if state.HasField("exited_at") or state.status == STOPPED else clock.NEVER,
    )


def _delete_response(process_id: str, deleted: shim_api.DeleteResponse) -> tasks_pb2.DeleteResponse:
    return tasks_pb2.DeleteResponse(
        id=process_id, pid=deleted.pid, exit_status=deleted.exit_status, exited_at=deleted.exited_at
    )
