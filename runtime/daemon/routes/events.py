"""GET /events: one JSON object a line, for as long as the client listens."""

import json
import time

from aiohttp import web

from runtime.daemon.call import Call, stream_reply
from runtime.daemon.engine import Engine
from runtime.daemon.errors import InvalidParameterError
from runtime.daemon.router import Route
from runtime.daemon.timestamps import from_query


class EventRoutes:
    """Following."""

    def __init__(self, engine: Engine) -> None:
        self._events = engine.events

    async def follow(self, call: Call) -> web.StreamResponse:
        now = time.time_ns()
        filters = call.filters()
        since, until = from_query(call.text("since"), now), from_query(call.text("until"), now)
        if since is not None and until is not None and since > until:
            raise InvalidParameterError("`since` time cannot be after `until` time")
        reply = await stream_reply(call, "application/json")
        async for message in self._events.follow(filters, since, until):
            await reply.write(json.dumps(message, separators=(",", ":"), ensure_ascii=False).encode() + b"\n")
        await reply.write_eof()
        return reply


def routes(engine: Engine) -> list[Route]:
    """Just one."""
    return [Route("GET", "/events", EventRoutes(engine).follow, streams=True)]
