"""Containers: metadata only. What runs is a task.

Real counterpart: containerd `services/containers/local.go`, `metadata/containers.go`.
"""

from collections.abc import AsyncIterator

from google.protobuf.empty_pb2 import Empty

from runtime.api.containerd import containers_pb2, events_pb2
from runtime.api.containerd.containers_pb2 import Container
from runtime.containerd import clock, filters, identifiers
from runtime.containerd.errors import AlreadyExistsError, InvalidArgumentError, NotFoundError
from runtime.containerd.exchange import Exchange
from runtime.containerd.labels import replace_map, update_map
from runtime.containerd.metadata import Metadata
from runtime.containerd.server import Call

KIND = "containers"


def read_container(metadata: Metadata, namespace: str, container_id: str) -> Container:
    """Return a container's record, or raise NotFoundError as containerd words it."""
    value = metadata.get(KIND, namespace, container_id)
    if value is None:
        raise NotFoundError(f'container "{container_id}" in namespace "{namespace}"')
    return Container.FromString(value)


class ContainersService:
    """`ctr containers ls|info|create|rm|label`."""

    descriptor = containers_pb2.DESCRIPTOR.services_by_name["Containers"]

    def __init__(self, metadata: Metadata, exchange: Exchange) -> None:
        self._metadata, self._exchange = metadata, exchange

    async def get(self, call: Call, request: containers_pb2.GetContainerRequest) -> containers_pb2.GetContainerResponse:
        return containers_pb2.GetContainerResponse(container=read_container(self._metadata, call.namespace, request.id))

    async def list(
        self, call: Call, request: containers_pb2.ListContainersRequest
    ) -> containers_pb2.ListContainersResponse:
        return containers_pb2.ListContainersResponse(containers=_matching(self._metadata, call, request))

    async def list_stream(
        self, call: Call, request: containers_pb2.ListContainersRequest
    ) -> AsyncIterator[containers_pb2.ListContainerMessage]:
        for container in _matching(self._metadata, call, request):
            yield containers_pb2.ListContainerMessage(container=container)

    async def create(
        self, call: Call, request: containers_pb2.CreateContainerRequest
    ) -> containers_pb2.CreateContainerResponse:
        container = request.container
        _validate(container)
        container.created_at.CopyFrom(clock.now())
        container.updated_at.CopyFrom(container.created_at)
        if not self._metadata.insert(KIND, call.namespace, container.id, container.SerializeToString()):
            raise AlreadyExistsError(f'container "{container.id}"')
        runtime = events_pb2.ContainerCreate.Runtime(name=container.runtime.name)
        if container.runtime.HasField("options"):
            runtime.options.CopyFrom(container.runtime.options)
        created = events_pb2.ContainerCreate(id=container.id, image=container.image, runtime=runtime)
        self._exchange.publish(call.namespace, "/containers/create", created)
        return containers_pb2.CreateContainerResponse(container=container)

    async def update(
        self, call: Call, request: containers_pb2.UpdateContainerRequest
    ) -> containers_pb2.UpdateContainerResponse:
        wanted = request.container
        if not wanted.id:
            raise InvalidArgumentError("must specify a container id")
        value = self._metadata.get(KIND, call.namespace, wanted.id)
        if value is None:
            raise NotFoundError(f'container "{wanted.id}"')
        container = Container.FromString(value)
        if request.update_mask.paths:
            for path in request.update_mask.paths:
                _update_path(container, wanted, path)
        else:
            _update_all(container, wanted)
        container.updated_at.CopyFrom(clock.now())
        _validate(container)
        self._metadata.put(KIND, call.namespace, container.id, container.SerializeToString())
        updated = events_pb2.ContainerUpdate(
            id=container.id, image=container.image, labels=container.labels, snapshot_key=container.snapshot_key
        )
        self._exchange.publish(call.namespace, "/containers/update", updated)
        return containers_pb2.UpdateContainerResponse(container=container)

    async def delete(self, call: Call, request: containers_pb2.DeleteContainerRequest) -> Empty:
        if not self._metadata.delete(KIND, call.namespace, request.id):
            raise NotFoundError(f'cannot delete container "{request.id}" in namespace "{call.namespace}"')
        self._exchange.publish(call.namespace, "/containers/delete", events_pb2.ContainerDelete(id=request.id))
        return Empty()


def _matching(metadata: Metadata, call: Call, request: containers_pb2.ListContainersRequest) -> list[Container]:
    wanted = filters.parse(request.filters)
    found = [Container.FromString(value) for _, value in metadata.records(KIND, call.namespace)]
    return [container for container in found if wanted.matches(filters.message_reader(container))]


def _update_path(container: Container, wanted: Container, path: str) -> None:
    if update_map(path, "labels", container.labels, wanted.labels):
        return
    if update_map(path, "extensions", container.extensions, wanted.extensions):
        return
    if path == "spec":
        container.spec.CopyFrom(wanted.spec)
    elif path == "image":
        container.image = wanted.image
    elif path == "snapshot_key":
        container.snapshot_key = wanted.snapshot_key
    else:
        raise InvalidArgumentError(f'cannot update "{path}" field on "{container.id}"')


def _update_all(container: Container, wanted: Container) -> None:
    """Without a mask everything that may change is replaced, and the rest must be the same."""
    if wanted.runtime.name != container.runtime.name:
        raise InvalidArgumentError("container.Runtime.Name field is immutable")
    if wanted.snapshotter != container.snapshotter:
        raise InvalidArgumentError("container.Snapshotter field is immutable")
    replace_map(container.labels, wanted.labels)
    replace_map(container.extensions, wanted.extensions)
    container.spec.CopyFrom(wanted.spec)
    container.image, container.snapshot_key = wanted.image, wanted.snapshot_key


def _validate(container: Container) -> None:
    prefix = "create container failed validation: "
    identifiers.require_identifier(container.id, f"{prefix}container.ID: ")
    identifiers.require_labels(container.labels, f"{prefix}containers.Labels: ")
    if not container.runtime.name:
        raise InvalidArgumentError(f"{prefix}container.Runtime.Name must be set")
    if not container.HasField("spec"):
        raise InvalidArgumentError(f"{prefix}container.Spec must be set")
    if container.snapshot_key and not container.snapshotter:
        raise InvalidArgumentError(f"{prefix}container.Snapshotter must be set if container.SnapshotKey is set")
