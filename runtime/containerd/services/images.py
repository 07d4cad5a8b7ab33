"""Images: names that point at content.

Real counterpart: containerd `services/images/local.go`, `metadata/images.go`.
"""

from google.protobuf.empty_pb2 import Empty

from runtime.api.containerd import image_events_pb2, images_pb2
from runtime.api.containerd.images_pb2 import Image
from runtime.containerd import clock, filters, identifiers
from runtime.containerd.errors import AlreadyExistsError, InvalidArgumentError, NotFoundError
from runtime.containerd.exchange import Exchange
from runtime.containerd.garbage import Collector
from runtime.containerd.labels import replace_map, update_map
from runtime.containerd.metadata import Metadata
from runtime.containerd.server import Call

KIND = "images"


class ImagesService:
    """`ctr images ls|tag|label|rm`, and the last step of every pull and import."""

    descriptor = images_pb2.DESCRIPTOR.services_by_name["Images"]

    def __init__(self, metadata: Metadata, exchange: Exchange, collector: Collector) -> None:
        self._metadata, self._exchange, self._collector = metadata, exchange, collector

    async def get(self, call: Call, request: images_pb2.GetImageRequest) -> images_pb2.GetImageResponse:
        return images_pb2.GetImageResponse(image=self._read(call.namespace, request.name))

    async def list(self, call: Call, request: images_pb2.ListImagesRequest) -> images_pb2.ListImagesResponse:
        wanted = filters.parse(request.filters)
        found = [Image.FromString(value) for _, value in self._metadata.records(KIND, call.namespace)]
        return images_pb2.ListImagesResponse(images=[i for i in found if wanted.matches(filters.message_reader(i))])

    async def create(self, call: Call, request: images_pb2.CreateImageRequest) -> images_pb2.CreateImageResponse:
        image = request.image
        if not image.name:
            raise InvalidArgumentError("Image.Name required", bare=True)
        _validate(image)
        image.created_at.CopyFrom(clock.now())
        image.updated_at.CopyFrom(image.created_at)
        if not self._metadata.insert(KIND, call.namespace, image.name, image.SerializeToString()):
            raise AlreadyExistsError(f'image "{image.name}"')
        created = image_events_pb2.ImageCreate(name=image.name, labels=image.labels)
        self._exchange.publish(call.namespace, "/images/create", created)
        return images_pb2.CreateImageResponse(image=image)

    async def update(self, call: Call, request: images_pb2.UpdateImageRequest) -> images_pb2.UpdateImageResponse:
        wanted = request.image
        if not wanted.name:
            raise InvalidArgumentError("Image.Name required", bare=True)
        image = self._read(call.namespace, wanted.name)
        if request.update_mask.paths:
            for path in request.update_mask.paths:
                _update_path(image, wanted, path)
        else:
            replace_map(image.labels, wanted.labels)
            image.target.CopyFrom(wanted.target)
        _validate(image)
        image.updated_at.CopyFrom(clock.now())
        self._metadata.put(KIND, call.namespace, image.name, image.SerializeToString())
        updated = image_events_pb2.ImageUpdate(name=image.name, labels=image.labels)
        self._exchange.publish(call.namespace, "/images/update", updated)
        return images_pb2.UpdateImageResponse(image=image)

    async def delete(self, call: Call, request: images_pb2.DeleteImageRequest) -> Empty:
        if not self._metadata.delete(KIND, call.namespace, request.name):
            raise NotFoundError(f'image "{request.name}"')
        self._exchange.publish(call.namespace, "/images/delete", image_events_pb2.ImageDelete(name=request.name))
        # Real containerd collects some time later unless the client asks to wait (`sync`); here it is always done at
        # once.
        await self._collector.collect(call.namespace)
        return Empty()

    def _read(self, namespace: str, name: str) -> Image:
        value = self._metadata.get(KIND, namespace, name)
        if value is None:
            raise NotFoundError(f'image "{name}"')
        return Image.FromString(value)


def _update_path(image: Image, wanted: Image, path: str) -> None:
    if update_map(path, "labels", image.labels, wanted.labels):
        return
    if update_map(path, "annotations", image.target.annotations, wanted.target.annotations):
        return
    if path != "target":
        raise InvalidArgumentError(f'cannot update "{path}" field on image "{image.name}"')
    image.target.CopyFrom(wanted.target)


def _validate(image: Image) -> None:
    identifiers.require_labels(image.labels, f'image "{image.name}" labels: ')
    target = image.target
    if not identifiers.is_digest(target.digest):
        raise InvalidArgumentError(f'Target.Digest "{target.digest}" invalid: invalid checksum digest format')
    if target.size <= 0:
        raise InvalidArgumentError("Target.Size must be greater than zero")
    if not target.media_type:
        raise InvalidArgumentError("Target.MediaType must be set")
