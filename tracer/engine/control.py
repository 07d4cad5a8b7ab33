"""The socket to the session: command lines come in, a single byte goes out whenever the recording has grown.

The engine waits in waitpid(2), which no descriptor can wake. So the socket is in O_ASYNC mode: whatever arrives on
it, its end included, raises SIGIO, and SIGIO interrupts the wait (see `loop`).
"""

import fcntl
import os
import socket

from tracer import codec
from tracer.commands import Command

_LINE_LIMIT = 16 << 20


class Control:
    """The engine's end of the socketpair."""

    def __init__(self, fd: int) -> None:
        self._socket = socket.socket(fileno=fd)
        self._socket.setblocking(True)
        self._buffer = b""
        self.closed = False
        """The session has gone: nothing that it started may outlive it."""
        os.set_inheritable(fd, False)

    def first(self) -> Command | None:
        """Wait for one whole command; None where the session has gone. Raises RecordingError."""
        while not self.closed:
            if b"\n" in self._buffer:
                line, _, self._buffer = self._buffer.partition(b"\n")
                return codec.decode_command(line.decode())
            self._receive()
        return None

    def watch(self) -> None:
        """From now on arrivals raise SIGIO, and nothing here blocks."""
        self._socket.setblocking(False)
        fd = self._socket.fileno()
        fcntl.fcntl(fd, fcntl.F_SETOWN, os.getpid())
        fcntl.fcntl(fd, fcntl.F_SETFL, fcntl.fcntl(fd, fcntl.F_GETFL) | os.O_ASYNC)

    def commands(self) -> list[Command]:
        """Whatever has arrived. Raises RecordingError on a line that is no command."""
        while not self.closed and self._receive():
            pass
        *lines, self._buffer = self._buffer.split(b"\n")
        return [codec.decode_command(line.decode()) for line in lines]

    def ring(self) -> None:
        """Tell the session to read on. A bell that is still ringing needs no second one."""
        try:
            self._socket.send(b"\n", socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL)
        except BlockingIOError:
            pass
        except OSError:
            self.closed = True

    def close(self) -> None:
        """The engine has ended: the session's read returns nothing."""
        self._socket.close()

    def _receive(self) -> bool:
        try:
            received = self._socket.recv(65536)
        except BlockingIOError:
            return False
        except OSError:
            received = b""
        if not received or len(self._buffer) > _LINE_LIMIT:
            self.closed = True
            return False
        self._buffer += received
        return True
