"""ttrpc framing: the small RPC that containerd and its shims speak over a unix socket.

Real counterpart: github.com/containerd/ttrpc, `channel.go` and PROTOCOL.md. It is gRPC's request/response idea without
HTTP/2: no header compression, no flow control, so a shim stays small.

    caller (containerd)                                          callee (shim)
      | REQUEST  stream 1  Request{service, method, payload}  --->  |     the caller opens a stream: ids 1, 3, 5 ...
      | REQUEST  stream 3  ...                                --->  |     a second call need not wait for the first
      | <---  RESPONSE stream 3  Response{payload}                  |     answers come in any order
      | <---  RESPONSE stream 1  Response{status{code, message}}    |     a status is an error; success has none

Every frame is a header of ten bytes, big-endian, and its payload:

    0        4        8      9      10
    | length | stream | type | flags | payload (length bytes, a serialized Request or Response) ...

This module is sans-IO (bytes in, frames out) and imports no protobuf, so that the shim, our containerd and the tracer's
decoder can share it. Left out on purpose: the meaning of DATA frames and of flags (streaming, ttrpc 1.2), which the
task service does not use; they are decoded like any other frame.
"""

import struct
from typing import NamedTuple

REQUEST = 1
RESPONSE = 2
DATA = 3

MAX_PAYLOAD = 4 << 20

HEADER = struct.Struct(">IIBB")


class FrameError(ValueError):
    """The bytes cannot be ttrpc: nothing after them on the same connection can be trusted."""


class Frame(NamedTuple):
    """One frame: a header's fields and the payload that it announced."""

    stream_id: int
    type: int
    flags: int
    payload: bytes


def encode(frame: Frame) -> bytes:
    """Return the frame's bytes as they go over the socket."""
    if len(frame.payload) > MAX_PAYLOAD:
        raise FrameError(f"ttrpc payload of {len(frame.payload)} bytes is over the limit of {MAX_PAYLOAD}")
    return HEADER.pack(len(frame.payload), frame.stream_id, frame.type, frame.flags) + frame.payload


class FrameDecoder:
    """Turns one direction of a connection, cut anywhere, back into frames."""

    def __init__(self) -> None:
        self._pending = bytearray()

    def feed(self, data: bytes) -> list[Frame]:
        """Return the frames that these bytes complete; raise FrameError where the stream stops being ttrpc."""
        self._pending += data
        frames: list[Frame] = []
        start = 0
        while len(self._pending) - start >= HEADER.size:
            length, stream_id, frame_type, flags = HEADER.unpack_from(self._pending, start)
            # Judged before waiting for the bytes: a peer that announces 4 GiB must not make us store them.
            if length > MAX_PAYLOAD:
                raise FrameError(f"ttrpc payload of {length} bytes is over the limit of {MAX_PAYLOAD}")
            if frame_type not in (REQUEST, RESPONSE, DATA):
                raise FrameError(f"ttrpc frame type {frame_type} is unknown")
            end = start + HEADER.size + length
            if len(self._pending) < end:
                break
            frames.append(Frame(stream_id, frame_type, flags, bytes(self._pending[start + HEADER.size : end])))
            start = end
        del self._pending[:start]
        return frames

    @property
    def pending(self) -> int:
        """How many bytes of an unfinished frame are held."""
        return len(self._pending)
