"""Attach and logs: what a container's process writes, and what is written to it."""

import time
from urllib.parse import quote_plus

from aiohttp import web

from runtime.daemon import detach_keys
from runtime.daemon.attach import Attachment, AttachWishes
from runtime.daemon.call import Call, stream_reply
from runtime.daemon.container import Container
from runtime.daemon.engine import Engine
from runtime.daemon.errors import ApiError, ConflictError, InvalidParameterError
from runtime.daemon.hijack import HijackedReply, HijackedStream, hijack
from runtime.daemon.logs import LogEntry, LogQuery
from runtime.daemon.router import Route
from runtime.daemon.stdcopy import frame
from runtime.daemon.timestamps import from_query


class StreamRoutes:
    """POST attach, GET logs."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def attach(self, call: Call) -> web.StreamResponse:
        """Take the connection over; with `logs`, what was written before comes first.

        dockerd has hijacked it already when it refuses, so its refusals are bare text.
        """
        try:
            container, keys = self._attached(call)
        except ApiError as error:
            headers = {"Content-Type": "application/vnd.docker.raw-stream"}
            return web.Response(text=f"{error.message}\r\n", status=error.status, headers=headers)
        await call.request.read()
        stream = await hijack(call.request, framed=not container.terminal)
        if call.flag("logs"):
            await self._replay(container, stream, call)
        if not call.flag("stream"):
            stream.end()
        else:
            once = bool(container.config.get("StdinOnce")) and not container.terminal
            wishes = AttachWishes(call.flag("stdin"), call.flag("stdout"), call.flag("stderr"), keys, once)
            attachment = Attachment(container.streams, stream, wishes)
            attachment.begin()
            self._engine.events.container("attach", container)
            try:
                await stream.closed
            finally:
                attachment.end_by_client()
        return HijackedReply()

    def _attached(self, call: Call) -> tuple[Container, bytes]:
        text = call.text("detachKeys")
        try:
            keys = detach_keys.parse(text)
        except ValueError as error:
            raise InvalidParameterError(f"Invalid detach keys ({text}) provided") from error
        container = self._engine.containers.find(call.name)
        if container.state.paused:
            raise ConflictError(f"container {call.name} is paused, unpause the container before attach")
        return container, keys

    @staticmethod
    async def _replay(container: Container, stream: HijackedStream, call: Call) -> None:
        query = LogQuery(stdout=call.flag("stdout"), stderr=call.flag("stderr"))
        async for entry in container.log.read(query):
            stream.feed(entry.stream, entry.text.encode())

    async def logs(self, call: Call) -> web.StreamResponse:
        """The log, framed as attach is; with `follow`, until the container stops."""
        container = self._engine.containers.find(call.name)
        query = _log_query(call)
        if not (query.stdout or query.stderr):
            raise InvalidParameterError("Bad parameters: you must choose at least one stream")
        if container.host_config["LogConfig"]["Type"] == "none":
            raise ConflictError("configured logging driver does not support reading")
        timestamps, details = call.flag("timestamps"), call.flag("details")
        reply = await stream_reply(call, "application/vnd.docker.raw-stream")
        async for entry in container.log.read(query):
            text = f"{_details(entry)} {entry.text}" if details else entry.text
            data = (f"{entry.time} {text}" if timestamps else text).encode()
            await reply.write(data if container.terminal else frame(entry.stream, data))
        await reply.write_eof()
        return reply


def _details(entry: LogEntry) -> str:
    """`a=b,tag=x`: what was logged beside the line, quoted as in a URL's query."""
    return ",".join(f"{quote_plus(name)}={quote_plus(value)}" for name, value in entry.attributes)


def _log_query(call: Call) -> LogQuery:
    now = time.time_ns()
    tail = call.text("tail", "all")
    return LogQuery(
        stdout=call.flag("stdout"),
        stderr=call.flag("stderr"),
        # As in Docker, what is no number means all of it.
        tail=int(tail) if tail.isdigit() and len(tail) < 10 else None,
        since_ns=from_query(call.text("since"), now),
        until_ns=from_query(call.text("until"), now),
        follow=call.flag("follow"),
    )


def routes(engine: Engine) -> list[Route]:
    """The two streams."""
    of = StreamRoutes(engine)
    return [
        Route("POST", "/containers/{name}/attach", of.attach, streams=True),
        Route("GET", "/containers/{name}/logs", of.logs, streams=True),
    ]
