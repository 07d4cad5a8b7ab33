"""One end of a connection: recognises the protocol by its first bytes, then lets that protocol's decoder read.

    PRI * HTTP/2.0 ...            the client's end of gRPC speaks this first, the server's end hears it
    GET /... | POST /... | HTTP/1.1 200 OK
    00 00 00 4f 00 00 00 01 01 00 a ttrpc header: length, odd stream, type 1 (request), no flags

What is none of these (the OCI runtime's own sync pipes, a wake-up socket) is left alone and counted, and so is all that
follows where a decoder has lost its place. Nothing here raises: any bytes at all may come out of a tracee.
"""

from collections.abc import Iterator
from typing import Protocol

from tracer.decode.http1 import METHODS, Http1
from tracer.decode.message import Decoded
from tracer.decode.streams import Input, Lost
from tracer.events import Side

_OTHER: dict[Side, Side] = {"sent": "received", "received": "sent"}
_PREFACE_START = b"PRI * HTTP/2.0\r\n"
_METHODS = tuple(method.encode() for method in METHODS)
_SNIFFED = 16
_GAP = 1 << 20
"""Of a gap so much at once: less than an input holds."""


class _Decoder(Protocol):
    def feed(self, side: Side) -> Iterator[tuple[Side, Decoded]]: ...


class Endpoint:
    """The bytes that one open socket sent and received."""

    def __init__(self) -> None:
        self._inputs: dict[Side, Input] = {"sent": Input(), "received": Input()}
        self._decoder: _Decoder | None = None
        self.lost = ""
        """Why this end is not decoded (any more); empty while it is."""

    def feed(self, side: Side, data: bytes, missing: int, sequence: int) -> list[tuple[Side, Decoded]]:
        """The messages that one call's bytes complete; after them come `missing` bytes that were not seen."""
        if self.lost:
            return []
        found: list[tuple[Side, Decoded]] = []
        try:
            if data:
                self._inputs[side].append(data, sequence)
                found.extend(self._read(side))
            if missing and not isinstance(self._decoder, Http1):
                raise Lost(f"{missing} bytes of it were not seen")
            while missing > 0:
                # HTTP counts its bodies: what is missing of one is only missing from view.
                size = min(missing, _GAP)
                missing -= size
                self._inputs[side].skip(size, sequence)
                found.extend(self._read(side))
        except Lost as error:
            self.lost = str(error)
            self._inputs = {"sent": Input(), "received": Input()}
        return found

    @property
    def recognised(self) -> bool:
        """Whether the protocol is, or was, known."""
        return self._decoder is not None

    def _read(self, side: Side) -> Iterator[tuple[Side, Decoded]]:
        """Let the decoder go on, or find out which it is. Raises Lost."""
        sides: tuple[Side, ...] = (side,)
        if self._decoder is None:
            self._decoder = self._recognise(side)
            # What waited on the other side while neither could be told apart is read first.
            sides = (_OTHER[side], side) if self._inputs[_OTHER[side]] else (side,)
        if self._decoder is not None:
            for each in sides:
                yield from self._decoder.feed(each)

    def _recognise(self, side: Side) -> _Decoder | None:
        """The decoder, None while too little has come. Raises Lost where no protocol begins like this."""
        head = self._inputs[side].peek(_SNIFFED)
        if _begins(head, _METHODS):
            return Http1(self._inputs, side) if _has_begun(head, _METHODS) else None
        if _begins(head, (b"HTTP/1.",)):
            return Http1(self._inputs, _OTHER[side]) if _has_begun(head, (b"HTTP/1.",)) else None
        if _begins(head, (_PREFACE_START,)):
            return self._grpc(side) if _has_begun(head, (_PREFACE_START,)) else None
        if len(head) < 10:
            if head[0] == 0:
                return None
            raise Lost("a protocol that is not known")
        if head[3] == 4 and head[4] in (0, 1) and head[5:9] == b"\0\0\0\0":
            return self._grpc(_OTHER[side])  # a server's SETTINGS came before its client's preface
        length, stream, kind = int.from_bytes(head[:4], "big"), int.from_bytes(head[4:8], "big"), head[8]
        if length <= 4 << 20 and stream % 2 and kind in (1, 2) and head[9] == 0:
            # Imported late: protobuf's descriptors take longer to load than a short recording takes to make.
            from tracer.decode.ttrpc import Ttrpc

            return Ttrpc(self._inputs)
        raise Lost("a protocol that is not known")

    def _grpc(self, client_side: Side) -> _Decoder:
        from tracer.decode.grpc import Grpc  # late, as above

        return Grpc(self._inputs, client_side)


def _begins(head: bytes, starts: tuple[bytes, ...]) -> bool:
    """Whether the head is, or may still become, one of these."""
    return any(head[: len(start)] == start[: len(head)] for start in starts)


def _has_begun(head: bytes, starts: tuple[bytes, ...]) -> bool:
    return head.startswith(starts)
