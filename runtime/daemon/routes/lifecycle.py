"""Start, stop, kill, pause, rename, remove, wait (moby: api/server/router/container/container_routes.go)."""

import asyncio
import json

from aiohttp import web

from runtime.api.engine_api import WaitReply
from runtime.daemon import signals
from runtime.daemon.call import Call, empty_reply, stream_reply
from runtime.daemon.container import Container
from runtime.daemon.engine import Engine
from runtime.daemon.errors import ConflictError, InvalidParameterError, NotFoundError, ServerError
from runtime.daemon.router import Route


class LifecycleRoutes:
    """POST /containers/NAME/verb."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._lifecycle = engine.lifecycle

    def _container(self, call: Call) -> Container:
        return self._engine.containers.find(call.name)

    async def start(self, call: Call) -> web.StreamResponse:
        await self._lifecycle.start(self._container(call))
        return empty_reply()

    async def stop(self, call: Call) -> web.StreamResponse:
        seconds = call.number("t")
        await self._lifecycle.stop(self._container(call), seconds)
        return empty_reply()

    async def restart(self, call: Call) -> web.StreamResponse:
        seconds = call.number("t")
        await self._lifecycle.restart(self._container(call), seconds)
        return empty_reply()

    async def kill(self, call: Call) -> web.StreamResponse:
        signal = signals.parse_signal(call.text("signal") or "KILL")
        try:
            container = self._container(call)
        except NotFoundError as error:
            raise NotFoundError(f"Cannot kill container: {call.name}: {error.message}") from error
        if not signals.exists(signal):
            raise InvalidParameterError(
                f"Cannot kill container: {call.name}: The linux daemon does not support signal {signal}"
            )
        await self._lifecycle.kill(container, signal)
        return empty_reply()

    async def pause(self, call: Call) -> web.StreamResponse:
        await self._lifecycle.pause(self._container(call))
        return empty_reply()

    async def unpause(self, call: Call) -> web.StreamResponse:
        await self._lifecycle.unpause(self._container(call))
        return empty_reply()

    async def resize(self, call: Call) -> web.StreamResponse:
        size = window_size(call)
        await self._lifecycle.resize(self._container(call), *size)
        return empty_reply(200)

    async def rename(self, call: Call) -> web.StreamResponse:
        container, store = self._container(call), self._engine.containers
        wanted = call.text("name")
        if not wanted:
            raise InvalidParameterError("Neither old nor new names may be empty")
        if wanted.removeprefix("/") == container.name:
            raise InvalidParameterError("Renaming a container with the same name as its current name")
        old = container.name
        try:
            container.name = store.reserve_name(f"/{wanted.removeprefix('/')}", container.id)
        except InvalidParameterError as error:
            raise InvalidParameterError(f"Error when allocating new name: {error.message}") from error
        except ConflictError as error:
            raise ConflictError(f"Error when allocating new name: {error.message}") from error
        store.release_name(old)
        store.save(container)
        self._engine.events.container("rename", container, oldName=f"/{old}")
        return empty_reply()

    async def remove(self, call: Call) -> web.StreamResponse:
        if call.flag("link"):
            self._engine.links.remove(call.name)
            return empty_reply()
        await self._lifecycle.remove(self._container(call), call.flag("force"), call.flag("v"))
        return empty_reply()

    async def wait(self, call: Call) -> web.StreamResponse:
        """Headers at once, the body when it happens: the CLI sends `start` only after it has these headers."""
        container = self._container(call)
        ended = self._waited_for(container, call.text("condition"))
        reply = await stream_reply(call, "application/json")
        body: WaitReply = {"Error": None, "StatusCode": await ended}
        await reply.write(json.dumps(body, separators=(",", ":")).encode() + b"\n")
        await reply.write_eof()
        return reply

    @staticmethod
    def _waited_for(container: Container, condition: str) -> asyncio.Future[int]:
        """`not-running` is what every other word means, as in API 1.41."""
        if condition == "removed":
            return container.removed()
        if condition == "next-exit" or container.state.running:
            return container.next_exit()
        at_once: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        at_once.set_result(container.state.exit_code)
        return at_once


def window_size(call: Call) -> tuple[int, int]:
    """`h` and `w` of a resize."""
    try:
        height, width = call.number("h"), call.number("w")
    except ServerError as error:
        raise InvalidParameterError(error.message) from error  # the one place where dockerd classifies it
    if height is None or width is None:
        raise InvalidParameterError('strconv.Atoi: parsing "": invalid syntax')
    return height % 65536, width % 65536  # the kernel's numbers: more is cut off, as in dockerd


def routes(engine: Engine) -> list[Route]:
    """The verbs."""
    of = LifecycleRoutes(engine)
    verbs = {
        "start": of.start,
        "stop": of.stop,
        "restart": of.restart,
        "kill": of.kill,
        "pause": of.pause,
        "unpause": of.unpause,
        "resize": of.resize,
        "rename": of.rename,
    }
    return [
        Route("POST", "/containers/{name}/wait", of.wait, streams=True),
        *(Route("POST", f"/containers/{{name}}/{verb}", answer) for verb, answer in verbs.items()),
        Route("DELETE", "/containers/{name}", of.remove),
    ]
