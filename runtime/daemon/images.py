"""Images as the daemon reads them out of containerd (moby: daemon/containerd/image*.go).

containerd keeps names (Images), blobs by digest (Content) and unpacked layers (Snapshots). An image is followed from
its
name to a manifest, from there to a config; both are immutable, so they are kept in memory by digest. What `docker`
calls the image's ID is the digest of the config.
"""

import hashlib
import json
import re
from dataclasses import dataclass
from typing import Any

from runtime.api.containerd import content_pb2, images_pb2
from runtime.daemon.containerd_client import Containerd, GRPCError, Status
from runtime.daemon.errors import ConflictError, NotFoundError, ServerError
from runtime.daemon.references import familiar, go_architecture, qualify, with_tag
from runtime.daemon.timestamps import from_rfc3339

INDEX_TYPES = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
)


@dataclass(frozen=True)
class Image:
    """One image, with every name it has."""

    id: str
    """sha256: digest of the config."""
    target: str
    """Digest that the names point to."""
    names: tuple[str, ...]
    config: dict[str, Any]
    layers: tuple[dict[str, Any], ...]
    """Descriptors of the layers, the lowest first."""

    @property
    def diff_ids(self) -> list[str]:
        """Digests of the uncompressed layers."""
        return list(self.config.get("rootfs", {}).get("diff_ids", []))

    @property
    def chain_id(self) -> str:
        """The name of the snapshot of all layers."""
        return chain_ids(self.diff_ids)[-1]

    @property
    def run_config(self) -> dict[str, Any]:
        """How to run it: Env, Cmd, Entrypoint, User, WorkingDir..."""
        return dict(self.config.get("config") or {})

    @property
    def size(self) -> int:
        """Bytes in all layers as they are stored."""
        return sum(int(layer.get("size", 0)) for layer in self.layers)

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

    def __init__(self, containerd: Containerd) -> None:
        self._containerd = containerd
        self._documents: dict[str, dict[str, Any]] = {}

    async def find(self, name: str) -> Image:
        """The image of a name, a digest or an ID (or the beginning of one). 404 as dockerd words it."""
        if not re.fullmatch(r"(sha256:)?[0-9a-f]{4,64}", name):
            return await self._find_named(name)
        try:
            return await self._find_named(name)
        except NotFoundError:
            prefix = name if name.startswith("sha256:") else f"sha256:{name}"
            found = [image for image in await self.all() if image.id.startswith(prefix) or image.target == prefix]
            if len(found) != 1:
                raise
            return found[0]

    async def _find_named(self, name: str) -> Image:
        try:
            request = images_pb2.GetImageRequest(name=qualify(name))
            reply = await self._containerd.images.call("Get", request)
        except GRPCError as error:
            if error.status is Status.NOT_FOUND:
                raise NotFoundError(f"No such image: {with_tag(name)}") from error
            raise
        return await self._load(reply.image.target.digest, [reply.image.name])

    async def all(self) -> list[Image]:
        """Every image, newest first; names of the same content are one image."""
        reply = await self._containerd.images.call("List", images_pb2.ListImagesRequest())
        names: dict[str, list[str]] = {}
        for record in reply.images:
            names.setdefault(record.target.digest, []).append(record.name)
        found = [await self._load(target, sorted(of_one)) for target, of_one in names.items()]
        return sorted(found, key=lambda image: (image.created_ns, image.names), reverse=True)

    async def names_of(self, image: Image) -> list[str]:
        """All full names that point to the same content."""
        reply = await self._containerd.images.call("List", images_pb2.ListImagesRequest())
        return sorted(record.name for record in reply.images if record.target.digest == image.target)

    async def tag(self, image: Image, name: str) -> str:
        """Give an image one more name, taking it away from the image that had it."""
        record = images_pb2.Image(name=qualify(name))
        source = images_pb2.GetImageRequest(name=(await self.names_of(image))[0])
        record.target.CopyFrom((await self._containerd.images.call("Get", source)).image.target)
        try:
            await self._containerd.images.call("Create", images_pb2.CreateImageRequest(image=record))
        except GRPCError as error:
            if error.status is not Status.ALREADY_EXISTS:
                raise
            await self._containerd.images.call("Update", images_pb2.UpdateImageRequest(image=record))
        return record.name

    async def remove(self, name: str, used_by: list[str], force: bool) -> list[dict[str, str]]:
        """Take a name away, and the image itself when it was the last. `used_by` are the IDs of its containers."""
        image = await self.find(name)
        names = await self.names_of(image)
        by_id = qualify(name) not in names if not name.startswith("sha256:") else True
        going = names if by_id else [qualify(name)]
        if by_id and len(names) > 1 and not force:
            raise ConflictError(
                f"conflict: unable to delete {image.id[7:19]} (must be forced) - image is referenced "
                "in multiple repositories"
            )
        if used_by and len(going) == len(names) and not force:
            user = used_by[0][:12]
            if by_id:
                raise ConflictError(
                    f"conflict: unable to delete {image.id[7:19]} (must be forced) - image is being used by stopped "
                    f"container {user}"
                )
            raise ConflictError(
                f'conflict: unable to remove repository reference "{name}" (must force) - container {user} is using '
                f"its referenced image {image.id[7:19]}"
            )
        removed = []
        for going_name in going:
            # Synchronously: containerd's collector has dropped blobs and snapshots by the time of the reply.
            request = images_pb2.DeleteImageRequest(name=going_name, sync=True)
            await self._containerd.images.call("Delete", request)
            removed.append({"Untagged": familiar(going_name)})
        if len(going) == len(names):
            removed.append({"Deleted": image.id})
        return removed

    async def _load(self, target: str, names: list[str]) -> Image:
        manifest = await self._document(target)
        if manifest.get("mediaType") in INDEX_TYPES or "manifests" in manifest:
            manifest = await self._document(_for_this_machine(manifest))
        config_digest = str(manifest["config"]["digest"])
        return Image(
            config_digest, target, tuple(names), await self._document(config_digest), tuple(manifest.get("layers", []))
        )

    async def _document(self, digest: str) -> dict[str, Any]:
        document = self._documents.get(digest)
        if document is None:
            document = self._documents[digest] = json.loads(await self.read_blob(digest))
        return document

    async def read_blob(self, digest: str) -> bytes:
        """A whole blob out of the content store."""
        data = bytearray()
        async for piece in self._containerd.content.stream("Read", content_pb2.ReadContentRequest(digest=digest)):
            data += piece.data
        return bytes(data)


def _for_this_machine(index: dict[str, Any]) -> str:
    for entry in index.get("manifests", []):
        platform = entry.get("platform") or {}
        if platform.get("os", "linux") == "linux" and platform.get("architecture") == go_architecture():
            return str(entry["digest"])
    raise ServerError(f"image has no manifest for linux/{go_architecture()}")
