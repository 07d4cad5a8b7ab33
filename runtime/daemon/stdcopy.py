"""How stdout and stderr share one stream (moby: pkg/stdcopy).

Each piece is preceded by eight bytes: the stream's number (0 stdin, 1 stdout, 2 stderr), three zeros, and the
length as a big-endian u32. With a terminal there is one stream and no header.
"""

import struct

STDOUT = 1
STDERR = 2

STREAM_NAMES = {STDOUT: "stdout", STDERR: "stderr"}

_HEADER = struct.Struct(">BxxxL")


def frame(stream: int, data: bytes) -> bytes:
    """One piece of output with its header."""
    return _HEADER.pack(stream, len(data)) + data
