"""The standard streams of one process as the daemon holds them (moby: container/stream; containerd: cio).

    process --pipe or pty--> shim --FIFO--> daemon --> log file, attached clients     (sinks, any number)
    process <--------------- shim <--FIFO-- daemon <-- the attached clients' input

The daemon makes the FIFOs and opens its ends first, without blocking; the shim opens the others when it creates the
process. A FIFO rather than a pipe, so that a restarted daemon can open it again by name while the container runs.
Nothing is read while a sink is full: a client that does not read stops the process at its next write, as in Docker.
"""

import asyncio
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from runtime.daemon.stdcopy import STDERR, STDOUT

_READ_BYTES = 65536
_INPUT_HIGH_WATER_BYTES = 1 << 16


class OutputSink(Protocol):
    """Somebody who wants to see the output."""

    on_drained: Callable[[], None] | None

    def feed(self, stream: int, data: bytes) -> None:
        """Take one piece of stream 1 (stdout) or 2 (stderr)."""

    def full(self) -> bool:
        """Whether the process should wait; `on_drained` is called when that is over."""

    def end(self) -> None:
        """There will be no more output."""


@dataclass(frozen=True)
class StdioPaths:
    """The FIFOs' names as they are told to containerd; an empty one means /dev/null."""

    stdin: str
    stdout: str
    stderr: str


class ProcessStreams:
    """stdin, stdout and stderr of one run of one process."""

    def __init__(self, want_stdin: bool, terminal: bool) -> None:
        self._loop = asyncio.get_running_loop()
        self.want_stdin = want_stdin
        self.terminal = terminal
        self._sinks: list[OutputSink] = []
        self._outputs: dict[int, int] = {}
        self._paths: StdioPaths | None = None
        self._reading = False
        self._stdin_fd = -1
        self._pending_input = bytearray()
        self._input_ended = False
        self._writing = False
        self.on_input_closed: Callable[[], None] | None = None
        """Called when stdin's last byte is in the FIFO and our end is closed; time for Tasks.CloseIO."""
        self.on_input_drained: Callable[[], None] | None = None
        self.outputs_ended = self._loop.create_future()
        """Done once every output has reached its end."""

    # FIFOs -----------------------------------------------------------------------------------------------

    def make_fifos(self, directory: str, prefix: str) -> StdioPaths:
        """Make the FIFOs `PREFIX-stdin` ... of one process."""
        os.makedirs(directory, mode=0o700, exist_ok=True)
        stem = os.path.join(directory, prefix)
        paths = StdioPaths(
            f"{stem}-stdin" if self.want_stdin else "",
            f"{stem}-stdout",
            "" if self.terminal else f"{stem}-stderr",  # a terminal has one output
        )
        for path in filter(None, (paths.stdin, paths.stdout, paths.stderr)):
            os.mkfifo(path, 0o600)
        self._paths = paths
        return paths

    def adopt_fifos(self, directory: str, prefix: str) -> None:
        """Use the FIFOs that an earlier daemon made for a process that still runs."""
        stem = os.path.join(directory, prefix)
        self._paths = StdioPaths(
            f"{stem}-stdin" if self.want_stdin else "", f"{stem}-stdout", "" if self.terminal else f"{stem}-stderr"
        )

    def open(self) -> None:
        """Open our ends and begin to read. Before the shim opens its own, or its open would block."""
        assert self._paths is not None
        for stream, path in ((STDOUT, self._paths.stdout), (STDERR, self._paths.stderr)):
            if path:
                self._outputs[stream] = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        if self._paths.stdin:
            # Read-write: a write-only open without a reader is ENXIO (fifo(7)), and the shim is not there yet.
            self._stdin_fd = os.open(self._paths.stdin, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        self._update_reading()

    def process_created(self) -> None:
        """The shim holds its ends: input that came early may go, and an early end of input may be told."""
        self._writing = True
        self._write_input()

    def drain_and_close(self) -> None:
        """The process is gone and the shim has flushed: take what is left, then end every stream."""
        for stream in list(self._outputs):
            while stream in self._outputs:
                if not self._read(stream):
                    break
            self._close_output(stream)
        if self._stdin_fd >= 0:
            os.close(self._stdin_fd)
            self._stdin_fd = -1
        for path in (self._paths.stdin, self._paths.stdout, self._paths.stderr) if self._paths else ():
            if path and os.path.exists(path):
                os.unlink(path)
        self.end_sinks()

    def end_sinks(self) -> None:
        """Tell every sink that the output is over."""
        sinks, self._sinks = self._sinks, []
        for sink in sinks:
            sink.end()

    # Output ----------------------------------------------------------------------------------------------

    def add_sink(self, sink: OutputSink) -> None:
        """Pass all later output to a sink as well."""
        self._sinks.append(sink)
        sink.on_drained = self._update_reading
        self._update_reading()

    def remove_sink(self, sink: OutputSink) -> None:
        """A client has left."""
        if sink in self._sinks:
            self._sinks.remove(sink)
            self._update_reading()

    def say(self, stream: int, data: bytes) -> None:
        """Words of the daemon's own where the process's output would be (an exec that could not start)."""
        for sink in list(self._sinks):
            sink.feed(stream, data)

    def _update_reading(self) -> None:
        wanted = bool(self._outputs) and not any(sink.full() for sink in self._sinks)
        if wanted == self._reading:
            return
        self._reading = wanted
        for stream, fd in self._outputs.items():
            if wanted:
                self._loop.add_reader(fd, self._readable, stream)
            else:
                self._loop.remove_reader(fd)

    def _readable(self, stream: int) -> None:
        self._read(stream)
        self._update_reading()

    def _read(self, stream: int) -> bool:
        """Read once; False when there is nothing now, or nothing ever again."""
        try:
            data = os.read(self._outputs[stream], _READ_BYTES)
        except BlockingIOError:
            return False
        if not data:
            self._close_output(stream)
            return False
        for sink in list(self._sinks):
            sink.feed(stream, data)
        return True

    def _close_output(self, stream: int) -> None:
        fd = self._outputs.pop(stream, -1)
        if fd < 0:
            return
        self._loop.remove_reader(fd)
        os.close(fd)
        if not self._outputs:
            self._reading = False
            if not self.outputs_ended.done():
                self.outputs_ended.set_result(None)

    # Input -----------------------------------------------------------------------------------------------

    def write_input(self, data: bytes) -> None:
        """Bytes for the process; kept until it exists and can take them."""
        if self.want_stdin and not self._input_ended:
            self._pending_input += data
            self._write_input()

    def end_input(self) -> None:
        """No more input: the process sees the end of file after the last byte."""
        if self.want_stdin and not self._input_ended:
            self._input_ended = True
            self._write_input()

    def input_is_full(self) -> bool:
        """Whether clients should be read from more slowly."""
        return len(self._pending_input) >= _INPUT_HIGH_WATER_BYTES

    def _write_input(self) -> None:
        if not self._writing or self._stdin_fd < 0:
            return
        try:
            while self._pending_input:
                written = os.write(self._stdin_fd, self._pending_input[:_INPUT_HIGH_WATER_BYTES])
                del self._pending_input[:written]
        except BlockingIOError:
            self._loop.add_writer(self._stdin_fd, self._write_input)
            return
        self._loop.remove_writer(self._stdin_fd)
        if self.on_input_drained is not None:
            self.on_input_drained()
        if self._input_ended:
            os.close(self._stdin_fd)
            self._stdin_fd = -1
            if self.on_input_closed is not None:
                self.on_input_closed()
