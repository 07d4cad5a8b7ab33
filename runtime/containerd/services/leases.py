"""Leases: a client's word that what it is making must not be garbage-collected yet.

Real counterpart: containerd `services/leases/local.go`, `metadata/leases.go`.

`ctr run` and `ctr images import` take a lease first and send its name with every call (metadata `containerd-lease`).
"""

import secrets
import time

from google.protobuf.empty_pb2 import Empty

from runtime.api.containerd import leases_pb2
from runtime.api.containerd.leases_pb2 import Lease
from runtime.containerd import clock, filters
from runtime.containerd.errors import AlreadyExistsError, NotFoundError
from runtime.containerd.garbage import Collector, Node, held_by, hold, let_go
from runtime.containerd.metadata import Metadata
from runtime.containerd.server import Call

KIND = "leases"


class LeasesService:
    """`ctr leases ls|create|rm`, and the first and last calls of many others."""

    descriptor = leases_pb2.DESCRIPTOR.services_by_name["Leases"]

    def __init__(self, metadata: Metadata, collector: Collector) -> None:
        self._metadata, self._collector = metadata, collector

    async def create(self, call: Call, request: leases_pb2.CreateRequest) -> leases_pb2.CreateResponse:
        # A lease without a name gets one as Go's client makes it: nanoseconds and four random characters.
        name = request.id or f"{time.time_ns() % 1_000_000_000}-{secrets.token_urlsafe(3)}"
        lease = Lease(id=name, created_at=clock.now(), labels=request.labels)
        if not self._metadata.insert(KIND, call.namespace, name, lease.SerializeToString()):
            raise AlreadyExistsError(f'lease "{name}"')
        return leases_pb2.CreateResponse(lease=lease)

    async def delete(self, call: Call, request: leases_pb2.DeleteRequest) -> Empty:
        if not self._metadata.delete(KIND, call.namespace, request.id):
            raise NotFoundError(f'lease "{request.id}"')
        let_go(self._metadata, call.namespace, request.id, *held_by(self._metadata, call.namespace, request.id))
        await self._collector.collect(call.namespace)
        return Empty()

    async def list(self, call: Call, request: leases_pb2.ListRequest) -> leases_pb2.ListResponse:
        wanted = filters.parse(request.filters)
        leases = [Lease.FromString(value) for _, value in self._metadata.records(KIND, call.namespace)]
        return leases_pb2.ListResponse(leases=[one for one in leases if wanted.matches(filters.message_reader(one))])

    async def add_resource(self, call: Call, request: leases_pb2.AddResourceRequest) -> Empty:
        self._require(call.namespace, request.id)
        resource = request.resource
        hold(self._metadata, Call(call.namespace, request.id), resource.type, resource.id)
        return Empty()

    async def delete_resource(self, call: Call, request: leases_pb2.DeleteResourceRequest) -> Empty:
        self._require(call.namespace, request.id)
        let_go(self._metadata, call.namespace, request.id, Node(request.resource.type, request.resource.id))
        return Empty()

    async def list_resources(
        self, call: Call, request: leases_pb2.ListResourcesRequest
    ) -> leases_pb2.ListResourcesResponse:
        self._require(call.namespace, request.id)
        held = held_by(self._metadata, call.namespace, request.id)
        resources = [leases_pb2.Resource(id=node.name, type=node.kind) for node in held]
        return leases_pb2.ListResourcesResponse(resources=resources)

    def _require(self, namespace: str, lease: str) -> None:
        if self._metadata.get(KIND, namespace, lease) is None:
            raise NotFoundError(f'lease "{lease}"')
