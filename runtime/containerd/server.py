"""The gRPC server: from a service in a .proto file to a Python object that answers it.

Real counterpart: containerd `services/server/server.go` and its interceptors (`pkg/ns/...`), with grpc-go below.

    client                                                     containerd
      | HTTP/2 HEADERS  :path /containerd.services.tasks.v1.Tasks/Start, containerd-namespace: moby  --> |
      | DATA            flag, length, StartRequest                                                   --> |
      | <-- HEADERS, DATA  StartResponse                                                                 |
      | <-- HEADERS        grpc-status: 0     (or a status and a grpc-message, and no DATA)              |

A service object names its descriptor and has one method per rpc, in snake case (`ListPids` -> `list_pids`, `CloseIO`
-> `close_io`). A method takes the call and the request; it is a coroutine that returns the response, or, where the
rpc streams responses, a plain function that returns an async iterator. Whatever goes wrong becomes a status:
containerd's own errors by their class, bytes that are not the message as INTERNAL (as grpc-go says), an OSError as
UNKNOWN with its text.

Left out on purpose: TLS, TCP, compression, keepalive pings (a paused client must not be dropped).
"""

import inspect
import re
import struct
from asyncio import BaseTransport
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Mapping
from typing import Any, NamedTuple, Protocol

from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor
from google.protobuf.empty_pb2 import Empty
from google.protobuf.message import DecodeError, Message
from google.protobuf.message_factory import GetMessageClass
from grpclib.config import Configuration
from grpclib.const import Cardinality, Handler, Status
from grpclib.exceptions import GRPCError
from grpclib.protocol import H2Protocol
from grpclib.server import Server, Stream
from h2.events import Event as H2Event
from h2.events import UnknownFrameReceived
from h2.settings import SettingCodes

from runtime.containerd import identifiers
from runtime.containerd.errors import ContainerdError, FailedPreconditionError


class Call(NamedTuple):
    """What came beside the request, in the metadata."""

    namespace_header: str
    lease: str

    @property
    def namespace(self) -> str:
        """The namespace that the call is about."""
        if not self.namespace_header:
            raise FailedPreconditionError("namespace is required")
        identifiers.require_identifier(self.namespace_header, "namespace validation: ")
        return self.namespace_header


class Service(Protocol):
    """An object that answers the methods of one gRPC service."""

    descriptor: ServiceDescriptor


AnyStream = Stream[Any, Any]
_NO_LIMIT = 2**31 - 1
_FRAME = 128 * 1024


def build_server(services: Iterable[Service]) -> Server:
    """Return a grpclib server for these services."""
    return _Server(services)


class _Server(Server):
    """grpclib's server with an answer for every path and connections that behave as grpc-go's do."""

    def __init__(self, services: Iterable[Service]) -> None:
        # No keepalive pings: a client that is stopped in a debugger answers none, and is no less alive for it.
        super().__init__([], config=Configuration(_keepalive_time=None))
        self._mapping = _Methods(services)

    def _protocol_factory(self) -> H2Protocol:
        made = super()._protocol_factory()
        return _Connection(made.handler, made.config, made.h2_config)


class _Connection(H2Protocol):
    """One client's HTTP/2 connection."""

    def connection_made(self, transport: BaseTransport) -> None:
        super().connection_made(transport)
        http2 = self.connection._connection  # noqa: SLF001
        # h2 allows a hundred calls at once; a client that waits for a hundred tasks could then not even kill one.
        # Layers come a third faster in frames of 128 KiB than in the usual 16, and no faster in larger ones.
        http2.update_settings({SettingCodes.MAX_CONCURRENT_STREAMS: _NO_LIMIT, SettingCodes.MAX_FRAME_SIZE: _FRAME})
        # At once: h2 takes the client's acknowledgement in too late for a large frame that comes right behind it.
        http2.max_inbound_frame_size = _FRAME
        self.connection.flush()
        # RFC 9113 5.5: frames of unknown types are to be ignored; grpclib raises.
        self.processor.processors[UnknownFrameReceived] = _ignore


