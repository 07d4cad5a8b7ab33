"""Snapshots of every snapshotter behind one service.

Real counterpart: containerd `services/snapshots/service.go`.
"""

from collections.abc import AsyncIterator

from google.protobuf.empty_pb2 import Empty

from runtime.api.containerd import events_pb2, snapshots_pb2
from runtime.api.containerd.snapshots_pb2 import ACTIVE, VIEW
from runtime.containerd import filters
from runtime.containerd.errors import InvalidArgumentError, UnimplementedError
from runtime.containerd.exchange import Exchange
from runtime.containerd.garbage import hold
from runtime.containerd.labels import replace_map, update_map
from runtime.containerd.metadata import Metadata
from runtime.containerd.server import Call
from runtime.containerd.snapshots.snapshotter import Snapshotters
from runtime.containerd.unfinished import to_the_end

_PAGE = 100


class SnapshotsService:
    """`ctr snapshots ls|mounts|prepare|view|commit|rm|info|usage`."""

    descriptor = snapshots_pb2.DESCRIPTOR.services_by_name["Snapshots"]

    def __init__(self, metadata: Metadata, snapshotters: Snapshotters, exchange: Exchange) -> None:
        self._metadata, self._snapshotters, self._exchange = metadata, snapshotters, exchange

    async def prepare(
        self, call: Call, request: snapshots_pb2.PrepareSnapshotRequest
    ) -> snapshots_pb2.PrepareSnapshotResponse:
        snapshotter = self._snapshotters.find(request.snapshotter)
        mounts = await snapshotter.prepare(call.namespace, request.key, request.parent, ACTIVE, dict(request.labels))
        hold(self._metadata, call, f"snapshots/{request.snapshotter}", request.key)
        prepared = events_pb2.SnapshotPrepare(key=request.key, parent=request.parent, snapshotter=request.snapshotter)
        self._exchange.publish(call.namespace, "/snapshot/prepare", prepared)
        return snapshots_pb2.PrepareSnapshotResponse(mounts=mounts)

    async def view(self, call: Call, request: snapshots_pb2.ViewSnapshotRequest) -> snapshots_pb2.ViewSnapshotResponse:
        snapshotter = self._snapshotters.find(request.snapshotter)
        mounts = await snapshotter.prepare(call.namespace, request.key, request.parent, VIEW, dict(request.labels))
        hold(self._metadata, call, f"snapshots/{request.snapshotter}", request.key)
        prepared = events_pb2.SnapshotPrepare(key=request.key, parent=request.parent, snapshotter=request.snapshotter)
        self._exchange.publish(call.namespace, "/snapshot/prepare", prepared)
        return snapshots_pb2.ViewSnapshotResponse(mounts=mounts)

    async def mounts(self, call: Call, request: snapshots_pb2.MountsRequest) -> snapshots_pb2.MountsResponse:
        snapshotter = self._snapshotters.find(request.snapshotter)
        return snapshots_pb2.MountsResponse(mounts=snapshotter.mounts(call.namespace, request.key))

    async def commit(self, call: Call, request: snapshots_pb2.CommitSnapshotRequest) -> Empty:
        snapshotter = self._snapshotters.find(request.snapshotter)
        snapshotter.commit(call.namespace, request.name, request.key, dict(request.labels))
        hold(self._metadata, call, f"snapshots/{request.snapshotter}", request.name)
        committed = events_pb2.SnapshotCommit(key=request.key, name=request.name, snapshotter=request.snapshotter)
        self._exchange.publish(call.namespace, "/snapshot/commit", committed)
        return Empty()

    async def remove(self, call: Call, request: snapshots_pb2.RemoveSnapshotRequest) -> Empty:
        snapshotter = self._snapshotters.find(request.snapshotter)
        snapshotter.forget(call.namespace, request.key)
        await to_the_end(snapshotter.clear())
        removed = events_pb2.SnapshotRemove(key=request.key, snapshotter=request.snapshotter)
        self._exchange.publish(call.namespace, "/snapshot/remove", removed)
        return Empty()

    async def stat(self, call: Call, request: snapshots_pb2.StatSnapshotRequest) -> snapshots_pb2.StatSnapshotResponse:
        snapshotter = self._snapshotters.find(request.snapshotter)
        return snapshots_pb2.StatSnapshotResponse(info=snapshotter.stat(call.namespace, request.key))

    async def update(
        self, call: Call, request: snapshots_pb2.UpdateSnapshotRequest
    ) -> snapshots_pb2.UpdateSnapshotResponse:
        snapshotter = self._snapshotters.find(request.snapshotter)
        info = snapshotter.stat(call.namespace, request.info.name)
        for path in request.update_mask.paths:
            if not update_map(path, "labels", info.labels, request.info.labels):
                raise InvalidArgumentError(f'cannot update "{path}" field on snapshot "{info.name}"')
        if not request.update_mask.paths:
            replace_map(info.labels, request.info.labels)
        snapshotter.update(call.namespace, info)
        return snapshots_pb2.UpdateSnapshotResponse(info=info)

    async def list(
        self, call: Call, request: snapshots_pb2.ListSnapshotsRequest
    ) -> AsyncIterator[snapshots_pb2.ListSnapshotsResponse]:
        wanted = filters.parse(request.filters)
        snapshotter = self._snapshotters.find(request.snapshotter)
        found = [info for info in snapshotter.list(call.namespace) if wanted.matches(filters.message_reader(info))]
        for start in range(0, len(found), _PAGE):
            yield snapshots_pb2.ListSnapshotsResponse(info=found[start : start + _PAGE])

    async def usage(self, call: Call, request: snapshots_pb2.UsageRequest) -> snapshots_pb2.UsageResponse:
        size, inodes = await self._snapshotters.find(request.snapshotter).usage(call.namespace, request.key)
        return snapshots_pb2.UsageResponse(size=size, inodes=inodes)

    async def cleanup(self, call: Call, request: snapshots_pb2.CleanupRequest) -> Empty:
        # What real containerd's overlayfs and native answer, too.
        raise UnimplementedError("snapshotter does not implement Cleanup method")
