"""The ttrpc server: the socket that containerd dials once and keeps for the life of the container.

Real counterpart: github.com/containerd/ttrpc server.go. Framing is `runtime/api/ttrpc.py`; this module turns frames
into calls of a service and answers into frames.

    containerd                                     shim
      | connect                               --->  accept
      | REQUEST 1  Task/Create                --->  spawn(service.create)  ... waits for the OCI runtime
      | REQUEST 3  Task/State                 --->  answered at once: calls do not wait for each other
      | <---  RESPONSE 3
      | <---  RESPONSE 1

Which bytes a method takes and gives is read from the protobuf descriptor of the service, so there is no list of methods
here to fall out of step. A frame that is not ttrpc ends the connection, since nothing after it can be trusted; a
request that cannot be understood is answered with a status and hurts nobody else. Timeouts named by a request are the
caller's to keep: a call that is paused for a lesson would otherwise fail on resume.
"""

import socket
from collections.abc import Coroutine
from typing import Any, Protocol

from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor
from google.protobuf.message import DecodeError, Message
from google.protobuf.message_factory import GetMessageClass

from runtime.api.containerd.ttrpc_pb2 import Request, Response, Status
from runtime.api.ttrpc import MAX_PAYLOAD, REQUEST, RESPONSE, Frame, FrameDecoder, FrameError, encode
from runtime.shim.errors import INTERNAL, INVALID_ARGUMENT, UNIMPLEMENTED, TaskError
from runtime.shim.log import log
from runtime.shim.loop import READ, WRITE, Loop, Promise, spawn


class Service(Protocol):
    """A service: its descriptor, and a coroutine for each call."""

    descriptor: ServiceDescriptor

    def call(self, method: str, request: Any, response: Any) -> Coroutine[Promise[Any], None, None]:
        """Fill `response` or raise TaskError."""


class Connection:
    """One caller: bytes in, frames out, and what the socket did not take yet."""

    def __init__(self, server: "Server", sock: socket.socket) -> None:
        self._server = server
        self._socket = sock
        self._decoder = FrameDecoder()
        self._unsent = bytearray()
        self._closed = False
        self._watch()

    def _watch(self) -> None:
        mask = READ | (WRITE if self._unsent else 0)
        self._server.loop.watch(self._socket.fileno(), mask, self._ready)

    def _ready(self, ready: int) -> None:
        if ready & WRITE:
            self._flush()
        if self._closed or not ready & ~WRITE:
            return
        try:
            data = self._socket.recv(65536)
            frames = self._decoder.feed(data)
        except BlockingIOError:
            return
        except (OSError, FrameError) as reason:
            log(f"connection dropped: {reason}")
            self.close()
            return
        if not data:
            self.close()
            return
        for frame in frames:
            if frame.type == REQUEST:
                spawn(self._answer(frame))

    async def _answer(self, frame: Frame) -> None:
        try:
            payload = await self._server.handle(frame)
        except TaskError as error:
            self.send(frame.stream_id, Response(status=Status(code=error.code, message=error.message)))
            return
        self.send(frame.stream_id, Response(payload=payload))

    def send(self, stream_id: int, response: Response) -> None:
        """Queue an answer; a caller that is gone does not get one."""
        if self._closed:
            return
        payload = response.SerializeToString()
        if len(payload) > MAX_PAYLOAD:
            payload = Response(
                status=Status(code=INTERNAL, message=f"answer of {len(payload)} bytes is over ttrpc's limit")
            ).SerializeToString()
        self._unsent += encode(Frame(stream_id, RESPONSE, 0, payload))
        self._flush()

    def _flush(self) -> None:
        try:
            while self._unsent:
                del self._unsent[: self._socket.send(self._unsent)]
        except BlockingIOError:
            pass
        except OSError:
            self.close()
            return
        self._watch()
        if not self._unsent:
            self._server.sent_something()

    def close(self) -> None:
        """Forget this caller; the container and its other callers go on."""
        if not self._closed:
            self._closed = True
            self._unsent.clear()
            self._server.loop.forget(self._socket.fileno())
            self._socket.close()
            self._server.connections.discard(self)

    @property
    def has_unsent(self) -> bool:
        """Whether an answer is still on its way out."""
        return bool(self._unsent)


class Server:
    """Accepts connections on a listening socket and dispatches their requests to one service."""

    def __init__(self, loop: Loop, listener: socket.socket, service: Service) -> None:
        self.loop = loop
        self.connections: set[Connection] = set()
        self._listener = listener
        self._name = service.descriptor.full_name
        self._methods: dict[str, MethodDescriptor] = dict(service.descriptor.methods_by_name)
        self._service = service
        self._drained: Promise[None] | None = None
        listener.setblocking(False)
        loop.watch(listener.fileno(), READ, self._accept)

    def _accept(self, _ready: int) -> None:
        try:
            sock, _address = self._listener.accept()
        except (BlockingIOError, ConnectionAbortedError):
            return  # the caller changed its mind between the wake-up and now
        sock.setblocking(False)
        self.connections.add(Connection(self, sock))

    async def handle(self, frame: Frame) -> bytes:
        """Return the serialized answer to a request frame, or raise TaskError."""
        if frame.stream_id % 2 == 0:
            raise TaskError(INVALID_ARGUMENT, "StreamID must be odd for client initiated streams")
        envelope = Request()
        _parse(envelope, frame.payload, "request")
        if envelope.service != self._name:
            raise TaskError(UNIMPLEMENTED, f"service {envelope.service}")
        method = self._methods.get(envelope.method)
        if method is None:
            raise TaskError(UNIMPLEMENTED, f"method {envelope.method}")
        request = GetMessageClass(method.input_type)()
        response = GetMessageClass(method.output_type)()
        _parse(request, envelope.payload, envelope.method)
        await self._service.call(envelope.method, request, response)
        return response.SerializeToString()

    async def drain(self) -> None:
        """Wait until every answer has left for its caller."""
        while any(connection.has_unsent for connection in self.connections):
            self._drained = Promise()
            await self._drained

    def sent_something(self) -> None:
        """Let `drain` look again."""
        if self._drained is not None:
            self._drained.fulfil(None)


def _parse(message: Message, data: bytes, what: str) -> None:
    try:
        message.ParseFromString(data)
    except (DecodeError, ValueError) as reason:
        raise TaskError(INVALID_ARGUMENT, f"unmarshal error: {what}: {reason}") from None
