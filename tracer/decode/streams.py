"""Bytes put back together: one direction of one open file, whoever wrote or read it with whichever calls.

A stream is keyed by what the kernel calls the open file (a socket's inode, a FIFO's path), not by process, thread or
descriptor: Go writes on one thread and reads on another, a shim inherits its listener. What was sent is known when the
write returns, what was received when the read returns; both ends of a connection are decoded, each by itself.

Not all bytes are seen: splice(2) and sendfile(2) move them without showing them to any process, and of a long buffer
only the beginning is captured. They are in the stream as a *gap*, of which only the length is known.

`Input` is what the sans-IO decoders read from. It remembers which call brought which bytes, so that a message can cite
its calls, and it is bounded: a decoder that wants more than `LIMIT` bytes at once is desynchronised or under attack.
"""

import re
from collections import deque
from dataclasses import dataclass
from functools import lru_cache

LIMIT = 4 << 20
"""Bytes that a decoder may leave unread: containerd's own bound for one message."""
_CALLS_KEPT = 64
"""Calls cited for one message; of a longer one the first and the last."""


class Lost(Exception):  # noqa: N818  (a condition of the stream, raised by its decoders)
    """The bytes are not what the protocol allows, or some are missing: nothing after them can be trusted."""


class Input:
    """The unread bytes of one direction, and the calls that brought them."""

    __slots__ = ("_buffer", "_gaps", "_spans", "_start")

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._start = 0
        """Stream position of the first unread byte."""
        self._spans: deque[tuple[int, int]] = deque()
        """(stream position after the call's bytes, the call's sequence number), oldest first."""
        self._gaps: deque[tuple[int, int]] = deque()
        """(first position, position after the last) of bytes that were not seen, and are zeros here; oldest first."""

    def __len__(self) -> int:
        return len(self._buffer)

    def append(self, data: bytes, sequence: int) -> None:
        """What one call transferred."""
        if len(self._buffer) + len(data) > LIMIT:
            raise Lost(f"more than {LIMIT} bytes without a whole message")
        self._buffer += data
        self._spans.append((self._start + len(self._buffer), sequence))

    def skip(self, size: int, sequence: int) -> None:
        """What one call transferred without being seen."""
        start = self._start + len(self._buffer)
        self.append(bytes(size), sequence)
        self._gaps.append((start, start + size))

    def run(self, limit: int) -> tuple[int, bool]:
        """How many of the next bytes (at most `limit`) are alike, and whether they were seen."""
        size = min(limit, len(self._buffer))
        if not self._gaps:
            return size, True
        first, end = self._gaps[0]
        if first <= self._start:
            return min(size, end - self._start), False
        return min(size, first - self._start), True

    def peek(self, size: int, offset: int = 0) -> bytes:
        """The next bytes, left in place; fewer where they have not come yet."""
        return bytes(self._buffer[offset : offset + size])

    def find(self, what: bytes, limit: int) -> int:
        """Where `what` begins within the next `limit` bytes, or -1."""
        return self._buffer.find(what, 0, limit)

    def take(self, size: int, calls: "Calls", *, seen: bool = True) -> bytes:
        """The next bytes, and note the calls that brought them. Raises Lost where they must be `seen` and are not."""
        data = bytes(self._buffer[:size])
        del self._buffer[:size]
        self._start += len(data)
        while self._gaps and self._gaps[0][0] < self._start:
            if seen:
                raise Lost("bytes that were not seen are where the protocol says what follows")
            if self._gaps[0][1] > self._start:
                break
            self._gaps.popleft()
        spans = self._spans
        while spans:
            end, sequence = spans[0]
            calls.add(sequence)
            if end > self._start:
                break
            spans.popleft()
            if end == self._start:
                break
        return data


class Calls:
    """The sequence numbers of the calls that carried a message."""

    __slots__ = ("_last", "_numbers")

    def __init__(self) -> None:
        self._numbers: list[int] = []
        self._last = -1

    def add(self, sequence: int) -> None:
        """One more call, in order; a repeated one counts once."""
        if sequence == self._last:
            return
        self._last = sequence
        if len(self._numbers) < _CALLS_KEPT:
            self._numbers.append(sequence)
        else:
            self._numbers[-1] = sequence

    def cite(self) -> tuple[int, ...]:
        """First to last; begins anew."""
        numbers = tuple(self._numbers)
        self._numbers = []
        self._last = -1
        return numbers


@dataclass(frozen=True, slots=True)
class OpenFile:
    """What a recording's text for a descriptor says."""

    kind: str
    """`socket`, `netlink`, `pipe`, `tty`, `fifo` (a path that may be one), `file` or empty."""
    key: str
    """Names the open file: a socket's or pipe's inode, or the path."""
    peer: str = ""
    """The inode at the other end of a unix socket, where it is known."""
    protocol: str = ""
    """What a netlink socket speaks: `ROUTE`; empty where nobody saw it made."""
    path: str = ""
    """The path that a unix socket is bound to, or the file's path."""


_UNIX = re.compile(r'^unix:\[(\d+)(?:->(\d+))?(?:,"(.*)")?\]$')
_INODE = re.compile(r"^(socket|inet6?|tcp6?|netlink|pipe):\[(?:(\w+):)?(\d+)")
_STDIO_FIFO = re.compile(r"(?:^|[-/])(?:init-)?std(?:in|out|err)$|-std(?:in|out|err)$")


@lru_cache(maxsize=4096)
def open_file(text: str) -> OpenFile:
    """Read a descriptor's text: `unix:[12->13,"/run/x.sock"]`, `pipe:[5]`, `/dev/pts/0`, a path."""
    found = _UNIX.match(text)
    if found:
        return OpenFile("socket", found[1], found[2] or "", path=found[3] or "")
    found = _INODE.match(text)
    if found:
        kind = {"pipe": "pipe", "netlink": "netlink"}.get(found[1], "socket")
        return OpenFile(kind, found[3], protocol=found[2] or "")
    if text.startswith(("/dev/pts/", "/dev/tty", "/dev/ptmx", "/dev/console")):
        return OpenFile("tty", text, path=text)
    if _STDIO_FIFO.search(text):
        return OpenFile("fifo", text, path=text)
    return OpenFile("file" if text.startswith("/") else "", text, path=text)


class Connections:
    """One name for both ends of a connection."""

    def __init__(self) -> None:
        self._names: dict[str, str] = {}

    def name(self, file: OpenFile) -> str:
        """`unix:LOW-HIGH` by inodes; `unix:INODE` where the first message came before the peer was known."""
        known = self._names.get(file.key)
        if known is None and file.peer:
            # The end that spoke first may have had to be named alone; both must keep one name.
            known = self._names.get(file.peer)
        if known is None:
            if file.peer:
                low, high = sorted((int(file.key), int(file.peer)))
                known = f"unix:{low}-{high}"
            else:
                known = f"unix:{file.key}"
        if file.key not in self._names:
            self._names[file.key] = known
        if file.peer and file.peer not in self._names:
            self._names[file.peer] = known
        return known
