"""Where a container's input and output can be seen on their way, hop by hop.

    client's terminal --read 0--> client ==HTTP==> daemon --FIFO--> shim --pty--> container
                      <--write 1--       <=======         <--FIFO--      <--pty--

The same bytes pass four processes; each hop is a message of its own, so that a learner can follow a keypress down and
a prompt up. HTTP's part is `http1`'s; this is the rest: who reads or writes which file in which seat.
"""

from collections.abc import Iterator

from tracer.decode.http1 import stdio, unseen_stdio
from tracer.decode.message import Decoded
from tracer.decode.streams import OpenFile
from tracer.events import Side
from tracer.stages.layers import Layer

_BY_FD = ("stdin", "stdout", "stderr")


def pieces(
    layer: Layer | None, fd: int, file: OpenFile, side: Side, data: bytes, missing: int, sequence: int
) -> Iterator[Decoded]:
    """The bytes of one call, and how many of it were not seen, as pieces of stdio; nothing where they are none."""
    stream = _stream(layer, fd, file, side)
    if stream and (data or not missing):
        yield stdio(stream, data, (sequence,))
    if stream and missing:
        yield unseen_stdio(stream, missing, (sequence,))


def _stream(layer: Layer | None, fd: int, file: OpenFile, side: Side) -> str:
    if layer in (Layer.CLIENT, Layer.CONTAINER):
        if fd <= 2:
            # A terminal is one file in both directions, and programs may write to any of its descriptors.
            return "stdin" if side == "received" else _BY_FD[max(fd, 1)]
        if file.kind == "tty":
            return "stdin" if side == "received" else "stdout"
        return ""
    if layer in (Layer.SHIM, Layer.DAEMON):
        if file.kind == "fifo":
            return next(name for name in _BY_FD if file.path.endswith(name))
        if file.kind == "tty":
            return "stdout" if side == "received" else "stdin"  # the master's end
    return ""
