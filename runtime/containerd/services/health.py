"""Says whether containerd is up.

Real counterpart: containerd `services/healthcheck/service.go`; gRPC's health checking protocol. dockerd asks again
and again after it has lost containerd, and serves nobody until the answer comes.

Left out on purpose: Watch (real containerd's answer never changes either, while it lives).
"""

from collections.abc import AsyncIterator

from runtime.api.containerd import health_pb2
from runtime.containerd.errors import NotFoundError, UnimplementedError
from runtime.containerd.server import Call


class HealthService:
    """One status for the whole of containerd."""

    descriptor = health_pb2.DESCRIPTOR.services_by_name["Health"]

    async def check(self, call: Call, request: health_pb2.HealthCheckRequest) -> health_pb2.HealthCheckResponse:
        if request.service:
            raise NotFoundError("unknown service", bare=True)
        return health_pb2.HealthCheckResponse(status=health_pb2.HealthCheckResponse.SERVING)

    async def watch(
        self, call: Call, request: health_pb2.HealthCheckRequest
    ) -> AsyncIterator[health_pb2.HealthCheckResponse]:
        raise UnimplementedError("watching the health")
        yield  # makes this a stream
