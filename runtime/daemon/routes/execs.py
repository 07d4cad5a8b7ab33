"""exec: create, start, resize, inspect (moby: api/server/router/container/exec.go)."""

from aiohttp import web

from runtime.daemon import detach_keys
from runtime.daemon.attach import Attachment, AttachWishes
from runtime.daemon.call import Call, empty_reply, json_reply
from runtime.daemon.engine import Engine
from runtime.daemon.errors import ConflictError
from runtime.daemon.exec_sessions import check_request
from runtime.daemon.hijack import HijackedReply, hijack
from runtime.daemon.router import Route
from runtime.daemon.routes.lifecycle import window_size


class ExecRoutes:
    """One more process in a running container."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._execs = engine.execs

    async def create(self, call: Call) -> web.StreamResponse:
        asked = await call.json()
        check_request(asked)
        container = self._engine.containers.find(call.name)
        await self._engine.lifecycle.settled(container)
        session = self._execs.create(container, asked)
        return json_reply({"Id": session.id}, 201)

    async def start(self, call: Call) -> web.StreamResponse:
        """Detached: 200 when it runs. Otherwise the connection becomes its streams first, and then it is run."""
        asked = await call.json()
        session = self._execs.find(call.name)
        if session.started:
            raise ConflictError(f"Error: Exec command {session.id} has already run")
        await self._engine.lifecycle.require_running(session.container)
        if asked.get("Detach"):
            if (refusal := await self._execs.start(session)) is not None:
                raise refusal
            return empty_reply(200)
        terminal = bool(session.request.get("Tty"))
        stream = await hijack(call.request, framed=not terminal)
        wishes = AttachWishes(
            stdin=bool(session.request.get("AttachStdin")),
            stdout=bool(session.request.get("AttachStdout")),
            stderr=bool(session.request.get("AttachStderr")),
            detach_keys=detach_keys.parse(session.request.get("DetachKeys") or ""),
            close_stdin=not terminal,
        )
        attachment = Attachment(session.streams, stream, wishes)
        attachment.begin()
        try:
            await self._execs.start(session)
            await stream.closed
        finally:
            attachment.end_by_client()
        return HijackedReply()

    async def resize(self, call: Call) -> web.StreamResponse:
        size = window_size(call)
        await self._execs.resize(self._execs.find(call.name), *size)
        return empty_reply(201)

    async def inspect(self, call: Call) -> web.StreamResponse:
        return json_reply(self._execs.inspect(self._execs.find(call.name)))


def routes(engine: Engine) -> list[Route]:
    """The four of them. `start` does not count as a stream: a client that leaves does not take the process along."""
    of = ExecRoutes(engine)
    return [
        Route("POST", "/containers/{name}/exec", of.create),
        Route("POST", "/exec/{name}/start", of.start),
        Route("POST", "/exec/{name}/resize", of.resize),
        Route("GET", "/exec/{name}/json", of.inspect),
    ]
