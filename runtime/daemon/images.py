"""Images as the daemon reads them out of containerd (moby: daemon/containerd/image*.go).

containerd keeps names (Images), blobs by digest (Content) and unpacked layers (Snapshots). An image is followed from
its name to a manifest (through an index, if it is for several machines), from there to a config; all of these are
immutable, so they are kept in memory by digest. What `docker` calls the image's ID is the digest of the config.
"""

import hashlib
import json
import logging
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from runtime.api.containerd import content_pb2, images_pb2, snapshots_pb2
from runtime.daemon import platforms
from runtime.daemon.containerd_client import Containerd, GRPCError, Status
from runtime.daemon.errors import ApiError, NotFoundError, ServerError
from runtime.daemon.image_content import read_blob
from runtime.daemon.references import DANGLING, qualify, with_tag
from runtime.daemon.timestamps import ZERO, from_rfc3339

log = logging.getLogger("daemon")

CHOSEN_LABEL = "containerd.io/gc.ref.content.m"
"""On an index: which of its manifests was pulled or loaded."""
LAST_TAG_LABEL = "glassbottom/last-tag-time"
"""On a config: when its image was last tagged, or imported under a name; as in Docker, pull and load do not count."""


@dataclass(frozen=True)
class Image:
    """One image, with every name it has."""

    id: str
    """sha256: digest of the config."""
    targets: dict[str, str]
    """What each of its full names points to: the digest of a manifest or of an index."""
    manifest: dict[str, Any]
    manifest_digest: str
    config: dict[str, Any]
    sizes: tuple[int, ...]
    """Bytes on disk of each layer, the lowest first."""

    @property
    def names(self) -> list[str]:
        """Its full names, without the one that stands for no name."""
        return sorted(name for name in self.targets if not name.startswith(DANGLING))

    @property
    def layers(self) -> list[dict[str, Any]]:
        """Descriptors of the layers, the lowest first."""
        return list(self.manifest.get("layers") or [])

    @property
    def diff_ids(self) -> list[str]:
        """Digests of the uncompressed layers."""
        return list(self.config.get("rootfs", {}).get("diff_ids") or [])

    @property
    def chain_id(self) -> str:
        """The name of the snapshot of all layers; empty for an image without any."""
        return (chain_ids(self.diff_ids) or [""])[-1]

    @property
    def run_config(self) -> dict[str, Any]:
        """How to run it: Env, Cmd, Entrypoint, User, WorkingDir..."""
        return dict(self.config.get("config") or {})

    @property
    def size(self) -> int:
        """Bytes of all layers on disk."""
        return sum(self.sizes)

    @property
    def created_ns(self) -> int:
        """When it was made, by its own word."""
        return from_rfc3339(self.config.get("created") or "0001-01-01T00:00:00Z")


def chain_ids(diff_ids: list[str]) -> list[str]:
    """The names of the snapshots of the first layer, the first two, and so on (image-spec, config.md, ChainID)."""
    chain: list[str] = []
    for diff_id in diff_ids:
        text = f"{chain[-1]} {diff_id}" if chain else ""
        chain.append(f"sha256:{hashlib.sha256(text.encode()).hexdigest()}" if text else diff_id)
    return chain