def _ignore(event: H2Event) -> None:
    pass


class _Methods(dict[str, Handler]):
    """The handlers by path; there is one for every path.

    grpclib answers a path that it does not know without a content-type, which Go's clients take for "no gRPC here".
    """

    def __init__(self, services: Iterable[Service]) -> None:
        super().__init__()
        for service in services:
            described = service.descriptor
            self.update({f"/{described.full_name}/{one.name}": _handler(service, one) for one in described.methods})

    def get(self, path: str, default: object = None) -> Handler:
        """Return the handler of a path."""
        return super().get(path) or Handler(_unknown_method(path), Cardinality.UNARY_UNARY, Empty, Empty)


def _unknown_method(path: str) -> Callable[[AnyStream], Coroutine[Any, Any, None]]:
    async def refuse(stream: AnyStream) -> None:
        service, _, method = path.lstrip("/").partition("/")
        raise GRPCError(Status.UNIMPLEMENTED, f"unknown method {method} for service {service}")

    return refuse


def _handler(service: Service, method: MethodDescriptor) -> Handler:
    answer = getattr(service, snake_case(method.name))
    request_type, reply_type = GetMessageClass(method.input_type), GetMessageClass(method.output_type)

    async def handle(stream: AnyStream) -> None:
        try:
            await _answer(stream, answer, method)
        except ContainerdError as error:
            raise GRPCError(error.code, str(error)) from None
        except OSError as error:
            raise GRPCError(Status.UNKNOWN, describe(error)) from None

    cardinality = _cardinality(method)
    return Handler(handle, cardinality, request_type, reply_type)


def _cardinality(method: MethodDescriptor) -> Cardinality:
    return next(c for c in Cardinality if tuple(c.value) == (method.client_streaming, method.server_streaming))


async def _answer(stream: AnyStream, answer: Callable[..., Any], method: MethodDescriptor) -> None:
    metadata: Mapping[str, object] = stream.metadata or {}
    call = Call(str(metadata.get("containerd-namespace", "")), str(metadata.get("containerd-lease", "")))
    request = _requests(stream) if method.client_streaming else await _receive(stream)
    if request is None:
        raise GRPCError(Status.INTERNAL, "grpc: the request has no message")
    if not method.server_streaming:
        await stream.send_message(await answer(call, request))
        return
    replies = answer(call, request)
    try:
        # Headers first: a subscriber learns by them that from now on it will miss nothing.
        if not method.client_streaming:
            await stream.send_initial_metadata()
        async for reply in replies:
            await stream.send_message(reply)
    finally:
        await replies.aclose()


async def _receive(stream: AnyStream) -> Message | None:
    """Return the next request, None at the end; what cannot be read is an error of the protocol's own kind."""
    try:
        received: Message | None = await stream.recv_message()
    except DecodeError as error:
        raise GRPCError(Status.INTERNAL, f"grpc: error unmarshalling request: {error}") from None
    except (AssertionError, struct.error):
        # grpclib's words for a stream that ends inside a message.
        raise GRPCError(Status.INTERNAL, "grpc: unexpected end of the request") from None
    except NotImplementedError:
        raise GRPCError(Status.UNIMPLEMENTED, "grpc: compressed requests are not implemented") from None
    return received


async def _requests(stream: AnyStream) -> AsyncIterator[Message]:
    while (request := await _receive(stream)) is not None:
        yield request


def snake_case(name: str) -> str:
    """Return the Python name of an rpc."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()


def describe(error: OSError) -> str:
    """Return the sentence for an error of the kernel, naming the file."""
    reason = (error.strerror or str(error)).lower()
    return f"{error.filename}: {reason}" if error.filename is not None else reason


def missing_methods(service: Service) -> list[str]:
    """Return the rpcs that a service object does not answer (there must be none; a test asserts it)."""
    wanted = (snake_case(method.name) for method in service.descriptor.methods)
    return [name for name in wanted if not inspect.isroutine(getattr(service, name, None))]
