"""All shims of this containerd: starting, finding again, and what to do when one ends.

Real counterpart: containerd `runtime/v2/manager.go`, `shim_load.go` and cleanupAfterDeadShim in `shim.go`.

The end of a connection is the one signal that a shim is gone. Whether the task was deleted before it (the clean way)
or not (the shim was killed) is told apart by the table: a clean Delete takes the task out of it first. In both cases
the shim's `delete` command runs, then the bundle goes; only for a killed shim are TaskExit and TaskDelete published
from here, since nobody else is left to do it.
"""

import asyncio
from signal import SIGKILL

from google.protobuf.any_pb2 import Any as AnyMessage

from runtime.api.containerd import events_pb2, task_shim_pb2, tasks_pb2
from runtime.containerd import bundle as bundles
from runtime.containerd import clock, log, shim
from runtime.containerd.errors import ContainerdError, NotFoundError, ShimError
from runtime.containerd.exchange import Exchange
from runtime.containerd.settings import Settings
from runtime.containerd.shim import Shim
from runtime.containerd.ttrpc_client import ConnectionClosedError

_KILLED_UNSEEN = 255
"""The exit status of a task whose shim's `delete` command could not say it (as containerd)."""


class Shims:
    """The running tasks, by namespace and container id."""

    def __init__(self, settings: Settings, exchange: Exchange) -> None:
        self._settings, self._exchange = settings, exchange
        self._tasks: dict[tuple[str, str], Shim] = {}
        self._cleaning: dict[tuple[str, str], asyncio.Task[None]] = {}
        self._leaving = False

    def find(self, namespace: str, container_id: str) -> Shim | None:
        """Return the shim of a container's task, None if it has none."""
        return self._tasks.get((namespace, container_id))

    def in_namespace(self, namespace: str) -> list[Shim]:
        """Return a namespace's shims, by container id."""
        return [self._tasks[key] for key in sorted(self._tasks) if key[0] == namespace]

    async def create(
        self,
        namespace: str,
        runtime: str,
        runtime_options: AnyMessage,
        spec: bytes,
        request: tasks_pb2.CreateTaskRequest,
        client_gone: "asyncio.Future[None]",
    ) -> Shim:
        """Start a shim and let it create the task; nothing is left behind if that fails, or if the client goes away."""
        binary = shim.binary_for(runtime, request.runtime_path)
        bundle = bundles.create(self._settings.root, self._settings.state, namespace, request.container_id, spec)
        # A client's options for this one task go before the container's; an Any without a value counts as none.
        options = request.options if request.options.value else runtime_options
        try:
            bundle.write("runtime", runtime)
            started = await shim.start(bundle, binary, options, self._settings)
        except (ContainerdError, OSError):
            await shim.clean_up(bundle, binary, self._settings)
            bundle.remove()
            raise
        self._watch(started, binary)
        try:
            await self._create_task(started, _create_request(bundle, options, request), client_gone)
        except (ShimError, ConnectionClosedError) as error:
            await self._give_up(started)
            code = error.code.value if isinstance(error, ShimError) else 2
            raise ShimError(code, str(error), "failed to create shim task: ") from None
        self._tasks[started.key] = started
        if client_gone.done():
            await self._end(started)
        return started

    async def _create_task(
        self, started: Shim, request: task_shim_pb2.CreateTaskRequest, client_gone: "asyncio.Future[None]"
    ) -> None:
        """Call Create. A shim may wait in it for its client to open the FIFOs, which one that has gone never will."""
        creating = asyncio.ensure_future(started.call("Create", request))
        await asyncio.wait((creating, client_gone), return_when=asyncio.FIRST_COMPLETED)
        if not creating.done():
            await self._ask_to_end(started)
        await creating

    async def _end(self, task: Shim) -> None:
        """Delete a task that nobody knows of."""
        container_id = task.bundle.id
        try:
            await task.call("Kill", task_shim_pb2.KillRequest(id=container_id, signal=SIGKILL))
            await task.call("Wait", task_shim_pb2.WaitRequest(id=container_id))
            await self.delete(task)
        except (ContainerdError, ConnectionClosedError) as error:
            log.warn(f"task of {task.bundle.namespace}/{container_id}, whose client has gone, stays: {error}")

    async def delete(self, task: Shim) -> task_shim_pb2.DeleteResponse:
        """Delete the task of a stopped container: in the runtime, then the shim, then the bundle."""
        failure: ContainerdError | None = None
        deleted = task_shim_pb2.DeleteResponse()
        try:
            deleted = await task.call("Delete", task_shim_pb2.DeleteRequest(id=task.bundle.id))
        except ShimError as error:
            failure = error
            if error.code.value != NotFoundError.status.value:
                raise  # still running: the task stays
        except ConnectionClosedError:
            failure = NotFoundError(f"task {task.bundle.id}")
        if failure is None:
            # Before the connection ends, or its end would count as the death of a running task.
            self._tasks.pop(task.key, None)
        await self._dismiss(task)
        self._tasks.pop(task.key, None)
        if failure is not None:
            raise failure
        return deleted

    async def load(self) -> None:
        """Find the shims that an earlier containerd has left, and clean up after those that have died meanwhile."""
        for bundle in bundles.existing(self._settings.root, self._settings.state):
            binary = bundle.read("shim-binary-path")
            try:
                found = await shim.reconnect(bundle)
            except (ContainerdError, OSError) as error:
                log.warn(f"shim of {bundle.namespace}/{bundle.id} is gone: {error}")
                await self._clean_up_bundle(bundle, binary)
                continue
            self._watch(found, binary)
            self._tasks[found.key] = found
            try:
                await found.call("State", task_shim_pb2.StateRequest(id=bundle.id))
            except (ContainerdError, ConnectionClosedError):
                # containerd ended between starting the shim and creating the task: nobody will ever ask for it.
                log.warn(f"shim of {bundle.namespace}/{bundle.id} has no task")
                self._tasks.pop(found.key, None)
                await self._dismiss(found)

    async def leave(self) -> None:
        """Let go of all shims without harming them: containerd stops, containers do not."""
        self._leaving = True
        for task in self._tasks.values():
            task.close()
        if self._cleaning:
            await asyncio.wait(self._cleaning.values())

    def _watch(self, started: Shim, binary: str) -> None:
        """From now on the end of the connection is taken as the end of the shim."""

        def gone() -> None:
            started.close()
            if not self._leaving:
                self._cleaning[started.key] = asyncio.create_task(self._clean_up(started, binary))

        started.client.on_closed(gone)

    async def _clean_up(self, gone: Shim, binary: str) -> None:
        """Do what is left to do for a shim that is gone."""
        bundle = gone.bundle
        answer = await self._clean_up_bundle(bundle, binary)
        if self._tasks.get(gone.key) is gone:
            log.warn(f"shim of {bundle.namespace}/{bundle.id} ended before its task was deleted")
            exited = answer or task_shim_pb2.DeleteResponse(exit_status=_KILLED_UNSEEN)
            at = exited.exited_at if exited.HasField("exited_at") else clock.now()
            del self._tasks[gone.key]
            exit_event = events_pb2.TaskExit(
                container_id=bundle.id, id=bundle.id, pid=exited.pid, exit_status=exited.exit_status, exited_at=at
            )
            delete_event = events_pb2.TaskDelete(
                container_id=bundle.id, pid=exited.pid, exit_status=exited.exit_status, exited_at=at
            )
            self._exchange.publish(bundle.namespace, "/tasks/exit", exit_event)
            self._exchange.publish(bundle.namespace, "/tasks/delete", delete_event)
        self._cleaning.pop(gone.key, None)

    async def _clean_up_bundle(self, bundle: bundles.Bundle, binary: str) -> task_shim_pb2.DeleteResponse | None:
        answer = await shim.clean_up(bundle, binary, self._settings) if binary else None
        try:
            bundle.remove()
        except (ContainerdError, OSError) as error:
            log.warn(f"bundle {bundle.path} stays: {error}")
        return answer

    async def _give_up(self, started: Shim) -> None:
        """Undo a shim whose Create has failed."""
        try:
            await started.call("Delete", task_shim_pb2.DeleteRequest(id=started.bundle.id))
        except (ContainerdError, ConnectionClosedError):
            pass  # "container not created": what we are here for
        await self._dismiss(started)

    async def _dismiss(self, task: Shim) -> None:
        """Tell the shim to end, hang up, and wait until everything of it is gone."""
        await self._ask_to_end(task)
        task.close()
        await task.client.closed
        if (cleaning := self._cleaning.get(task.key)) is not None:
            await asyncio.shield(cleaning)

    @staticmethod
    async def _ask_to_end(task: Shim) -> None:
        """Shutdown, which a shim obeys that holds no container."""
        try:
            await task.call("Shutdown", task_shim_pb2.ShutdownRequest(id=task.bundle.id))
        except (ContainerdError, ConnectionClosedError):
            pass  # a shim may end before it answers


def _create_request(
    bundle: bundles.Bundle, options: AnyMessage, request: tasks_pb2.CreateTaskRequest
) -> task_shim_pb2.CreateTaskRequest:
    return task_shim_pb2.CreateTaskRequest(
        id=bundle.id,
        bundle=bundle.path,
        rootfs=request.rootfs,
        terminal=request.terminal,
        stdin=request.stdin,
        stdout=request.stdout,
        stderr=request.stderr,
        options=options if options.type_url or options.value else None,
    )
