"""GET /containers/ID/stats: one sample, or one a second for as long as the client listens."""

import asyncio
import json
from typing import Any

from aiohttp import web

from runtime.daemon import stats
from runtime.daemon.call import Call, stream_reply
from runtime.daemon.container import Container
from runtime.daemon.engine import Engine
from runtime.daemon.router import Route
from runtime.daemon.timestamps import ZERO

_INTERVAL_SECONDS = 1.0


class StatsRoutes:
    """What containers use."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def follow(self, call: Call) -> web.StreamResponse:
        """As in dockerd, a single sample takes a second: two are read, so that a share of the CPU can be computed."""
        container = self._engine.containers.find(call.name)
        stream = call.flag("stream", default=True)
        reply = await stream_reply(call, "application/json")
        left = None if stream else 2
        if left and (call.flag("one-shot") or not container.state.running or container.state.restarting):
            left = 1
        before = None
        while left is None or left:
            view = await self._sample(container, before)
            if left in (None, 1):
                await reply.write(json.dumps(view, separators=(",", ":")).encode() + b"\n")
            before = view if view["read"] != ZERO else None
            left = left and left - 1
            if left != 0 and not await _next_second(container):
                break
        await reply.write_eof()
        return reply

    async def _sample(self, container: Container, before: dict[str, Any] | None) -> dict[str, Any]:
        if container.state.running and not container.state.restarting:
            metric = await self._engine.tasks.metrics(container.id)
            if metric is not None:
                return stats.sample(container, metric.type_url, metric.value, before)
        return stats.nothing(container)


async def _next_second(container: Container) -> bool:
    """Wait for the next sample's time; False when the container has gone before."""
    loop = asyncio.get_running_loop()
    due, gone = loop.create_future(), container.removed()
    # One a second is what the API promises to whoever follows, not a guess at how long something takes.
    alarm = loop.call_later(_INTERVAL_SECONDS, due.set_result, None)
    try:
        await asyncio.wait((due, gone), return_when=asyncio.FIRST_COMPLETED)
        return not gone.done()
    finally:
        alarm.cancel()
        gone.cancel()


def routes(engine: Engine) -> list[Route]:
    """Just one."""
    return [Route("GET", "/containers/{name}/stats", StatsRoutes(engine).follow, streams=True)]
