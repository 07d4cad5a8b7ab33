"""The frames of a container's output on a hijacked connection: which bytes were stdout, which stderr.

Real counterpart: moby `pkg/stdcopy`. Each frame is a header of eight bytes and a payload:

    | stream (0 stdin, 1 stdout, 2 stderr) | 0 | 0 | 0 | length, u32 big-endian | payload ...

With a terminal (`-t`) there are no frames: stdout and stderr are one already. Before API 1.42 both kinds have the same
content type, so the first bytes decide: a terminal's output does not begin with a number below 3 and three zeros.
"""

from collections.abc import Iterator
from typing import NamedTuple

from tracer.decode.streams import Calls, Input

STREAMS = ("stdin", "stdout", "stderr")
_HEADER = 8
_LENGTH_LIMIT = 1 << 24


class Piece(NamedTuple):
    """Output as it came."""

    stream: str
    data: bytes
    seen: bool
    """False where only its length is known."""
    calls: tuple[int, ...]


class Demultiplexer:
    """Splits the raw bytes after an upgrade; decides by itself whether they are framed."""

    def __init__(self, *, framed: bool | None) -> None:
        self._framed = framed
        """None: not decided yet."""
        self._calls = Calls()
        self._stream = 0
        self._left = 0
        """Payload bytes of the current frame that have not come."""

    def read(self, source: Input) -> Iterator[Piece]:
        """All that has come; a frame's payload is not waited for."""
        while source:
            if self._framed is None:
                head = source.peek(4)
                if head[0] > 2 or any(head[1:]):
                    self._framed = False
                elif len(head) < 4:
                    return
                else:
                    self._framed = True
            if not self._framed:
                yield self._piece(source, "stdout", len(source))
            elif self._left:
                piece = self._piece(source, STREAMS[self._stream], self._left)
                self._left -= len(piece.data)
                yield piece
            elif not self._header(source):
                return

    def _piece(self, source: Input, stream: str, limit: int) -> Piece:
        size, seen = source.run(limit)
        return Piece(stream, source.take(size, self._calls, seen=seen), seen, self._calls.cite())

    def _header(self, source: Input) -> bool:
        if len(source) < _HEADER:
            return False
        head = source.peek(_HEADER)
        length = int.from_bytes(head[4:], "big")
        if head[0] > 2 or any(head[1:4]) or length > _LENGTH_LIMIT:
            self._framed = False  # it only looked like frames: show what comes as it is
            return True
        source.take(_HEADER, self._calls)
        self._stream, self._left = head[0], length
        return True
