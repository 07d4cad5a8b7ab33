"""`run -t` and `exec -t` on a terminal of our own: the relay that a shim or conmon is otherwise.

Counterpart: runc's tty.go. Our terminal goes to raw mode, so that Ctrl-C is a byte for the container's terminal to turn
into SIGINT and not a signal for us; its bytes are copied both ways and its size follows ours.
"""

import fcntl
import os
import select
import signal
import socket
import sys
import termios
import tty

from runtime.oci import console, processes

SIZE_BYTES = b"\0" * 8


class Relay:
    """The outside of the container's terminal."""

    def __init__(self) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        self.connection = ours
        self.console_fd = theirs.detach()
        self.master = -1

    def receive(self) -> None:
        """Take the master end, which init sent before it was ready."""
        self.master = console.receive(self.connection)
        self.connection.close()

    def resize(self, *_: object) -> None:
        """Give the container's terminal the size of ours."""
        if os.isatty(0):
            fcntl.ioctl(self.master, termios.TIOCSWINSZ, fcntl.ioctl(0, termios.TIOCGWINSZ, SIZE_BYTES))

    def run(self, pid: int) -> int:
        """Relay until the process ends and its output is drained; return its exit status."""
        on_terminal = os.isatty(0)
        saved = termios.tcgetattr(0) if on_terminal else None
        self.resize()
        signal.signal(signal.SIGWINCH, self.resize)
        try:
            if on_terminal:
                tty.setraw(0, termios.TCSANOW)  # not the default TCSAFLUSH, which drops what was typed ahead
            self._copy(pid)
        finally:
            if saved is not None:
                termios.tcsetattr(0, termios.TCSANOW, saved)
        return processes.exit_status(os.waitpid(pid, 0)[1])

    def _copy(self, pid: int) -> None:
        pidfd = os.pidfd_open(pid)
        watch = select.poll()
        watch.register(self.master, select.POLLIN)
        watch.register(0, select.POLLIN)
        watch.register(pidfd, select.POLLIN)
        while True:
            ready = {fd for fd, _ in watch.poll()}
            if self.master in ready:
                # EIO: nobody has the other end open any more
                if not self._read_and_write(self.master, sys.stdout.fileno()):
                    break
            elif pidfd in ready:
                break  # ended, and nothing is left to read; background processes may keep the terminal open
            if 0 in ready and not self._read_and_write(0, self.master):
                watch.unregister(0)
                if not os.isatty(0):
                    os.write(self.master, b"\x04")  # end of input, as a terminal says it
        os.close(pidfd)

    @staticmethod
    def _read_and_write(source: int, target: int) -> bool:
        try:
            content = os.read(source, 65536)
        except OSError:
            return False
        while content:
            content_written = os.write(target, content)
            content = content[content_written:]
            if not content:
                return True
        return False
