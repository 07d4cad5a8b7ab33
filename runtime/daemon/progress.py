"""Long work told while it goes on: JSON objects, one a line (moby: pkg/streamformatter, pkg/jsonmessage).

    daemon -> client   {"status":"Downloading","progressDetail":{"current":512,"total":2048},"id":"de6f1a175ef5"}
    daemon -> client   {"status":"Download complete","progressDetail":{},"id":"de6f1a175ef5"}
    daemon -> client   {"errorDetail":{"message":"..."},"error":"..."}     the status was 200 already

The headers leave with the first line. What goes wrong before that is an answer like any other, with its status.
"""

import json
import time

from aiohttp import web

from runtime.daemon.call import Call, stream_reply

_BETWEEN_NS = 100_000_000
"""No more often than that is one thing's progress told (moby: pkg/progress uses the same tenth of a second)."""


class ProgressStream:
    """The reply to pull, load and import."""

    def __init__(self, call: Call) -> None:
        self._call = call
        self._told_ns: dict[str, int] = {}
        self.reply: web.StreamResponse | None = None

    async def send(self, **fields: object) -> None:
        """Send one line."""
        if self.reply is None:
            self.reply = await stream_reply(self._call, "application/json")
        await self.reply.write(json.dumps(fields, separators=(",", ":"), ensure_ascii=False).encode() + b"\r\n")

    async def step(self, id: str, status: str) -> None:
        """Say what is done to a layer now."""
        await self.send(status=status, progressDetail={}, id=id)

    async def advance(self, id: str, status: str, current: int, total: int) -> None:
        """Say how far it is, unless that was said a moment ago."""
        now = time.monotonic_ns()
        if current < total and now - self._told_ns.get(id, 0) < _BETWEEN_NS:
            return
        self._told_ns[id] = now
        await self.send(status=status, progressDetail={"current": current, "total": total}, id=id)

    async def fail(self, message: str) -> None:
        """Say what went wrong, as the last line; a client that has left is what went wrong, and hears nothing."""
        try:
            await self.send(errorDetail={"message": message}, error=message)
        except ConnectionError:
            pass

    async def finish(self) -> web.StreamResponse:
        """End the body."""
        if self.reply is None:
            self.reply = await stream_reply(self._call, "application/json")
        try:
            await self.reply.write_eof()
        except ConnectionError:
            pass
        return self.reply
