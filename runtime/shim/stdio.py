"""The FIFOs that a client made for a process, and the pipes that the process gets instead.

Real counterpart: containerd pkg/process/io.go and github.com/containerd/fifo; fifo(7).

    client (dockerd, ctr)      shim                                     container
      mkfifo, open, ...   -->  stdin FIFO  --Relay--> pipe          --> fd 0
      read              <--    stdout FIFO <--Relay-- pipe          <-- fd 1
      read              <--    stderr FIFO <--Relay-- pipe          <-- fd 2

The process gets pipes and not the FIFOs themselves: a path of the host would show in /proc/self/fd of the container.
The shim also holds the *other* end of each FIFO. Of stdin's it holds a write end until CloseIO, or a client that
detaches would look like the end of input; of stdout's a read end, or a client that restarts would cost the container
a SIGPIPE. With a terminal the same FIFOs are used by `console.py`.
"""

import os
import select
import stat
from typing import NamedTuple

from runtime.shim import kernel
from runtime.shim.errors import INVALID_ARGUMENT, TaskError
from runtime.shim.loop import READ, Loop, Promise
from runtime.shim.relay import Relay
from runtime.shim.runc import Stdio


class StdioPaths(NamedTuple):
    """Where a client wants a process's streams; empty for a stream that it does not want."""

    stdin: str
    stdout: str
    stderr: str
    terminal: bool


class Output(NamedTuple):
    """The write end of an output, and the read end that keeps it alive (-1 for a plain file)."""

    write: int
    keep: int


def output_path(location: str) -> str:
    """Return the path in a bare path or a fifo: or file: URI (`ctr run --log-uri`)."""
    if location.startswith("/"):
        return location
    scheme, _, path = location.partition("://")
    if scheme in ("fifo", "file") and path.startswith("/"):
        return path.partition("?")[0]
    raise TaskError(INVALID_ARGUMENT, f'unknown STDIO scheme "{scheme}" in {location}: use a fifo or a file')


async def open_output(loop: Loop, location: str) -> Output:
    """Open a FIFO for writing as soon as its reader is there, or a plain file for appending."""
    path = output_path(location)
    if not os.path.exists(path) or not stat.S_ISFIFO(os.stat(path).st_mode):
        return Output(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600), -1)
    write = _open_write(path)
    if not _has_reader(write):
        await _reader_came(loop, path, write)
    return Output(write, os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC))


def _open_write(path: str) -> int:
    """Open a FIFO for writing, although nobody may have it open for reading: with a reader of our own, for a moment."""
    both = os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        return os.open(path, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    finally:
        os.close(both)


def _has_reader(write: int) -> bool:
    """Whether anybody could read: the write end of a pipe without readers polls as an error."""
    poll = select.poll()
    poll.register(write, 0)
    return not poll.poll(0)


async def _reader_came(loop: Loop, path: str, write: int) -> None:
    """Wait for a reader without blocking the loop: a blocking open would stop all other calls of this shim.

    Not to wait would not do: were the container gone before the reader came, its output would vanish with the last
    descriptor. inotify tells of an open only when it has succeeded, which a reader's does because we hold a write end.
    """
    inotify = kernel.inotify_init()
    try:
        kernel.inotify_add_watch(inotify, path, kernel.IN_OPEN)
        while not _has_reader(write):
            opened: Promise[int] = Promise()
            loop.watch(inotify, READ, opened.fulfil)
            await opened
            os.read(inotify, 65536)
    finally:
        loop.forget(inotify)
        os.close(inotify)


class Input(NamedTuple):
    """The read end of stdin's FIFO, and the write end that keeps it from ending."""

    read: int
    keep: int


def open_input(path: str) -> Input:
    """Open both ends of stdin's FIFO; reading first, since a non-blocking open for writing needs a reader."""
    read = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    return Input(read, os.open(path, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC))


class Streams:
    """The streams of one process: what its runtime call is given, and what goes on in the shim meanwhile."""

    def __init__(self, loop: Loop) -> None:
        self.loop = loop
        self.stdio: Stdio | None = None
        """For the runtime: the process's ends. None when it is to have a terminal."""
        self.console_path: str | None = None
        """For the runtime: where to send the terminal's master. None without a terminal."""
        self._given: list[int] = []
        self._inputs: list[Relay] = []
        self._outputs: list[Relay] = []
        self._kept: list[int] = []
        self._kept_stdin = -1

    async def open(self, paths: StdioPaths) -> None:
        """Open the client's FIFOs and make the process's pipes."""
        try:
            self.stdio = Stdio(
                self._pipe_from(paths.stdin), await self._pipe_to(paths.stdout), await self._pipe_to(paths.stderr)
            )
        except OSError as reason:
            self.close()
            raise TaskError(
                INVALID_ARGUMENT, f"open stdio {reason.filename}: {(reason.strerror or '').lower()}"
            ) from None
        except TaskError:
            self.close()
            raise

    def _null(self, flags: int) -> int:
        self._given.append(os.open("/dev/null", flags | os.O_CLOEXEC))
        return self._given[-1]

    def _pipe_from(self, path: str) -> int:
        if not path:
            return self._null(os.O_RDONLY)
        fifo = open_input(path)
        self._kept_stdin = fifo.keep
        read, write = os.pipe2(os.O_CLOEXEC)
        self._given.append(read)
        self._inputs.append(Relay(self.loop, fifo.read, write))
        return read

    async def _pipe_to(self, location: str) -> int:
        if not location:
            return self._null(os.O_WRONLY)
        output = await open_output(self.loop, location)
        read, write = os.pipe2(os.O_CLOEXEC)
        self._given.append(write)
        self.add_output(read, output)
        return write

    def add_input(self, fifo: Input, sink: int) -> None:
        """Copy from stdin's FIFO to the process."""
        self._kept_stdin = fifo.keep
        self._inputs.append(Relay(self.loop, fifo.read, sink))

    def add_output(self, source: int, output: Output) -> None:
        """Copy from the process to a FIFO; its kept end is closed with it."""
        self._kept.append(output.keep)

        def release() -> None:
            if output.keep in self._kept:
                self._kept.remove(output.keep)
                if output.keep >= 0:
                    os.close(output.keep)

        self._outputs.append(Relay(self.loop, source, output.write, release))

    def begin(self) -> None:
        """Close the process's ends, which it has by now, and start to copy: EOF comes when it alone closes them."""
        self._close_given()
        for relay in [*self._inputs, *self._outputs]:
            relay.begin()

    def _close_given(self) -> None:
        while self._given:
            os.close(self._given.pop())

    def close_stdin(self) -> None:
        """Drop the write end that the shim held: input ends when the client's writers are gone too."""
        if self._kept_stdin >= 0:
            os.close(self._kept_stdin)
            self._kept_stdin = -1

    def process_exited(self) -> None:
        """Deliver all that the process has written; what reads its input has no more to do."""
        for relay in self._outputs:
            relay.drain()
        for relay in self._inputs:
            relay.end()
        self.close_stdin()

    def resize(self, width: int, height: int) -> None:
        """Only a terminal has a size: nothing to do here, and no error either; callers ask for any process."""

    def close(self) -> None:
        """Give everything up."""
        self._close_given()
        for relay in [*self._inputs, *self._outputs]:
            relay.end()
        self.close_stdin()
