"""Giving images names and taking them away (moby: daemon/containerd/image_tag.go, image_delete.go).

containerd knows images by names alone. An image whose last name went to another one must not vanish with it, so it
gets a name that means "none", made of its digest: `moby-dangling@sha256:...`. Names of the form `alpine@sha256:...`
are what a pull leaves beside `alpine:latest`: where the image came from, and what `docker images --digests` shows.
"""

import time

from google.protobuf.timestamp_pb2 import Timestamp

from runtime.api.containerd import images_pb2
from runtime.daemon.containerd_client import Containerd, GRPCError, Status
from runtime.daemon.errors import NotFoundError
from runtime.daemon.image_content import Descriptor, set_labels
from runtime.daemon.images import LAST_TAG_LABEL, Image, ImageStore
from runtime.daemon.references import DANGLING
from runtime.daemon.timestamps import rfc3339


class ImageNames:
    """The names in containerd's image store."""

    def __init__(self, containerd: Containerd, store: ImageStore) -> None:
        self._containerd = containerd
        self._store = store

    async def give(self, name: str, target: Descriptor) -> str:
        """Let a full name (or DANGLING) point to a manifest or index; returns the ID of the image that had it."""
        if name == DANGLING:
            await self._put(f"{DANGLING}{target.digest}", target)
            return ""
        before = ""
        try:
            owner = await self._store.find(name)
            before = owner.id
            if owner.targets[name] != target.digest:
                await self._keep_without(name)
        except NotFoundError:
            pass  # nobody's yet
        await self._put(name, target)
        await self._drop(f"{DANGLING}{target.digest}")
        return before

    async def note_tag(self, image_id: str) -> None:
        """Keep that a user has named an image now."""
        await set_labels(self._containerd, image_id, {LAST_TAG_LABEL: rfc3339(time.time_ns())})

    async def give_again(self, image: Image, name: str) -> None:
        """Let one more name, a user's, point to where the image's first one does."""
        source = images_pb2.GetImageRequest(name=next(iter(image.targets)))
        target = (await self._containerd.images.call("Get", source)).image.target
        await self.give(name, Descriptor(target.media_type, target.digest, target.size))
        await self.note_tag(image.id)

    async def take(self, image: Image, names: list[str], *, keep: bool) -> None:
        """Take names away. With the last one the image is gone, unless it is to be kept without a name."""
        if keep and set(image.targets) == set(names):
            await self._keep_without(names[0])
        for name in names:
            # Synchronously: containerd's collector has dropped blobs and snapshots by the time of the reply.
            request = images_pb2.DeleteImageRequest(name=name, sync=True)
            await self._containerd.images.call("Delete", request)

    async def _keep_without(self, name: str) -> None:
        """Give what a name points to the name that means none, if it has no other."""
        image = await self._store.with_all_names(await self._store.find(name))
        if set(image.targets) == {name}:
            record = (await self._containerd.images.call("Get", images_pb2.GetImageRequest(name=name))).image
            target = record.target
            await self.give(DANGLING, Descriptor(target.media_type, target.digest, target.size))

    async def _put(self, name: str, target: Descriptor) -> None:
        record = images_pb2.Image(name=name)
        record.target.media_type, record.target.digest, record.target.size = target
        now = Timestamp()
        now.FromNanoseconds(time.time_ns())
        record.created_at.CopyFrom(now)
        record.updated_at.CopyFrom(now)
        try:
            await self._containerd.images.call("Create", images_pb2.CreateImageRequest(image=record))
        except GRPCError as error:
            if error.status is not Status.ALREADY_EXISTS:
                raise
            await self._containerd.images.call("Update", images_pb2.UpdateImageRequest(image=record))

    async def _drop(self, name: str) -> None:
        try:
            await self._containerd.images.call("Delete", images_pb2.DeleteImageRequest(name=name))
        except GRPCError as error:
            if error.status is not Status.NOT_FOUND:
                raise
