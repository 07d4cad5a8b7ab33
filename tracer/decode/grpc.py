"""gRPC over HTTP/2: a call is a stream, a message is five bytes of prefix and a protobuf.

    client --HEADERS :path=/containerd.services.tasks.v1.Tasks/Create--> server
           --DATA | compressed? (1) | length (4) | message | ... END_STREAM
           <--HEADERS :status=200      <--DATA message      <--HEADERS grpc-status=0 END_STREAM

Messages are reported as they are complete; a status that is not OK, or comes without any message, as the answer. Left
out: compressed messages (containerd's clients do not ask for compression) are shown by their size.
"""

from collections.abc import Iterator

from tracer.decode import rpc
from tracer.decode.http2 import DataSeen, HeadersSeen, Http2Event, Http2Half, StreamReset
from tracer.decode.message import Decoded
from tracer.decode.streams import Calls, Input, Lost
from tracer.events import Direction, Scalar, Side

_MESSAGE_LIMIT = 64 << 20
_STREAMS_KEPT = 4096
_EARLY_KEPT = 16


class _Call:
    """One stream: its method and the unfinished message of each direction."""

    __slots__ = ("answered", "calls", "early", "ended", "extra", "path", "pending")

    def __init__(self) -> None:
        self.path = ""
        self.answered = False
        """Whether anything was said in answer to it."""
        self.early: list[Http2Event] = []
        """What was answered before the question's write was reported; two cores make that possible."""
        self.extra: dict[str, Scalar] = {}
        self.ended: set[Direction] = set()
        self.pending: dict[Direction, bytearray] = {"request": bytearray(), "response": bytearray()}
        self.calls: dict[Direction, Calls] = {"request": Calls(), "response": Calls()}


class Grpc:
    """Both directions of one end; `client_side` is the direction in which the client speaks."""

    def __init__(self, inputs: dict[Side, Input], client_side: Side) -> None:
        server_side: Side = "received" if client_side == "sent" else "sent"
        self._client_side, self._server_side = client_side, server_side
        self._halves = {
            client_side: Http2Half(inputs[client_side], from_client=True),
            server_side: Http2Half(inputs[server_side], from_client=False),
        }
        self._streams: dict[int, _Call] = {}

    def feed(self, side: Side) -> Iterator[tuple[Side, Decoded]]:
        """The messages that new bytes in this direction complete."""
        direction: Direction = "request" if side == self._client_side else "response"
        for event in self._halves[side].read():
            for decoded in self._event(event, direction):
                yield side, decoded
            call = self._streams.get(event.stream)
            if call is not None and call.path and call.early:
                early, call.early = call.early, []
                for kept in early:
                    for decoded in self._event(kept, "response"):
                        yield self._server_side, decoded

    def _event(self, event: Http2Event, direction: Direction) -> list[Decoded]:
        call = self._streams.get(event.stream)
        if call is None:
            call = self._streams[event.stream] = _Call()
            if len(self._streams) > _STREAMS_KEPT:
                del self._streams[next(iter(self._streams))]
        if direction == "response" and not call.path and len(call.early) < _EARLY_KEPT:
            call.early.append(event)
            return []
        if isinstance(event, StreamReset):
            del self._streams[event.stream]
            return []
        found: list[Decoded] = []
        if isinstance(event, HeadersSeen):
            found = self._headers(call, event)
        elif isinstance(event, DataSeen):
            found = self._data(call, event, direction)
        if event.end:
            call.ended.add(direction)
            if len(call.ended) == 2:
                self._streams.pop(event.stream, None)
        return found

    def _headers(self, call: _Call, event: HeadersSeen) -> list[Decoded]:
        headers = event.headers
        if ":path" in headers:
            call.path = headers[":path"]
            call.extra = {"stream": event.stream}
            for name in ("containerd-namespace", "grpc-timeout"):
                if name in headers:
                    call.extra[f"metadata.{name}"] = headers[name]
            return []
        status = headers.get("grpc-status", "0")
        if status == "0" and event.end and not call.answered:
            return [rpc.empty("grpc", call.path, event.calls, call.extra)]
        if status == "0" or not status.isdigit():
            return []
        reason = headers.get("grpc-message", "")
        return [rpc.failed("grpc", call.path, int(status), reason, event.calls, call.extra)]

    def _data(self, call: _Call, event: DataSeen, direction: Direction) -> list[Decoded]:
        pending, calls = call.pending[direction], call.calls[direction]
        pending += event.data
        for number in event.calls:
            calls.add(number)
        found: list[Decoded] = []
        while len(pending) >= 5:
            length = int.from_bytes(pending[1:5], "big")
            if length > _MESSAGE_LIMIT:
                raise Lost("a gRPC message of impossible size")
            if len(pending) < 5 + length:
                break
            call.answered = call.answered or direction == "response"
            compressed, message = pending[0], bytes(pending[5 : 5 + length])
            del pending[: 5 + length]
            cited = calls.cite()
            if pending:
                # What is left came with the last call cited, which begins the next message too.
                calls.add(cited[-1])
            if compressed:
                extra: dict[str, Scalar] = {**call.extra, "compressed": True, "bytes": length}
                found += rpc.decoded("grpc", call.path + "?", direction, b"", cited, extra)
            else:
                found += rpc.decoded("grpc", call.path, direction, message, cited, call.extra)
        return found
