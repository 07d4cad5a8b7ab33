"""The daemon as an ordinary gRPC client of containerd (moby: libcontainerd/remote, containerd's client package).

One HTTP/2 connection on a unix socket carries every call as a stream of its own:

    daemon -> containerd   HEADERS :path /containerd.services.tasks.v1.Tasks/Create, containerd-namespace: moby
                           DATA    0, u32 length, protobuf message
    containerd -> daemon   HEADERS, DATA (the reply), HEADERS grpc-status: 0

Stubs are made from the service descriptors in `runtime/api/containerd`, so that a method's name, its path and
its messages come from one place, the .proto files. No call has a deadline: a stopped peer is not a dead one.
"""

from collections.abc import AsyncIterator
from typing import Any

from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor
from google.protobuf.message_factory import GetMessageClass
from grpclib.client import Channel, StreamStreamMethod, UnaryStreamMethod, UnaryUnaryMethod
from grpclib.const import Status
from grpclib.exceptions import GRPCError, StreamTerminatedError
from grpclib.protocol import H2Protocol

from runtime.api.containerd import (
    containers_pb2,
    content_pb2,
    diff_pb2,
    events_service_pb2,
    images_pb2,
    leases_pb2,
    snapshots_pb2,
    tasks_pb2,
    version_pb2,
)

__all__ = ["Containerd", "GRPCError", "Service", "Status"]


class _Channel(Channel):
    """grpclib's channel, which takes a connection for a good one that has been lost as soon as it was made."""

    async def __connect__(self) -> H2Protocol:
        protocol = await super().__connect__()
        if protocol.handler.connection_lost:  # type: ignore[attr-defined]
            raise ConnectionResetError("Connection lost")
        return protocol


class Service:
    """One gRPC service: `await service.call("Get", request)`, `async for reply in service.stream(...)`."""

    def __init__(self, channel: Channel, address: str, descriptor: ServiceDescriptor, metadata: dict[str, str]) -> None:
        self._channel = channel
        self._address = address
        self._descriptor = descriptor
        self._metadata = metadata
        self._calls: dict[str, Any] = {}

    def _method(self, name: str) -> Any:
        method = self._calls.get(name)
        if method is None:
            method = self._calls[name] = self._bind(self._descriptor.methods_by_name[name])
        return method

    def _bind(self, method: MethodDescriptor) -> Any:
        kind: Any = UnaryUnaryMethod
        if method.server_streaming:
            kind = StreamStreamMethod if method.client_streaming else UnaryStreamMethod
        path = f"/{self._descriptor.full_name}/{method.name}"
        return kind(self._channel, path, GetMessageClass(method.input_type), GetMessageClass(method.output_type))

    async def call(self, method: str, request: Any, **metadata: str) -> Any:
        """Make one call and await its one reply. Raises GRPCError with containerd's status and text.

        A containerd that cannot be reached, or goes away meanwhile, is the status UNAVAILABLE, as with grpc-go.
        """
        try:
            return await self._method(method)(request, metadata={**self._metadata, **metadata})
        except (StreamTerminatedError, OSError) as error:
            raise self._unavailable(error) from error

    async def stream(self, method: str, request: Any) -> AsyncIterator[Any]:
        """Make one call and yield every reply until containerd ends the stream. Raises GRPCError as `call` does."""
        try:
            async with self._method(method).open(metadata=self._metadata) as stream:
                await stream.send_message(request, end=True)
                while (message := await stream.recv_message()) is not None:
                    yield message
        except (StreamTerminatedError, OSError) as error:
            raise self._unavailable(error) from error

    def _unavailable(self, error: Exception) -> GRPCError:
        return GRPCError(Status.UNAVAILABLE, f"cannot reach containerd at {self._address}: {error}")

    def open(self, method: str, **metadata: str) -> Any:
        """Open a stream that speaks both ways (Content.Write)."""
        return self._method(method).open(metadata={**self._metadata, **metadata})


class Containerd:
    """Every service of containerd that the daemon speaks to."""

    def __init__(self, address: str, namespace: str) -> None:
        self.address = address
        self.namespace = namespace
        self._channel = _Channel(path=address)
        metadata = {"containerd-namespace": namespace}

        def service(module: Any, name: str) -> Service:
            return Service(self._channel, address, module.DESCRIPTOR.services_by_name[name], metadata)

        self.version = service(version_pb2, "Version")
        self.containers = service(containers_pb2, "Containers")
        self.tasks = service(tasks_pb2, "Tasks")
        self.events = service(events_service_pb2, "Events")
        self.images = service(images_pb2, "Images")
        self.content = service(content_pb2, "Content")
        self.snapshots = service(snapshots_pb2, "Snapshots")
        self.diff = service(diff_pb2, "Diff")
        self.leases = service(leases_pb2, "Leases")

    def close(self) -> None:
        """Drop the connection."""
        self._channel.close()
