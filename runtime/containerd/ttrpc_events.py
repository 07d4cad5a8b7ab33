"""The socket on which shims report events: ADDRESS.ttrpc.

Real counterpart: containerd `services/events/ttrpc.go` on the server of github.com/containerd/ttrpc `server.go`.

    shim        --REQUEST   containerd.services.events.ttrpc.v1.Events/Forward {envelope}-->  containerd
    containerd  --RESPONSE  Empty                                                        -->  shim

A shim waits for the answer before it sends its next event, so answering only after the exchange has taken the event
is what keeps events in order. Whatever is not such a request gets ttrpc's own error; bytes that are no frames end the
connection.
"""

import asyncio

from google.protobuf.message import DecodeError

from runtime.api import ttrpc
from runtime.api.containerd import ttrpc_pb2
from runtime.api.containerd.events_service_pb2 import Envelope
from runtime.api.containerd.events_ttrpc_pb2 import ForwardRequest
from runtime.containerd.errors import ContainerdError
from runtime.containerd.exchange import Exchange

SERVICE = "containerd.services.events.ttrpc.v1.Events"
_INVALID_ARGUMENT, _UNIMPLEMENTED = 3, 12


class ShimConnection(asyncio.Protocol):
    """One shim (or one stranger) that has dialled."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._decoder = ttrpc.FrameDecoder()
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        assert self._transport is not None
        try:
            frames = self._decoder.feed(data)
        except ttrpc.FrameError:
            self._transport.abort()
            return
        for frame in frames:
            if frame.type == ttrpc.REQUEST:
                answer = self._answer(frame.payload).SerializeToString()
                self._transport.write(ttrpc.encode(ttrpc.Frame(frame.stream_id, ttrpc.RESPONSE, 0, answer)))

    def _answer(self, payload: bytes) -> ttrpc_pb2.Response:
        try:
            request = ttrpc_pb2.Request.FromString(payload)
            if request.service != SERVICE:
                return _refusal(_UNIMPLEMENTED, f"service {request.service}")
            if request.method != "Forward":
                return _refusal(_UNIMPLEMENTED, f"method {request.method}")
            envelope = ForwardRequest.FromString(request.payload).envelope
            # The two Envelope messages are field by field the same; only their packages differ.
            self._exchange.forward(Envelope.FromString(envelope.SerializeToString()))
        except DecodeError as error:
            return _refusal(_INVALID_ARGUMENT, f"error unmarshalling request: {error}")
        except ContainerdError as error:
            return _refusal(error.code.value, str(error))
        return ttrpc_pb2.Response()


def _refusal(code: int, message: str) -> ttrpc_pb2.Response:
    return ttrpc_pb2.Response(status=ttrpc_pb2.Status(code=code, message=message))
