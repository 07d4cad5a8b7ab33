"""The one way by which blobs get into containerd's content store (containerd's client package: content.Copy, leases).

    daemon -> containerd   Leases.Create                nothing that follows is collected as garbage meanwhile
    daemon -> containerd   Content.Write {STAT}         how far did an earlier attempt come?
    daemon -> containerd   Content.Write {WRITE} ...    the rest of it
    daemon -> containerd   Content.Write {COMMIT}       checks the digest, then the blob has its name
    daemon -> containerd   Leases.Delete                what no image leads to by now is garbage

Pull, load, import and the built-in image differ in where the bytes come from: each gives a function that yields them
from an offset on. A daemon that was killed leaves its lease, and under it the halves of blobs: the next one lets go of
all leases that it does not hold itself (see `Leases`).
"""

import hashlib
import os
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from typing import Any, NamedTuple

from runtime.api.containerd import content_pb2, leases_pb2
from runtime.daemon.containerd_client import Containerd, GRPCError, Status
from runtime.daemon.timestamps import rfc3339

CHUNK_BYTES = 1 << 20
_DAY_NS = 24 * 3600 * 10**9
_LEASE_PREFIX = "docker-import-"

Source = Callable[[int], AsyncGenerator[bytes, None]]
"""Yields the bytes of a blob from an offset on."""


class Descriptor(NamedTuple):
    """What names a blob (image-spec, descriptor.md)."""

    media_type: str
    digest: str
    size: int

    def document(self) -> dict[str, str | int]:
        """The descriptor as a manifest holds it."""
        return {"mediaType": self.media_type, "digest": self.digest, "size": self.size}


class WrongContentError(Exception):
    """The bytes are not those that the digest names."""


def digest_of(blob: bytes) -> str:
    """A blob's name in every content store."""
    return f"sha256:{hashlib.sha256(blob).hexdigest()}"


def describe(media_type: str, blob: bytes) -> Descriptor:
    """The descriptor of a blob that is in memory."""
    return Descriptor(media_type, digest_of(blob), len(blob))


def from_bytes(blob: bytes) -> Source:
    """A blob that is in memory."""

    async def read(offset: int) -> AsyncGenerator[bytes, None]:
        for start in range(offset, len(blob), CHUNK_BYTES):
            yield blob[start : start + CHUNK_BYTES]

    return read


def from_file(file: int, start: int, size: int) -> Source:
    """A blob that is part of an open file."""

    async def read(offset: int) -> AsyncGenerator[bytes, None]:
        while offset < size and (piece := os.pread(file, min(CHUNK_BYTES, size - offset), start + offset)):
            yield piece
            offset += len(piece)

    return read


class Leases:
    """The leases of this daemon, and those that killed ones have left."""

    def __init__(self, containerd: Containerd) -> None:
        self._containerd = containerd
        self._held: set[str] = set()

    @asynccontextmanager
    async def take(self) -> AsyncIterator[str]:
        """Hold a lease for as long as an image is being put together; the value goes with every call."""
        await self.drop_stale()
        lease = leases_pb2.CreateRequest(id=f"{_LEASE_PREFIX}{time.time_ns()}")
        # For a real containerd, should no daemon come any more.
        lease.labels["containerd.io/gc.expire"] = rfc3339(time.time_ns() + _DAY_NS)
        self._held.add(lease.id)
        try:
            await self._containerd.leases.call("Create", lease)
            yield lease.id
        finally:
            self._held.discard(lease.id)
            await self._delete(lease.id)

    async def drop_stale(self) -> None:
        """Let go of what a killed daemon, or a call to a killed containerd, has left."""
        reply = await self._containerd.leases.call("List", leases_pb2.ListRequest())
        for lease in reply.leases:
            if lease.id.startswith(_LEASE_PREFIX) and lease.id not in self._held:
                await self._delete(lease.id)

    async def _delete(self, lease: str) -> None:
        try:
            await self._containerd.leases.call("Delete", leases_pb2.DeleteRequest(id=lease, sync=True))
        except GRPCError as error:
            if error.status is not Status.NOT_FOUND:
                raise


async def write_blob(containerd: Containerd, blob: Descriptor, source: Source, lease: str) -> None:
    """Put a blob into the content store, going on where an earlier attempt ended. Raises WrongContentError."""
    reference = f"docker-{blob.digest}"
    try:
        await _write(containerd, blob, reference, source, lease)
    except GRPCError as error:
        if error.status is Status.ALREADY_EXISTS:
            return
        if error.status is not Status.FAILED_PRECONDITION:
            raise
        # What is there has the wrong bytes: nobody must go on from it.
        await containerd.content.call("Abort", content_pb2.AbortRequest(ref=reference))
        raise WrongContentError(error.message) from error


async def _write(containerd: Containerd, blob: Descriptor, reference: str, source: Source, lease: str) -> None:
    def request(action: Any, **fields: Any) -> Any:
        return content_pb2.WriteContentRequest(
            action=action, ref=reference, total=blob.size, expected=blob.digest, **fields
        )

    async with containerd.content.open("Write", **{"containerd-lease": lease}) as stream:
        await stream.send_message(request(content_pb2.STAT))
        reply = await stream.recv_message()
        offset, waiting = reply.offset, 0
        async with aclosing(source(offset)) as pieces:
            async for piece in pieces:
                await stream.send_message(request(content_pb2.WRITE, offset=offset, data=piece))
                offset += len(piece)
                # One answer behind: containerd writes a piece while the next one is on its way.
                if waiting:
                    await stream.recv_message()
                waiting = 1
        await stream.send_message(request(content_pb2.COMMIT, offset=offset), end=True)
        for _ in range(waiting + 1):
            await stream.recv_message()


async def read_blob(containerd: Containerd, digest: str) -> bytes:
    """A whole blob out of the content store."""
    return b"".join([piece async for piece in blob_pieces(containerd, digest)])


async def blob_pieces(containerd: Containerd, digest: str) -> AsyncIterator[bytes]:
    """A blob piece by piece."""
    async for piece in containerd.content.stream("Read", content_pb2.ReadContentRequest(digest=digest)):
        yield piece.data


async def has_blob(containerd: Containerd, digest: str) -> bool:
    """Whether the content store has a blob."""
    try:
        await containerd.content.call("Info", content_pb2.InfoRequest(digest=digest))
    except GRPCError as error:
        if error.status is Status.NOT_FOUND:
            return False
        raise
    return True


async def set_labels(containerd: Containerd, digest: str, labels: dict[str, str]) -> None:
    """Give a blob its labels, the edges that containerd's collector follows."""
    request = content_pb2.UpdateRequest(info=content_pb2.Info(digest=digest, labels=labels))
    request.update_mask.paths.extend(f"labels.{key}" for key in labels)
    await containerd.content.call("Update", request)
