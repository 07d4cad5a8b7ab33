"""ttrpc between containerd and its shims: frames (`runtime.api.ttrpc`) to requests, responses and events.

A response names only its stream; which method it answers is remembered from the request, which this end sent or
received before. Where a response is reported before its request (two cores make that possible) it waits for it.
"""

from collections.abc import Iterator

from runtime.api.containerd import ttrpc_pb2
from runtime.api.ttrpc import HEADER, MAX_PAYLOAD, REQUEST, RESPONSE, FrameDecoder, FrameError
from tracer.decode import protobufs, rpc
from tracer.decode.message import Decoded
from tracer.decode.streams import Calls, Input, Lost
from tracer.events import Scalar, Side

_STREAMS_KEPT = 4096
_EARLY_KEPT = 64


class Ttrpc:
    """Both directions of one end; who is the caller shows in the frames themselves."""

    def __init__(self, inputs: dict[Side, Input]) -> None:
        self._inputs = inputs
        self._frames: dict[Side, FrameDecoder] = {"sent": FrameDecoder(), "received": FrameDecoder()}
        self._calls: dict[Side, Calls] = {"sent": Calls(), "received": Calls()}
        self._asked: dict[int, tuple[str, dict[str, Scalar]]] = {}
        self._early: dict[int, tuple[Side, bytes, tuple[int, ...]]] = {}

    def feed(self, side: Side) -> Iterator[tuple[Side, Decoded]]:
        """The messages that new bytes in this direction complete."""
        source, calls = self._inputs[side], self._calls[side]
        while len(source) >= HEADER.size:
            length = HEADER.unpack(source.peek(HEADER.size))[0]
            if length > MAX_PAYLOAD:
                raise Lost("a ttrpc frame of impossible size")
            if len(source) < HEADER.size + length:
                return
            try:
                frames = self._frames[side].feed(source.take(HEADER.size + length, calls))
            except FrameError as error:
                raise Lost(str(error)) from error
            cited = calls.cite()
            for frame in frames:
                stream = frame.stream_id
                if frame.type == RESPONSE and stream not in self._asked and len(self._early) < _EARLY_KEPT:
                    self._early[stream] = (side, frame.payload, cited)
                    continue
                for decoded in self._frame(stream, frame.type, frame.payload, cited):
                    yield side, decoded
                if frame.type == REQUEST and stream in self._early:
                    other, payload, calls_of_it = self._early.pop(stream)
                    for decoded in self._frame(stream, RESPONSE, payload, calls_of_it):
                        yield other, decoded

    def _frame(self, stream: int, kind: int, payload: bytes, calls: tuple[int, ...]) -> list[Decoded]:
        extra: dict[str, Scalar] = {"stream": stream}
        if kind == REQUEST:
            request = protobufs.parse(ttrpc_pb2.Request, payload)
            if not isinstance(request, ttrpc_pb2.Request):
                raise Lost("a ttrpc request that is not protobuf")
            path = f"/{request.service}/{request.method}"
            extra |= {f"metadata.{pair.key}": pair.value for pair in request.metadata}
            self._asked[stream] = (path, extra)
            if len(self._asked) > _STREAMS_KEPT:
                del self._asked[next(iter(self._asked))]
            return rpc.decoded("ttrpc", path, "request", request.payload, calls, extra)
        if kind == RESPONSE:
            response = protobufs.parse(ttrpc_pb2.Response, payload)
            if not isinstance(response, ttrpc_pb2.Response):
                raise Lost("a ttrpc response that is not protobuf")
            path, extra = self._asked.pop(stream, (f"/?/stream {stream}", extra))
            if response.HasField("status") and response.status.code:
                return [rpc.failed("ttrpc", path, response.status.code, response.status.message, calls, extra)]
            return rpc.decoded("ttrpc", path, "response", response.payload, calls, extra)
        return [Decoded("ttrpc", "data", f"data of stream {stream}", extra, f"[{len(payload)} bytes]", calls)]