class ImageStore:
    """Looks images up; everything is asked of containerd, nothing is invented."""

    def __init__(self, containerd: Containerd, snapshotter: str) -> None:
        self._containerd = containerd
        self._snapshotter = snapshotter
        self._documents: dict[str, dict[str, Any]] = {}
        self._sizes: dict[str, int] = {}

    async def find(self, name: str) -> Image:
        """The image of a name, a digest or an ID (or the beginning of one). 404 as dockerd words it."""
        if not re.fullmatch(r"(sha256:)?[0-9a-f]{1,64}", name):
            return await self._find_named(name)
        try:
            if not name.startswith("sha256:"):
                return await self._find_named(name)
        except NotFoundError:
            pass  # not a name, then: the beginning of an ID
        prefix = name if name.startswith("sha256:") else f"sha256:{name}"
        found = [image for image in await self.all() if image.id.startswith(prefix) or prefix in image.targets.values()]
        if len(found) != 1:
            raise NotFoundError(f"No such image: {with_tag(name) if prefix != name else name}")
        return found[0]

    async def _find_named(self, name: str) -> Image:
        """One call to containerd instead of all of them: this is part of every `docker run`."""
        try:
            reply = await self._containerd.images.call("Get", images_pb2.GetImageRequest(name=qualify(name)))
        except GRPCError as error:
            if error.status is Status.NOT_FOUND:
                raise NotFoundError(f"No such image: {with_tag(name)}") from error
            raise
        return await self._load(reply.image.target.digest, {reply.image.name: reply.image.target.digest})

    async def ids_of(self, names: Iterable[str]) -> dict[str, str]:
        """The IDs of the images that there are under those names."""
        found = {}
        for name in names:
            try:
                found[name] = (await self.find(name)).id
            except NotFoundError:
                continue
        return found

    async def last_tagged(self, image: Image) -> str:
        """When it was last given a name by a user."""
        return await self._label(image.id, LAST_TAG_LABEL) or ZERO

    async def with_all_names(self, image: Image) -> Image:
        """The same image, with the names that it was not found by, and its sizes."""
        return next((one for one in await self.all() if one.id == image.id), image)

    async def all(self) -> list[Image]:
        """Every image with all its names and sizes, newest first."""
        reply = await self._containerd.images.call("List", images_pb2.ListImagesRequest())
        images: dict[str, Image] = {}
        for record in reply.images:
            try:
                image = await self._load(record.target.digest, {record.name: record.target.digest})
            except ApiError as error:
                # Another client's (`ctr images pull --all-platforms`, half a copy): no reason to show none at all.
                log.warning("image %s cannot be read: %s", record.name, error.message)
                continue
            known = images.setdefault(image.id, image)
            known.targets.update(image.targets)
        sized = [
            Image(i.id, i.targets, i.manifest, i.manifest_digest, i.config, await self._sizes_of(i))
            for i in images.values()
        ]
        return sorted(sized, key=lambda image: (image.created_ns, image.names), reverse=True)

    async def _load(self, target: str, targets: dict[str, str]) -> Image:
        try:
            manifest, digest = await self._document(target), target
            if platforms.is_index(manifest):
                digest = await self._chosen(target, manifest)
                manifest = await self._document(digest)
            config_digest = str(manifest["config"]["digest"])
            config = await self._document(config_digest)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ServerError(f"{target} is not an image: {error}") from error
        except GRPCError as error:
            if error.status is not Status.NOT_FOUND:
                raise
            raise NotFoundError(f"No such image: {target}: {error.message}") from error
        return Image(config_digest, targets, manifest, digest, config, ())

    async def _chosen(self, digest: str, index: dict[str, Any]) -> str:
        chosen = await self._label(digest, CHOSEN_LABEL)
        return chosen or str(platforms.choose(index, platforms.this_machine())["digest"])

    async def _label(self, digest: str, key: str) -> str:
        info = (await self._containerd.content.call("Info", content_pb2.InfoRequest(digest=digest))).info
        return str(info.labels.get(key, ""))

    async def _document(self, digest: str) -> dict[str, Any]:
        document = self._documents.get(digest)
        if document is None:
            document = json.loads(await read_blob(self._containerd, digest))
            if not isinstance(document, dict):
                raise ValueError("want a JSON object")
            self._documents[digest] = document
        return document

    async def _sizes_of(self, image: Image) -> tuple[int, ...]:
        return tuple([await self._size(chain_id) for chain_id in chain_ids(image.diff_ids)])

    async def size_below(self, container_id: str) -> int:
        """Bytes of the layers that a container stands on; its image itself may have been removed by force."""
        request = snapshots_pb2.StatSnapshotRequest(snapshotter=self._snapshotter, key=container_id)
        size = 0
        while parent := (await self._containerd.snapshots.call("Stat", request)).info.parent:
            size += await self._size(parent)
            request.key = parent
        return size

    async def _size(self, chain_id: str) -> int:
        if chain_id not in self._sizes:
            request = snapshots_pb2.UsageRequest(snapshotter=self._snapshotter, key=chain_id)
            try:
                self._sizes[chain_id] = (await self._containerd.snapshots.call("Usage", request)).size
            except GRPCError:
                return 0  # another client's, not unpacked
        return self._sizes[chain_id]
