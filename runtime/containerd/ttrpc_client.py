"""containerd's side of a connection to a shim.

Real counterpart: github.com/containerd/ttrpc `client.go`. Framing is `runtime/api/ttrpc.py`. containerd dials once
and keeps the connection for as long as the shim lives: its end *is* the news that the shim has died.

    containerd  --REQUEST stream 1  Create-->  shim         answers come in any order: Wait (stream 7) may be answered
    containerd  --REQUEST stream 7  Wait---->  shim         long after Kill (stream 9)
    containerd  <--RESPONSE stream 1---------  shim

Left out on purpose: timeout_nano (real containerd gives a shim 2 s for State; a shim that is stopped in a debugger
must not be taken for dead), streaming.
"""

import asyncio
from collections.abc import Callable

from google.protobuf.message import DecodeError, Message

from runtime.api import ttrpc
from runtime.api.containerd import ttrpc_pb2
from runtime.containerd.errors import ShimError, UnavailableError


class ConnectionClosedError(Exception):
    """The shim is gone, or will not answer any more."""


class TtrpcClient(asyncio.Protocol):
    """Calls that wait for their answers, over one connection."""

    def __init__(self) -> None:
        self._decoder = ttrpc.FrameDecoder()
        self._waiting: dict[int, asyncio.Future[bytes]] = {}
        self._next_stream = 1
        self._transport: asyncio.Transport | None = None
        self.closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        """Done when the connection has ended, from whichever side."""
        self._on_closed: Callable[[], None] | None = None

    def on_closed(self, act: Callable[[], None]) -> None:
        """Act once when the connection ends; at once if it has."""
        if self.closed.done():
            act()
        else:
            self._on_closed = act

    async def call(self, service: str, method: str, request: Message, namespace: str) -> bytes:
        """Send a request and return the payload of its answer."""
        if self._transport is None or self.closed.done():
            raise ConnectionClosedError("ttrpc: closed")
        envelope = ttrpc_pb2.Request(service=service, method=method, payload=request.SerializeToString())
        envelope.metadata.add(key="containerd-namespace-ttrpc", value=namespace)
        stream_id, self._next_stream = self._next_stream, self._next_stream + 2
        answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        try:
            frame = ttrpc.encode(ttrpc.Frame(stream_id, ttrpc.REQUEST, 0, envelope.SerializeToString()))
        except ttrpc.FrameError as error:
            raise ShimError(3, str(error)) from None
        self._waiting[stream_id] = answer
        try:
            self._transport.write(frame)
            return await answer
        finally:
            # Also on cancellation (the client of a Wait went away): a late answer then finds nobody and is dropped.
            self._waiting.pop(stream_id, None)

    def close(self) -> None:
        """Hang up."""
        if self._transport is not None:
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        assert self._transport is not None
        try:
            for frame in self._decoder.feed(data):
                self._take(frame)
        except (ttrpc.FrameError, DecodeError):
            # After a frame that is none, the borders of all later ones are lost: such a shim is as good as dead.
            self._transport.abort()

    def _take(self, frame: ttrpc.Frame) -> None:
        answer = self._waiting.get(frame.stream_id)
        if frame.type != ttrpc.RESPONSE or answer is None or answer.done():
            return
        response = ttrpc_pb2.Response.FromString(frame.payload)
        if response.status.code:
            answer.set_exception(ShimError(response.status.code, response.status.message))
        else:
            answer.set_result(response.payload)

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.closed.done():
            self.closed.set_result(None)
        if self._on_closed is not None:
            self._on_closed()
        for answer in self._waiting.values():
            if not answer.done():
                answer.set_exception(ConnectionClosedError("ttrpc: closed"))


async def dial(address: str) -> TtrpcClient:
    """Connect to the socket that a shim has printed (`unix:///path`, or `unix://@name` for an abstract one)."""
    path = address.removeprefix("unix://")
    # A leading @ or NUL is the abstract namespace, unix(7).
    path = "\0" + path[1:] if path.startswith("@") else path
    try:
        _, client = await asyncio.get_running_loop().create_unix_connection(TtrpcClient, path)
    except OSError as error:
        raise UnavailableError(f"dial {address}: {(error.strerror or str(error)).lower()}") from None
    return client
