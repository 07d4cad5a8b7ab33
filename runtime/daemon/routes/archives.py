"""A container's files: `docker export`, `cp` both ways, `diff` (moby: api/server/router/container/copy.go)."""

import base64
import json
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web

from runtime.daemon.call import COMMON_HEADERS, Call, empty_reply, json_reply, stream_reply
from runtime.daemon.changes import changes
from runtime.daemon.container import Container
from runtime.daemon.container_files import FilesProgram, files_of, refuse_read_only
from runtime.daemon.engine import Engine
from runtime.daemon.errors import ApiError, InvalidParameterError, ServerError
from runtime.daemon.router import Route

log = logging.getLogger("daemon")

_STAT_HEADER = "X-Docker-Container-Path-Stat"


class ArchiveRoutes:
    """Tars in and out."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    @asynccontextmanager
    async def _files(self, container: Container, verb: str, path: str, **more: bool) -> AsyncIterator[FilesProgram]:
        """The files as the container sees them, with volumes that are mounted only while they are used."""
        with self._engine.volumes.used(container):
            async with files_of(container, verb, path, **more) as program:
                yield program

    async def export(self, call: Call) -> web.StreamResponse:
        """The whole root, without what is mounted in it."""
        container = self._engine.containers.find(call.name)
        async with files_of(container, "export") as program:
            await program.answer()
            self._engine.events.container("export", container)
            return await _send(call, program, "application/octet-stream", {})

    async def describe(self, call: Call) -> web.StreamResponse:
        """HEAD: what is there, in a header. `docker cp` asks before it sends."""
        container = self._engine.containers.find(call.name)
        async with self._files(container, "stat", _path(call)) as program:
            headers = _stat_header(await program.answer())
        return web.Response(headers={**COMMON_HEADERS, **headers})

    async def read(self, call: Call) -> web.StreamResponse:
        """GET: one file, or a directory with all that is in it."""
        container = self._engine.containers.find(call.name)
        async with self._files(container, "pack", _path(call)) as program:
            headers = _stat_header(await program.answer())
            self._engine.events.container("archive-path", container)
            return await _send(call, program, "application/x-tar", headers)

    async def write(self, call: Call) -> web.StreamResponse:
        """PUT: extract the body in a directory."""
        try:
            return await self._write(call)
        except ApiError:
            async for _ in call.request.content.iter_any():
                pass  # a client reads our refusal only once it may finish its own words
            raise

    async def _write(self, call: Call) -> web.StreamResponse:
        container, path = self._engine.containers.find(call.name), _path(call)
        refuse_read_only(container, path)
        async with self._files(container, "unpack", path, keep_kind=call.flag("noOverwriteDirNonDir")) as program:
            async for block in call.request.content.iter_any():
                await program.feed(block)
            program.end_archive()
            await program.answer()
        self._engine.events.container("extract-to-dir", container)
        return empty_reply(200)

    async def changes(self, call: Call) -> web.StreamResponse:
        container = self._engine.containers.find(call.name)
        found = [{"Path": change.path, "Kind": change.kind} for change in changes(container.rootfs)]
        return json_reply(found or None)


def _path(call: Call) -> str:
    if not (path := call.text("path")):
        raise InvalidParameterError("bad parameter: pathcannot be empty")  # sic
    return path


def _stat_header(answer: dict[str, object]) -> dict[str, str]:
    text = json.dumps(answer["stat"], separators=(",", ":"))
    return {_STAT_HEADER: base64.b64encode(text.encode()).decode()}


async def _send(call: Call, program: FilesProgram, content_type: str, headers: dict[str, str]) -> web.StreamResponse:
    reply = await stream_reply(call, content_type, headers)
    try:
        async for block in program.blocks():
            await reply.write(block)
    except ServerError as error:
        # A broken connection is the only way left to say that this is not all.
        log.warning("%s: %s", call.request.path, error.message)
        if call.request.transport is not None:
            call.request.transport.abort()
    except ConnectionError:
        pass  # the client has seen enough
    else:
        await reply.write_eof()
    return reply


def routes(engine: Engine) -> list[Route]:
    """Reading lasts as long as the client listens; writing is done to its end."""
    of = ArchiveRoutes(engine)
    archive = "/containers/{name}/archive"
    return [
        Route("GET", "/containers/{name}/export", of.export, streams=True),
        Route("HEAD", archive, of.describe),
        Route("GET", archive, of.read, streams=True),
        Route("PUT", archive, of.write),
        Route("GET", "/containers/{name}/changes", of.changes),
    ]
