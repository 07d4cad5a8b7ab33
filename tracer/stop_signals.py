"""SIGTERM, SIGINT and SIGHUP as something to wait for, so that none comes between making a thing and noting it.

The self-pipe of D. J. Bernstein, as signal.set_wakeup_fd offers it: the handlers do nothing, and each signal is a byte
in a socket (signal(7), socketpair(2)). Whoever waits for other things as well puts the socket beside them: poll(2),
select(2), or asyncio's add_reader. Taking a stack down is then never interrupted, by a second Ctrl-C neither.
"""

import signal
import socket
from typing import Self

STOPPING = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
"""What a supervisor, Ctrl-C and a terminal that is closed send."""


class StopSignals:
    """Takes over the three signals; a context manager."""

    number = 0
    """The signal that came first, 0 while none has. Known at once, whatever the main thread is waiting for."""

    def __enter__(self) -> Self:
        self._reader, self._writer = socket.socketpair()
        self._reader.setblocking(False)
        self._writer.setblocking(False)
        signal.set_wakeup_fd(self._writer.fileno(), warn_on_full_buffer=False)
        for number in STOPPING:
            signal.signal(number, self._note)
        return self

    def __exit__(self, *_: object) -> None:
        # The handlers stay: what is still to be taken down must not be interrupted either.
        signal.set_wakeup_fd(-1)
        self._reader.close()
        self._writer.close()

    def fileno(self) -> int:
        """Readable once a signal has come; any that has a handler in Python rings here, SIGWINCH for one."""
        return self._reader.fileno()

    def answer(self) -> int:
        """Make the socket unreadable until the next signal; the stop signal that came first, 0 while none has."""
        try:
            rung = self._reader.recv(4096)
        except BlockingIOError:
            rung = b""
        self.number = self.number or next((number for number in rung if number in STOPPING), 0)
        return self.number

    def _note(self, number: int, _: object) -> None:
        self.number = self.number or number
