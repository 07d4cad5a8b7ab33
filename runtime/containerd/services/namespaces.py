"""Namespaces: containerd's own, which keep clients apart (moby, k8s.io, default), not the kernel's.

Real counterpart: containerd `services/namespaces/local.go`, `metadata/namespaces.go`.
"""

from google.protobuf.empty_pb2 import Empty

from runtime.api.containerd import events_pb2, namespaces_pb2
from runtime.api.containerd.namespaces_pb2 import Namespace
from runtime.containerd import identifiers
from runtime.containerd.errors import AlreadyExistsError, FailedPreconditionError, NotFoundError
from runtime.containerd.exchange import Exchange
from runtime.containerd.metadata import NAMESPACES, Metadata
from runtime.containerd.server import Call

_CONTENTS = {"images": "images", "content": "blobs", "containers": "containers"}


class NamespacesService:
    """`ctr namespaces ls|create|label|rm`."""

    descriptor = namespaces_pb2.DESCRIPTOR.services_by_name["Namespaces"]

    def __init__(self, metadata: Metadata, exchange: Exchange) -> None:
        self._metadata, self._exchange = metadata, exchange

    async def get(self, call: Call, request: namespaces_pb2.GetNamespaceRequest) -> namespaces_pb2.GetNamespaceResponse:
        # Real containerd answers for a name that does not exist, too: it is a namespace without labels.
        return namespaces_pb2.GetNamespaceResponse(namespace=self._read(request.name))

    async def list(
        self, call: Call, request: namespaces_pb2.ListNamespacesRequest
    ) -> namespaces_pb2.ListNamespacesResponse:
        names = [name for name, _ in self._metadata.records(NAMESPACES, "")]
        return namespaces_pb2.ListNamespacesResponse(namespaces=[self._read(name) for name in names])

    async def create(
        self, call: Call, request: namespaces_pb2.CreateNamespaceRequest
    ) -> namespaces_pb2.CreateNamespaceResponse:
        namespace = request.namespace
        identifiers.require_identifier(namespace.name)
        identifiers.require_labels(namespace.labels)
        if not self._metadata.insert(NAMESPACES, "", namespace.name, namespace.SerializeToString()):
            raise AlreadyExistsError(f'namespace "{namespace.name}"')
        created = events_pb2.NamespaceCreate(name=namespace.name, labels=namespace.labels)
        # In the namespace of the caller, as real containerd does (and in its own when it is deleted).
        self._exchange.publish(call.namespace_header or namespace.name, "/namespaces/create", created)
        return namespaces_pb2.CreateNamespaceResponse(namespace=namespace)

    async def update(
        self, call: Call, request: namespaces_pb2.UpdateNamespaceRequest
    ) -> namespaces_pb2.UpdateNamespaceResponse:
        identifiers.require_identifier(request.namespace.name)
        namespace = self._read(request.namespace.name)
        namespace.name = request.namespace.name
        wanted = request.namespace.labels
        named = [path.removeprefix("labels.") for path in request.update_mask.paths if path.startswith("labels.")]
        for key in named or wanted:
            if wanted.get(key, ""):
                namespace.labels[key] = wanted[key]
            else:
                namespace.labels.pop(key, None)
        identifiers.require_labels(namespace.labels)
        self._metadata.put(NAMESPACES, "", namespace.name, namespace.SerializeToString())
        updated = events_pb2.NamespaceUpdate(name=namespace.name, labels=namespace.labels)
        self._exchange.publish(call.namespace_header or namespace.name, "/namespaces/update", updated)
        return namespaces_pb2.UpdateNamespaceResponse(namespace=namespace)

    async def delete(self, call: Call, request: namespaces_pb2.DeleteNamespaceRequest) -> Empty:
        kinds = [words for kind in self._metadata.kinds(request.name) if (words := _words(kind))]
        if kinds:
            still = ", ".join(kinds)
            raise FailedPreconditionError(f'namespace "{request.name}" must be empty, but it still has {still}')
        if not self._metadata.delete(NAMESPACES, "", request.name):
            raise NotFoundError(f'namespace "{request.name}"')
        self._exchange.publish(request.name, "/namespaces/delete", events_pb2.NamespaceDelete(name=request.name))
        return Empty()

    def _read(self, name: str) -> Namespace:
        value = self._metadata.get(NAMESPACES, "", name)
        namespace = Namespace.FromString(value or b"")
        # One that came to be by use has no record of its own contents.
        namespace.name = name
        return namespace


def _words(kind: str) -> str:
    if kind.startswith("snapshots/"):
        return f'snapshots on "{kind.removeprefix("snapshots/")}" snapshotter'
    return _CONTENTS.get(kind, "")
