"""A container's files from the daemon's side: run `files_program` in the container's root, and pass tars through.

    GET export, archive    program's stdout -> client      nothing is read from the program while the client is slow
    PUT archive            client -> program's stdin       and nothing from the client while the program is
    GET changes            no program: the overlay's upper directory says it all (`changes.py`)

While a stopped container's files are in use it cannot be started: its overlay must not be mounted twice.
"""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import runtime
from runtime.daemon.container import Container
from runtime.daemon.errors import InvalidParameterError, NotFoundError, ServerError

_CODE_ROOT = os.path.dirname(os.path.dirname(os.path.abspath(runtime.__file__ or "")))
_ETC_FILES = ("hosts", "hostname", "resolv.conf")
_BLOCK_BYTES = 1 << 16


class FilesProgram:
    """One running `files_program`."""

    def __init__(self, pid: int, answers: asyncio.StreamReader, archive: asyncio.StreamWriter | None) -> None:
        self._pid = pid
        self._status: int | None = None
        self.answers = answers
        self.archive = archive

    async def answer(self) -> dict[str, Any]:
        """Its one line of JSON; a refusal is raised as an ApiError."""
        line = await self.answers.readline()
        if not line:
            raise ServerError("the program that reads the container's files ended without an answer")
        reply: dict[str, Any] = json.loads(line)
        if "error" not in reply:
            return reply
        refusal = {400: InvalidParameterError, 404: NotFoundError}.get(reply["status"], ServerError)
        raise refusal(reply["error"])

    async def blocks(self) -> AsyncIterator[bytes]:
        """The tar that follows the answer. Raises ServerError when it breaks off."""
        while block := await self.answers.read(_BLOCK_BYTES):
            yield block
        if self.reap():
            raise ServerError("the container's files could not be read to the end")

    def kill(self) -> None:
        """Whoever gives up half way need not wait for it to notice; its view of the files goes with it."""
        if self._status is None:
            os.kill(self._pid, signal.SIGKILL)
            self.reap()

    def reap(self) -> int:
        """Wait for it, once; it is ending or dead. Returns its exit status."""
        if self._status is None:
            _, self._status = os.waitpid(self._pid, 0)
        return self._status

    async def feed(self, block: bytes) -> None:
        """Pass a piece of the client's tar on; a program that has ended already will say why."""
        assert self.archive is not None
        try:
            self.archive.write(block)
            await self.archive.drain()
        except ConnectionError:
            pass

    def end_archive(self) -> None:
        """There is no more of it."""
        assert self.archive is not None
        self.archive.close()


@asynccontextmanager
async def files_of(container: Container, verb: str, path: str = "/", **more: bool) -> AsyncIterator[FilesProgram]:
    """Run the program for as long as the block lasts. Raises ApiError, OSError.

    Args:
        container: whose files; running, paused, stopped or only created.
        verb: `stat`, `pack`, `export` or `unpack`.
        path: in the container.
        more: `keep_kind` for unpack.

    """
    async with container.lock:
        if not container.state.running or container.state.restarting:
            async with _program(_request(container, 0, verb, path, more), verb == "unpack") as program:
                yield program
            return
    # A running container's lock is not held: a client that reads slowly must not keep it from being stopped.
    async with _program(_request(container, container.state.pid, verb, path, more), verb == "unpack") as program:
        yield program


async def copy_up(container: Container, copies: list[tuple[str, str]]) -> None:
    """Fill new volumes of a container that never ran. Raises ApiError, OSError.

    Args:
        container: the one whose image has the files.
        copies: directory in the image, links followed, and the volume's directory on the host.

    """
    request = _request(container, 0, "copy-up", "/", {}) | {"binds": [], "copies": copies}
    async with _program(request, False) as program:
        await program.answer()


def refuse_read_only(container: Container, path: str) -> None:
    """Refuse to write where the container itself could not."""
    clean = os.path.normpath("/" + path.lstrip("/"))
    inside = [
        point
        for point in container.mount_points
        if point.type != "tmpfs" and f"{clean}/".startswith(f"{point.destination}/")
    ]
    if inside and inside[-1].read_only:
        raise InvalidParameterError("mounted volume is marked read-only")
    if not inside and container.host_config["ReadonlyRootfs"]:
        raise InvalidParameterError("container rootfs is marked read-only")


def _request(container: Container, pid: int, verb: str, path: str, more: dict[str, bool]) -> dict[str, Any]:
    whole = verb != "export"  # an export is the root alone, as in dockerd
    points = [point for point in container.mount_points if point.type != "tmpfs"] if whole else []
    binds = [(point.source, point.destination, point.read_only) for point in points]
    taken = {point.destination for point in points}
    if whole:
        etc_files = [(os.path.join(container.directory, name), f"/etc/{name}", False) for name in _ETC_FILES]
        binds += [bind for bind in etc_files if bind[1] not in taken]
    return {
        "verb": verb,
        "path": path,
        "name": container.name,
        "pid": pid,
        "mounts": [(mount.type, mount.source, mount.options) for mount in container.rootfs],
        "binds": binds,
        "mount_point": container.directory,
        **more,
    }


@asynccontextmanager
async def _program(request: dict[str, Any], wants_archive: bool) -> AsyncIterator[FilesProgram]:
    argv = [sys.executable, "-S", "-m", "runtime.daemon.files_program", json.dumps(request, separators=(",", ":"))]
    answers_end, their_stdout = os.pipe2(os.O_CLOEXEC)
    their_stdin, archive_end = os.pipe2(os.O_CLOEXEC)
    actions = [(os.POSIX_SPAWN_DUP2, their_stdin, 0), (os.POSIX_SPAWN_DUP2, their_stdout, 1)]
    try:
        pid = os.posix_spawn(sys.executable, argv, {"PYTHONPATH": _CODE_ROOT}, file_actions=actions)
    except OSError:
        os.close(answers_end)
        os.close(archive_end)
        raise
    finally:
        os.close(their_stdin)
        os.close(their_stdout)
    answers, reading = await _reader(answers_end)
    archive = await _writer(archive_end)
    if not wants_archive:
        archive.close()
    program = FilesProgram(pid, answers, archive if wants_archive else None)
    try:
        yield program
    finally:
        reading.close()
        archive.close()
        program.kill()


async def _reader(fd: int) -> tuple[asyncio.StreamReader, asyncio.ReadTransport]:
    reader = asyncio.StreamReader(limit=_BLOCK_BYTES)
    loop = asyncio.get_running_loop()
    pipe = open(fd, "rb", buffering=0)  # noqa: SIM115 - the transport closes it
    transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), pipe)
    return reader, transport


async def _writer(fd: int) -> asyncio.StreamWriter:
    loop = asyncio.get_running_loop()
    pipe = open(fd, "wb", buffering=0)  # noqa: SIM115 - the transport closes it
    transport, protocol = await loop.connect_write_pipe(asyncio.streams.FlowControlMixin, pipe)
    return asyncio.StreamWriter(transport, protocol, None, loop)
