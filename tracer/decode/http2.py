"""HTTP/2 of one end of a connection, as far as gRPC needs it: frames, header blocks, data per stream.

RFC 9113 and RFC 7541. Header compression has a state of its own per direction, so a connection must be seen from its
first byte; on one that was joined later only what needs no table is right, and it is given up instead.

    client --> PRI * HTTP/2.0 ... SETTINGS   HEADERS(:path) DATA(message) END_STREAM
    server --> SETTINGS                      HEADERS(:status) DATA(message) HEADERS(grpc-status) END_STREAM

Left out: flow control and priorities (they say when bytes may be sent, not what they are), and server push.
"""

from collections.abc import Iterator
from typing import NamedTuple

from hpack import Decoder
from hpack.exceptions import HPACKError

from tracer.decode.streams import Calls, Input, Lost

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

DATA, HEADERS, RST_STREAM, SETTINGS, PUSH_PROMISE, CONTINUATION = 0, 1, 3, 4, 5, 9
_END_STREAM = 0x1
_END_HEADERS = 0x4
_PADDED = 0x8
_PRIORITY = 0x20
_FRAME_LIMIT = 1 << 24
_BLOCK_LIMIT = 256 << 10
_HEADER_TABLE_SIZE = 1


class HeadersSeen(NamedTuple):
    """A header block: request, response or trailers."""

    stream: int
    headers: dict[str, str]
    end: bool
    calls: tuple[int, ...]


class DataSeen(NamedTuple):
    """Body bytes of a stream."""

    stream: int
    data: bytes
    end: bool
    calls: tuple[int, ...]


class StreamReset(NamedTuple):
    """One end gave a stream up."""

    stream: int
    error: int
    calls: tuple[int, ...]


Http2Event = HeadersSeen | DataSeen | StreamReset


class Http2Half:
    """One direction of a connection: bytes in, what they say of its streams out."""

    def __init__(self, source: Input, *, from_client: bool) -> None:
        self._source = source
        self._preface = from_client
        """The connection preface has yet to come."""
        self._hpack = Decoder()
        # What the peer may announce in its SETTINGS is not waited for: a bigger table is allowed from the start.
        self._hpack.max_allowed_table_size = 1 << 20
        self._calls = Calls()
        self._block = bytearray()
        self._block_stream = 0
        self._block_end = False

    def read(self) -> Iterator[Http2Event]:
        """Go on as far as whole frames have come."""
        source = self._source
        if self._preface:
            if len(source) < len(PREFACE):
                return
            source.take(len(PREFACE), self._calls)
            self._preface = False
        while len(source) >= 9:
            head = source.peek(9)
            length = int.from_bytes(head[:3], "big")
            if length >= _FRAME_LIMIT - 1:
                raise Lost("an HTTP/2 frame of impossible size")
            if len(source) < 9 + length:
                return
            source.take(9, self._calls)
            payload = source.take(length, self._calls) if length else b""
            event = self._frame(head[3], head[4], int.from_bytes(head[5:], "big") & 0x7FFFFFFF, payload)
            if event is not None:
                yield event
            elif not self._block:
                self._calls.cite()

    def _frame(self, kind: int, flags: int, stream: int, payload: bytes) -> Http2Event | None:
        if self._block and (kind != CONTINUATION or stream != self._block_stream):
            raise Lost("an HTTP/2 header block was interrupted")
        if kind == DATA:
            return DataSeen(stream, _unpadded(flags, payload), bool(flags & _END_STREAM), self._calls.cite())
        if kind == HEADERS:
            payload = _unpadded(flags, payload)
            self._block += payload[5:] if flags & _PRIORITY else payload
            self._block_stream = stream
            self._block_end = bool(flags & _END_STREAM)
            return self._headers() if flags & _END_HEADERS else None
        if kind == CONTINUATION:
            self._block += payload
            if len(self._block) > _BLOCK_LIMIT:
                raise Lost("an HTTP/2 header block without an end")
            return self._headers() if flags & _END_HEADERS else None
        if kind == RST_STREAM and len(payload) == 4:
            return StreamReset(stream, int.from_bytes(payload, "big"), self._calls.cite())
        if kind == PUSH_PROMISE:
            raise Lost("HTTP/2 server push, which gRPC does not use")
        return None

    def _headers(self) -> HeadersSeen:
        try:
            pairs = self._hpack.decode(bytes(self._block), raw=True)
        except (HPACKError, UnicodeError, IndexError, ValueError) as error:
            raise Lost(f"an HPACK block that cannot be read ({error})") from error
        self._block.clear()
        # A block may be empty of bytes only where HEADERS had none: nothing is pending after this either way.
        headers = {bytes(name).decode("latin-1"): bytes(value).decode("latin-1") for name, value in pairs}
        return HeadersSeen(self._block_stream, headers, self._block_end, self._calls.cite())


def looks_like_server_settings(head: bytes) -> bool:
    """Whether a stream begins with a SETTINGS frame on stream 0, as a server's does."""
    return len(head) >= 9 and head[3] == SETTINGS and head[4] in (0, 1) and head[5:9] == b"\0\0\0\0"


def _unpadded(flags: int, payload: bytes) -> bytes:
    if not flags & _PADDED:
        return payload
    if not payload or payload[0] >= len(payload):
        raise Lost("HTTP/2 padding longer than its frame")
    return payload[1 : len(payload) - payload[0]]
