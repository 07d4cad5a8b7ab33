"""The terminal of a process: the runtime makes the pty, the shim keeps its master.

Real counterpart: containerd pkg/process (CopyConsole in runtime/v2/runc/platform.go), go-runc console.go; pty(7),
unix(7) SCM_RIGHTS, runtime-spec's and runc's docs/terminals.md ("detached, new terminal").

    shim                                      OCI runtime (init, inside the container's namespaces)
      | listen on SHORT/pty.sock                |
      | create --console-socket SHORT/pty.sock  |
      |                                         | open /dev/ptmx of the *container's* devpts, so that `tty` names
      |                                         | a file that exists there; slave -> fd 0, 1, 2
      | <--- connect, sendmsg(SCM_RIGHTS: master) |
      | <--- exit 0                             |
      | recvmsg: the master                     |

The master is in the socket before the runtime exits, so it is taken after that without any waiting. The socket's
directory is short (/tmp or XDG_RUNTIME_DIR, as go-runc does), because sun_path has room for 107 bytes and a bundle's
path is longer.
"""

import fcntl
import os
import socket
import struct
import termios

from runtime.shim.errors import INTERNAL, INVALID_ARGUMENT, TaskError
from runtime.shim.loop import Loop
from runtime.shim.stdio import Output, StdioPaths, Streams, open_input, open_output


class TerminalStreams(Streams):
    """The streams of a process that has a terminal: one output, and an input that may stay open."""

    def __init__(self, loop: Loop) -> None:
        super().__init__(loop)
        self._paths = StdioPaths("", "", "", terminal=True)
        self._output = Output(-1, -1)
        self._directory = ""
        self._listener: socket.socket | None = None
        self._master = -1

    async def open(self, paths: StdioPaths) -> None:
        """Listen for the master, and open the output: its reader must be there before anything is written."""
        self._paths = paths
        try:
            if paths.stdout:
                self._output = await open_output(self.loop, paths.stdout)
            self._directory = f"{os.environ.get('XDG_RUNTIME_DIR') or '/tmp'}/pty{os.urandom(5).hex()}"
            os.mkdir(self._directory, 0o700)
            self.console_path = f"{self._directory}/pty.sock"
            self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            self._listener.bind(self.console_path)
            self._listener.listen(1)
            self._listener.setblocking(False)
        except OSError as reason:
            self.close()
            raise TaskError(
                INVALID_ARGUMENT, f"open terminal {reason.filename or ''}: {(reason.strerror or '').lower()}"
            ) from None

    def begin(self) -> None:
        """Take the master and start to copy."""
        self._master = self._receive_master()
        self._close_socket()
        if self._output.write >= 0:
            self.add_output(os.dup(self._master), self._output)
            self._output = Output(-1, -1)
        if self._paths.stdin:
            try:
                fifo = open_input(self._paths.stdin)
            except OSError as reason:
                raise TaskError(
                    INVALID_ARGUMENT, f"open stdin {reason.filename}: {(reason.strerror or '').lower()}"
                ) from None
            self.add_input(fifo, os.dup(self._master))
        super().begin()

    def _receive_master(self) -> int:
        assert self._listener is not None
        try:
            connection, _address = self._listener.accept()
        except BlockingIOError:
            raise TaskError(INTERNAL, "the OCI runtime did not send a terminal") from None
        with connection:
            connection.setblocking(False)
            try:
                _name, fds, _flags, _peer = socket.recv_fds(connection, 4096, 1)
            except BlockingIOError:
                fds = []
        if len(fds) != 1:
            raise TaskError(INTERNAL, "the OCI runtime sent no descriptor over the console socket")
        os.set_inheritable(fds[0], False)
        return fds[0]

    def resize(self, width: int, height: int) -> None:
        """Set the window size; the kernel sends SIGWINCH to the foreground group inside."""
        if self._master >= 0:
            fcntl.ioctl(self._master, termios.TIOCSWINSZ, struct.pack("HHHH", height & 0xFFFF, width & 0xFFFF, 0, 0))

    def process_exited(self) -> None:
        """Deliver the last words, and let go of the terminal."""
        super().process_exited()
        self._close_master()

    def _close_master(self) -> None:
        if self._master >= 0:
            os.close(self._master)
            self._master = -1

    def _close_socket(self) -> None:
        if self._listener is not None:
            self._listener.close()
            self._listener = None
        if self.console_path is not None:
            try:
                os.unlink(self.console_path)
            except FileNotFoundError:
                pass
            self.console_path = None
        if self._directory:
            os.rmdir(self._directory)
            self._directory = ""

    def close(self) -> None:
        """Give everything up, the socket's directory too."""
        self._close_socket()
        for fd in self._output:
            if fd >= 0:
                os.close(fd)
        self._output = Output(-1, -1)
        super().close()
        self._close_master()
