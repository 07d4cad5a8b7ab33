"""Put an image into containerd: blobs, name, unpacked layers (containerd's client package; image-spec).

    daemon -> containerd   Leases.Create                        nothing that follows is collected as garbage meanwhile
    daemon -> containerd   Content.Write (layer, layer, config, manifest)
    daemon -> containerd   Images.Create                        the name now holds the manifest, labels hold the rest
    daemon -> containerd   for each layer: Snapshots.Prepare, Diff.Apply, Snapshots.Commit under its chain ID
    daemon -> containerd   Leases.Delete

Every step may have been done by an earlier daemon that was killed: what exists already is left as it is.
"""

import hashlib
import json
import time
from dataclasses import dataclass
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp

from runtime.api.containerd import content_pb2, diff_pb2, images_pb2, leases_pb2, snapshots_pb2
from runtime.daemon.containerd_client import Containerd, GRPCError, Status
from runtime.daemon.images import chain_ids
from runtime.daemon.timestamps import rfc3339

_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_CONFIG = "application/vnd.oci.image.config.v1+json"
_LAYER = "application/vnd.oci.image.layer.v1.tar"
_CHUNK_BYTES = 1 << 20


@dataclass(frozen=True)
class BuiltImage:
    """An OCI image as the blobs it consists of."""

    layers: tuple[bytes, ...]
    """Uncompressed tars, the lowest first."""
    config: bytes


def digest_of(blob: bytes) -> str:
    """A blob's name in every content store."""
    return f"sha256:{hashlib.sha256(blob).hexdigest()}"


async def import_image(containerd: Containerd, snapshotter: str, name: str, image: BuiltImage) -> str:
    """Store an image under a full name and unpack it; returns the digest of its manifest."""
    lease = leases_pb2.CreateRequest(id=f"import-{digest_of(image.config)[7:19]}-{time.time_ns()}")
    lease.labels["containerd.io/gc.expire"] = rfc3339(time.time_ns() + 24 * 3600 * 10**9)
    await containerd.leases.call("Create", lease)
    try:
        layers = [_descriptor(_LAYER, layer) for layer in image.layers]
        config = _descriptor(_CONFIG, image.config)
        manifest = json.dumps(
            {"schemaVersion": 2, "mediaType": _MANIFEST, "config": config, "layers": layers},
            sort_keys=True,
            separators=(",", ":"),
        ).encode()
        chain = chain_ids([layer["digest"] for layer in layers])
        for layer in image.layers:
            await _write_blob(containerd, layer, {}, lease.id)
        # Labels are what containerd's collector follows: name -> manifest -> config and layers -> snapshot.
        await _write_blob(
            containerd, image.config, {f"containerd.io/gc.ref.snapshot.{snapshotter}": chain[-1]}, lease.id
        )
        children = {f"containerd.io/gc.ref.content.l.{i}": layer["digest"] for i, layer in enumerate(layers)}
        children["containerd.io/gc.ref.content.config"] = config["digest"]
        await _write_blob(containerd, manifest, children, lease.id)
        target = _descriptor(_MANIFEST, manifest)
        await _create_name(containerd, name, target)
        parent = ""
        for descriptor, chain_id in zip(layers, chain, strict=True):
            await _unpack(containerd, snapshotter, descriptor, parent, chain_id, lease.id)
            parent = chain_id
        return str(target["digest"])
    finally:
        await containerd.leases.call("Delete", leases_pb2.DeleteRequest(id=lease.id))


def _descriptor(media_type: str, blob: bytes) -> dict[str, Any]:
    return {"mediaType": media_type, "digest": digest_of(blob), "size": len(blob)}


async def _write_blob(containerd: Containerd, blob: bytes, labels: dict[str, str], lease: str) -> None:
    """Content.Write: an ingest under a reference, data by offset, then a commit that checks the digest."""
    digest = digest_of(blob)
    try:
        async with containerd.content.open("Write", **{"containerd-lease": lease}) as stream:
            reference = f"import-{digest}"
            opening = content_pb2.WriteContentRequest(
                action=content_pb2.STAT, ref=reference, total=len(blob), expected=digest
            )
            await stream.send_message(opening)
            reply = await stream.recv_message()
            offset = reply.offset if reply is not None else 0  # what a killed daemon had sent already
            while offset < len(blob):
                piece = blob[offset : offset + _CHUNK_BYTES]
                await stream.send_message(
                    content_pb2.WriteContentRequest(
                        action=content_pb2.WRITE,
                        ref=reference,
                        offset=offset,
                        data=piece,
                        total=len(blob),
                        expected=digest,
                    )
                )
                await stream.recv_message()
                offset += len(piece)
            await stream.send_message(
                content_pb2.WriteContentRequest(
                    action=content_pb2.COMMIT,
                    ref=reference,
                    offset=offset,
                    total=len(blob),
                    expected=digest,
                    labels=labels,
                ),
                end=True,
            )
            await stream.recv_message()
    except GRPCError as error:
        if error.status is not Status.ALREADY_EXISTS:
            raise


async def _create_name(containerd: Containerd, name: str, target: dict[str, Any]) -> None:
    record = images_pb2.Image(name=name)
    record.target.media_type = target["mediaType"]
    record.target.digest = target["digest"]
    record.target.size = target["size"]
    now = Timestamp()
    now.FromNanoseconds(time.time_ns())
    record.created_at.CopyFrom(now)
    record.updated_at.CopyFrom(now)
    try:
        await containerd.images.call("Create", images_pb2.CreateImageRequest(image=record))
    except GRPCError as error:
        if error.status is not Status.ALREADY_EXISTS:
            raise
        await containerd.images.call("Update", images_pb2.UpdateImageRequest(image=record))


async def _unpack(
    containerd: Containerd, snapshotter: str, descriptor: dict[str, Any], parent: str, chain_id: str, lease: str
) -> None:
    """Make the snapshot of one more layer, unless it exists."""
    snapshots = containerd.snapshots
    try:
        await snapshots.call("Stat", snapshots_pb2.StatSnapshotRequest(snapshotter=snapshotter, key=chain_id))
        return
    except GRPCError as error:
        if error.status is not Status.NOT_FOUND:
            raise
    key = f"extract-{time.time_ns()} {chain_id}"
    held = {"containerd-lease": lease}
    prepared = await snapshots.call(
        "Prepare", snapshots_pb2.PrepareSnapshotRequest(snapshotter=snapshotter, key=key, parent=parent), **held
    )
    request = diff_pb2.ApplyRequest(mounts=prepared.mounts)
    request.diff.media_type = descriptor["mediaType"]
    request.diff.digest = descriptor["digest"]
    request.diff.size = descriptor["size"]
    await containerd.diff.call("Apply", request, **held)
    commit = snapshots_pb2.CommitSnapshotRequest(snapshotter=snapshotter, name=chain_id, key=key)
    await snapshots.call("Commit", commit, **held)
