"""Copies bytes from one descriptor to another without ever waiting on either.

Real counterpart: the io.CopyBuffer goroutines of containerd pkg/process/io.go, one for each stream; pipe(7), fifo(7).

    container --write--> pipe or pty --read--> [shim: one chunk] --write--> FIFO --read--> dockerd, ctr

Back-pressure: a new chunk is read only after the last one is gone, so a client that does not read makes the FIFO full,
then the pipe, then the container waits in write(2): nobody's memory grows.
"""

import fcntl
import os
from collections.abc import Callable

from runtime.shim.loop import READ, WRITE, Loop

CHUNK_BYTES = 65536
DRAIN_LIMIT_BYTES = 1 << 20
"""The most that a pipe of default limits can hold: `drain` never copies more than what was there when it began."""


class Relay:
    """One direction of one stream. Owns both descriptors and closes them at its end."""

    def __init__(self, loop: Loop, source: int, sink: int, on_end: Callable[[], None] | None = None) -> None:
        self._loop = loop
        self._source = source
        self._sink = sink
        self._chunk = b""
        self._on_end = on_end
        self.ended = False
        os.set_blocking(source, False)
        os.set_blocking(sink, False)

    def begin(self) -> None:
        """Start to copy."""
        self._watch()

    def _watch(self) -> None:
        if not self.ended:
            self._loop.watch(self._source, 0 if self._chunk else READ, self._readable)
            self._loop.watch(self._sink, WRITE if self._chunk else 0, self._writable)

    def _readable(self, _ready: int) -> None:
        if self._read():
            self._write()
        self._watch()

    def _writable(self, _ready: int) -> None:
        self._write()
        self._watch()

    def _read(self) -> bool:
        """Take one chunk; False when there is none now."""
        try:
            self._chunk = os.read(self._source, CHUNK_BYTES)
        except BlockingIOError:
            return False
        except OSError:
            self._chunk = b""  # EIO: the last slave of the pty is closed
        if not self._chunk:
            self.end()
        return bool(self._chunk)

    def _write(self) -> bool:
        """Pass on what is held; False when the sink is full."""
        try:
            while self._chunk:
                self._chunk = self._chunk[os.write(self._sink, self._chunk) :]
        except BlockingIOError:
            return False
        except OSError:
            self.end()  # EPIPE: nobody will ever read this
        return True

    def drain(self) -> None:
        """Put all that has been written so far into the sink, now, whether or not somebody reads there.

        Called when the process has ended and before the world is told, because a client that hears of the end may stop
        listening. A reader that is slow or stopped must not hold back the news of the end either, so a full FIFO is
        made larger (fcntl F_SETPIPE_SZ) instead of being waited for. The bytes of a child that the process left behind
        keep flowing afterwards.
        """
        copied = 0
        while not self.ended and copied < DRAIN_LIMIT_BYTES:
            if not self._chunk and not self._read():
                break
            before = len(self._chunk)
            if not self._write() and not self._enlarge():
                break
            copied += before - len(self._chunk)
        self._watch()

    def _enlarge(self) -> bool:
        try:
            size = fcntl.fcntl(self._sink, fcntl.F_GETPIPE_SZ)
            fcntl.fcntl(self._sink, fcntl.F_SETPIPE_SZ, size + 2 * CHUNK_BYTES)
        except OSError:
            return False  # not a pipe, or over /proc/sys/fs/pipe-max-size: the rest follows when there is room
        return True

    def end(self) -> None:
        """Stop copying and close both ends."""
        if self.ended:
            return
        self.ended = True
        self._chunk = b""
        for fd in (self._source, self._sink):
            self._loop.forget(fd)
            os.close(fd)
        if self._on_end:
            self._on_end()
