"""Blobs over gRPC.

Real counterpart: containerd `services/content/contentserver/contentserver.go`.

    client                                               containerd
      | Write {STAT   ref, total, expected}         -->  |   how far is it? (or ALREADY_EXISTS: nothing to send)
      | <-- {STAT   offset, total}                       |
      | Write {WRITE  ref, offset, data}            -->  |   as often as needed
      | Write {COMMIT ref, offset, total, expected} -->  |   check, rename, remember
      | <-- {COMMIT offset, digest}                      |

A message of offset 0 for an ingest that has data begins it anew; so COMMIT must carry the offset.
"""

import os
from collections.abc import AsyncIterator

from google.protobuf.empty_pb2 import Empty

from runtime.api.containerd import content_pb2, events_pb2
from runtime.api.containerd.content_pb2 import COMMIT, STAT, WRITE, WriteContentRequest, WriteContentResponse
from runtime.containerd import clock, filters
from runtime.containerd.content import KIND, ContentStore, Writer
from runtime.containerd.errors import AlreadyExistsError, InvalidArgumentError, NotFoundError, OutOfRangeError
from runtime.containerd.exchange import Exchange
from runtime.containerd.garbage import INGESTS, hold
from runtime.containerd.labels import replace_map, update_map
from runtime.containerd.server import Call

_CHUNK = 1 << 20
_PAGE = 100


class ContentService:
    """`ctr content ls|get|ingest|rm|label`, and every transfer of an image."""

    descriptor = content_pb2.DESCRIPTOR.services_by_name["Content"]

    def __init__(self, store: ContentStore, exchange: Exchange) -> None:
        self._store, self._exchange = store, exchange

    async def info(self, call: Call, request: content_pb2.InfoRequest) -> content_pb2.InfoResponse:
        return content_pb2.InfoResponse(info=self._store.info(call.namespace, request.digest))

    async def update(self, call: Call, request: content_pb2.UpdateRequest) -> content_pb2.UpdateResponse:
        info = self._store.info(call.namespace, request.info.digest)
        for path in request.update_mask.paths:
            if not update_map(path, "labels", info.labels, request.info.labels):
                raise InvalidArgumentError(f'cannot update "{path}" field on content info "{info.digest}"')
        if not request.update_mask.paths:
            replace_map(info.labels, request.info.labels)
        info.updated_at.CopyFrom(clock.now())
        self._store.metadata.put(KIND, call.namespace, info.digest, info.SerializeToString())
        return content_pb2.UpdateResponse(info=info)

    async def list(
        self, call: Call, request: content_pb2.ListContentRequest
    ) -> AsyncIterator[content_pb2.ListContentResponse]:
        wanted = filters.parse(request.filters)
        found = [info for info in self._store.infos(call.namespace) if wanted.matches(filters.message_reader(info))]
        for start in range(0, len(found), _PAGE):
            yield content_pb2.ListContentResponse(info=found[start : start + _PAGE])

    async def delete(self, call: Call, request: content_pb2.DeleteContentRequest) -> Empty:
        self._store.delete(call.namespace, request.digest)
        deleted = events_pb2.ContentDelete(digest=request.digest)
        self._exchange.publish(call.namespace, "/content/delete", deleted)
        return Empty()

    async def read(
        self, call: Call, request: content_pb2.ReadContentRequest
    ) -> AsyncIterator[content_pb2.ReadContentResponse]:
        info = self._store.info(call.namespace, request.digest)
        if request.offset < 0 or request.size < 0:
            raise InvalidArgumentError("offset and size must not be negative")
        if request.offset > info.size:
            raise OutOfRangeError(f"read past object length {info.size} bytes")
        position = request.offset
        end = min(info.size, position + request.size) if request.size else info.size
        file = self._store.open(call.namespace, request.digest)
        try:
            while position < end:
                data = os.pread(file, min(_CHUNK, end - position), position)
                if not data:
                    raise NotFoundError(f"content digest {request.digest}: the blob ends at {position}")
                # Counted from where the client wanted to begin, as real containerd does.
                yield content_pb2.ReadContentResponse(offset=position - request.offset, data=data)
                position += len(data)
        finally:
            os.close(file)

    async def status(self, call: Call, request: content_pb2.StatusRequest) -> content_pb2.StatusResponse:
        try:
            return content_pb2.StatusResponse(status=self._store.status(call.namespace, request.ref))
        except NotFoundError as error:
            raise NotFoundError(f'could not get status for ref "{request.ref}": {error}', bare=True) from None

    async def list_statuses(
        self, call: Call, request: content_pb2.ListStatusesRequest
    ) -> content_pb2.ListStatusesResponse:
        wanted = filters.parse(request.filters)
        found = [s for s in self._store.statuses(call.namespace) if wanted.matches(filters.message_reader(s))]
        return content_pb2.ListStatusesResponse(statuses=found)

    async def abort(self, call: Call, request: content_pb2.AbortRequest) -> Empty:
        self._store.abort(call.namespace, request.ref)
        return Empty()

    async def write(
        self, call: Call, requests: AsyncIterator[WriteContentRequest]
    ) -> AsyncIterator[WriteContentResponse]:
        writer: Writer | None = None
        expected = ""
        try:
            async for request in requests:
                if writer is None:
                    if not request.ref:
                        raise InvalidArgumentError("first message must have a reference", bare=True)
                    writer = self._store.writer(call.namespace, request.ref, request.total, request.expected)
                    hold(self._store.metadata, call, INGESTS, request.ref)
                elif request.ref and request.ref != writer.ref:
                    raise InvalidArgumentError(f'ref "{request.ref}" is not the "{writer.ref}" of the first message')
                expected = request.expected or expected
                yield _step(writer, request, expected)
                if request.action == COMMIT:
                    hold(self._store.metadata, call, KIND, writer.digest)
                    return
        except AlreadyExistsError:
            # Found instead of made: it must stay as long as the lease does.
            hold(self._store.metadata, call, KIND, writer.digest if writer else request.expected)
            raise
        finally:
            if writer is not None:
                writer.close()


def _step(writer: Writer, request: WriteContentRequest, expected: str) -> WriteContentResponse:
    """Do what one message asks for, and say how far the ingest is."""
    if request.action == STAT:
        return WriteContentResponse(
            action=STAT,
            started_at=writer.started_at,
            updated_at=writer.updated_at,
            offset=writer.offset,
            total=writer.total,
            digest=writer.digest,
        )
    if request.action not in (WRITE, COMMIT):
        # Real containerd answers an action that it does not know with the action and nothing else.
        return WriteContentResponse(action=request.action, started_at=clock.NEVER, updated_at=clock.NEVER)
    if request.offset and request.offset != writer.offset:
        raise OutOfRangeError(f"write @{request.offset} must occur at current offset {writer.offset}")
    if request.offset == 0 and writer.offset > 0:
        writer.restart()
    if request.data:
        writer.write(request.data)
    if request.action == COMMIT:
        writer.commit(request.total, expected, request.labels)
    return WriteContentResponse(
        action=request.action,
        started_at=clock.NEVER,
        updated_at=clock.NEVER,
        offset=writer.offset,
        digest=writer.digest,
    )
