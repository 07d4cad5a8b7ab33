"""From blobs in the content store to an image that containers can be made of (containerd: client/image.go, unpacker).

    daemon -> containerd   Content.Update        labels: what each blob refers to, which the collector follows
    daemon -> containerd   for each layer: Snapshots.Prepare, Diff.Apply, Snapshots.Commit under its chain ID
    daemon -> containerd   Images.Create         last of all: a name never leads to half an image

Every step may have been done by an earlier daemon that was killed: what exists already is left as it is. All of it
happens under a lease (image_content.py).
"""

import asyncio
import json
import time
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

from runtime.api.containerd import diff_pb2, leases_pb2, snapshots_pb2
from runtime.daemon.containerd_client import Containerd, GRPCError, Status
from runtime.daemon.errors import InvalidParameterError
from runtime.daemon.image_content import Descriptor, Leases, Source, from_bytes, set_labels, write_blob
from runtime.daemon.image_names import ImageNames
from runtime.daemon.images import CHOSEN_LABEL, chain_ids

OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
OCI_LAYER = "application/vnd.oci.image.layer.v1.tar"


class LayerMismatchError(Exception):
    """A layer is not the one that the image's config names."""

    def __init__(self, number: int, expected: str, found: str) -> None:
        super().__init__(f'invalid diffID for layer {number}: expected "{expected}", got "{found}"')


@dataclass(frozen=True)
class NewImage:
    """An image whose blobs are all in the content store."""

    target: Descriptor
    """What its names will point to: its manifest, or the index that lists it."""
    manifest_digest: str
    manifest: dict[str, Any]
    config: dict[str, Any]

    @property
    def id(self) -> str:
        """The image's ID."""
        return str(self.manifest["config"]["digest"])


@dataclass(frozen=True)
class Installer:
    """Unpacks images and gives them their names."""

    containerd: Containerd
    snapshotter: str
    leases: Leases
    names: ImageNames
    _making: defaultdict[str, asyncio.Lock] = field(default_factory=lambda: defaultdict(asyncio.Lock))
    """By digest: what two clients want at the same time, the second waits for and then finds there."""

    async def put(self, blob: Descriptor, data: bytes, lease: str) -> None:
        """Put a small blob (manifest, config) into the content store."""
        await self.write(blob, from_bytes(data), lease)

    async def write(self, blob: Descriptor, source: Source, lease: str) -> None:
        """Put a blob into the content store, unless it is there. Raises WrongContentError."""
        async with self._making[blob.digest]:
            await write_blob(self.containerd, blob, source, lease)

    async def install(self, image: NewImage, lease: str) -> None:
        """Label, then unpack whatever is not unpacked yet. Raises LayerMismatchError."""
        await self.label(image)
        diff_ids = checked_diff_ids(image.manifest, image.config)
        for number, _ in enumerate(diff_ids):
            await self.unpack(image.manifest["layers"][number], diff_ids[: number + 1], lease)

    async def label(self, image: NewImage) -> None:
        """Labels are what containerd's collector follows: name -> manifest -> config and layers -> snapshot."""
        layers = image.manifest.get("layers") or []
        children = {f"containerd.io/gc.ref.content.l.{i}": layer["digest"] for i, layer in enumerate(layers)}
        children["containerd.io/gc.ref.content.config"] = image.id
        chain = chain_ids(checked_diff_ids(image.manifest, image.config))
        if chain:
            label = f"containerd.io/gc.ref.snapshot.{self.snapshotter}"
            await set_labels(self.containerd, image.id, {label: chain[-1]})
        await set_labels(self.containerd, image.manifest_digest, children)
        if image.target.digest != image.manifest_digest:
            await set_labels(self.containerd, image.target.digest, {CHOSEN_LABEL: image.manifest_digest})

    async def is_unpacked(self, diff_ids: list[str], lease: str) -> bool:
        """Whether the snapshot of these layers exists; if so, it stays as long as the lease does."""
        chain_id = chain_ids(diff_ids)[-1]
        held = leases_pb2.Resource(id=chain_id, type=f"snapshots/{self.snapshotter}")
        try:
            await self.containerd.leases.call("AddResource", leases_pb2.AddResourceRequest(id=lease, resource=held))
            request = snapshots_pb2.StatSnapshotRequest(snapshotter=self.snapshotter, key=chain_id)
            await self.containerd.snapshots.call("Stat", request)
        except GRPCError as error:
            if error.status is not Status.NOT_FOUND:
                raise
            return False
        return True

    async def unpack(self, layer: dict[str, Any], diff_ids: list[str], lease: str) -> None:
        """Make the snapshot of one more layer: the last of `diff_ids`, on top of the others, unless it exists."""
        chain = chain_ids(diff_ids)
        async with self._making[f"snapshot {chain[-1]}"]:
            if not await self.is_unpacked(diff_ids, lease):
                await self._unpack(layer, diff_ids, ["", *chain], lease)

    async def _unpack(self, layer: dict[str, Any], diff_ids: list[str], chain: list[str], lease: str) -> None:
        key, held = f"extract-{time.time_ns()} {chain[-1]}", {"containerd-lease": lease}
        snapshots = self.containerd.snapshots
        prepare = snapshots_pb2.PrepareSnapshotRequest(snapshotter=self.snapshotter, key=key, parent=chain[-2])
        prepared = await snapshots.call("Prepare", prepare, **held)
        try:
            request = diff_pb2.ApplyRequest(mounts=prepared.mounts)
            request.diff.media_type, request.diff.digest = layer["mediaType"], layer["digest"]
            request.diff.size = layer["size"]
            applied = (await self.containerd.diff.call("Apply", request, **held)).applied
            if applied.digest != diff_ids[-1]:
                raise LayerMismatchError(len(diff_ids) - 1, diff_ids[-1], applied.digest)
            commit = snapshots_pb2.CommitSnapshotRequest(snapshotter=self.snapshotter, name=chain[-1], key=key)
            await snapshots.call("Commit", commit, **held)
        except BaseException:
            # Also where the client has gone away. What cannot be removed now goes with the lease.
            await snapshots.call("Remove", snapshots_pb2.RemoveSnapshotRequest(snapshotter=self.snapshotter, key=key))
            raise


def checked_diff_ids(manifest: dict[str, Any], config: dict[str, Any]) -> list[str]:
    """The layers as the config names them, as many as the manifest has. Raises InvalidParameterError."""
    layers, rootfs = manifest.get("layers") or [], config.get("rootfs") or {}
    diff_ids = rootfs.get("diff_ids") or [] if isinstance(rootfs, dict) else None
    if not isinstance(diff_ids, list) or not all(isinstance(one, str) for one in diff_ids):
        raise InvalidParameterError("the image's config does not say which layers it has")
    if len(diff_ids) != len(layers):
        raise InvalidParameterError(
            f"invalid manifest, layers length mismatch: expected {len(diff_ids)}, got {len(layers)}"
        )
    return diff_ids


def build_manifest(config: Descriptor, layers: list[Descriptor]) -> bytes:
    """A manifest, the same bytes for the same image (image-spec, manifest.md)."""
    document = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": config.document(),
        "layers": [layer.document() for layer in layers],
    }
    return json.dumps(document, sort_keys=True, separators=(",", ":")).encode()
