"""A connection that stops being HTTP: attach and exec (moby: api/server/httputils/httputils.go HijackConnection).

    client -> daemon   POST /containers/ID/attach?stream=1&stdin=1... , Connection: Upgrade, Upgrade: tcp
    daemon -> client   HTTP/1.1 101 UPGRADED           (200 OK for clients that did not ask for the upgrade)
    client -> daemon   raw standard input, then perhaps a half close
    daemon -> client   frames or raw bytes, then the full close

After the head has been written by hand, the transport is given a protocol of ours. aiohttp's own would close the
whole connection at the client's half close, which the docker CLI sends within a millisecond when it has no stdin.
"""

import asyncio
from collections.abc import Callable

from aiohttp import web

from runtime.daemon.stdcopy import frame

_WRITE_HIGH_WATER_BYTES = 1 << 20


class HijackedStream(asyncio.Protocol):
    """The raw stream to one client: an output sink for a process, and the source of its input."""

    def __init__(self, transport: asyncio.Transport, framed: bool, on_lost: Callable[[Exception | None], None]) -> None:
        self._transport = transport
        self._on_lost = on_lost
        self.framed = framed
        """Whether stdout and stderr are told apart by 8-byte headers; a terminal's one stream is not."""
        self.closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._full = False
        self._ended = False
        self._early = bytearray()
        self._early_end = False
        self._on_input: Callable[[bytes], None] | None = None
        self._on_input_end: Callable[[], None] | None = None
        self.on_drained: Callable[[], None] | None = None

    # What the client sends -------------------------------------------------------------------------------

    def read_into(self, on_input: Callable[[bytes], None], on_end: Callable[[], None]) -> None:
        """Pass the client's bytes on from now on, beginning with those that came early."""
        self._on_input, self._on_input_end = on_input, on_end
        if self._early:
            on_input(bytes(self._early))
            self._early.clear()
        if self._early_end:
            on_end()

    def data_received(self, data: bytes) -> None:
        if self._on_input is None:
            self._early += data
        else:
            self._on_input(data)

    def eof_received(self) -> bool:
        if self._on_input_end is None:
            self._early_end = True
        else:
            self._on_input_end()
        return True  # a half close: our own direction stays open

    def pause_input(self) -> None:
        """Read no more from the client until `resume_input`: the process does not keep up."""
        if not self.closed.done():
            self._transport.pause_reading()

    def resume_input(self) -> None:
        if not self.closed.done():
            self._transport.resume_reading()

    # What the process writes -----------------------------------------------------------------------------

    def feed(self, stream: int, data: bytes) -> None:
        """Send one piece of output (1 stdout, 2 stderr)."""
        if not self._ended:
            self._transport.write(frame(stream, data) if self.framed else data)

    def full(self) -> bool:
        """Whether the client is so far behind that the process should wait."""
        return self._full and not self._ended

    def end(self) -> None:
        """Close the connection once everything has been sent."""
        if not self._ended:
            self._ended = True
            self._transport.close()

    def pause_writing(self) -> None:
        self._full = True

    def resume_writing(self) -> None:
        self._full = False
        if self.on_drained is not None:
            self.on_drained()

    def connection_lost(self, exc: Exception | None) -> None:
        self._ended = True
        self._full = False
        self._on_lost(exc)
        if not self.closed.done():
            self.closed.set_result(None)
        if self.on_drained is not None:
            self.on_drained()


class _EarlyBytes:
    """Collects what aiohttp had already read behind the request's head."""

    def __init__(self, stream: HijackedStream) -> None:
        self._stream = stream

    def feed_data(self, data: bytes) -> tuple[bool, bytes]:
        self._stream.data_received(data)
        return False, b""

    def feed_eof(self) -> None:
        """Nothing to do: the stream hears of the end itself."""


class HijackedReply(web.StreamResponse):
    """What a route returns after a hijack: there is nothing left to send."""

    async def prepare(self, request: web.BaseRequest) -> None:
        """The head was written by hand."""
        self.force_close()

    async def write_eof(self, data: bytes = b"") -> None:
        """The stream was ended by the process."""


async def hijack(request: web.BaseRequest, framed: bool) -> HijackedStream:
    """Answer 101 (or the old 200) and take the connection over. The body must have been read."""
    transport, protocol = request.transport, request.protocol
    if transport is None:
        raise ConnectionResetError("the client left before the stream began")
    upgrade = request.headers.get("Upgrade", "").lower() == "tcp"
    head = "HTTP/1.1 101 UPGRADED\r\n" if upgrade else "HTTP/1.1 200 OK\r\n"
    head += "Content-Type: application/vnd.docker.raw-stream\r\n"
    head += "Connection: Upgrade\r\nUpgrade: tcp\r\n\r\n" if upgrade else "\r\n"
    stream = HijackedStream(transport, framed, protocol.connection_lost)
    protocol.set_parser(_EarlyBytes(stream))  # type: ignore[arg-type]  # speaks the two methods that are used
    transport.write(head.encode())
    transport.set_write_buffer_limits(high=_WRITE_HIGH_WATER_BYTES)
    transport.set_protocol(stream)
    return stream
