"""The container's terminal: made inside, handed to whoever shall hold its other end.

Counterpart: runc's libcontainer/console_linux.go and docs/terminals.md. The pty comes from the container's own devpts,
so that `tty` and /dev/pts inside agree; the master end travels out over a unix socket as SCM_RIGHTS (unix(7)):

    caller (shim, conmon)        create                       init
      listen on --console-socket
                                 connect, keep the fd ------> inherits it
                                                              open /dev/ptmx, TIOCGPTN
      recvmsg <---------------------------------------------- sendmsg(master)
      relays bytes                                            bind /dev/pts/N on /dev/console, make it fd 0-2
"""

import fcntl
import os
import socket
import struct

from runtime.oci import syscalls as sc
from runtime.oci.errors import OCIError, reason

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

TIOCGPTN = 0x80045430
TIOCSPTLCK = 0x40045431
TIOCSWINSZ = 0x5414
TIOCSCTTY = 0x540E


def connect(path: str) -> int:
    """Connect to --console-socket before any namespace is entered: the path is the caller's."""
    console = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        console.connect(path)
    except OSError as error:
        raise OCIError(f"--console-socket {path}: {reason(error)}") from None
    return console.detach()


def open_pty(size: "dict[str, Any]") -> tuple[int, str]:
    """A new pty of the container's devpts: its master and the path of its slave."""
    master = os.open("/dev/ptmx", os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
    fcntl.ioctl(master, TIOCSPTLCK, struct.pack("i", 0))
    (number,) = struct.unpack("i", fcntl.ioctl(master, TIOCGPTN, struct.pack("i", 0)))
    if size:
        fcntl.ioctl(master, TIOCSWINSZ, struct.pack("HHHH", size["height"], size["width"], 0, 0))
    return master, f"/dev/pts/{number}"


def send(console_fd: int, master: int) -> None:
    """Hand the master over; the name that goes with it is only for people who trace."""
    console = socket.socket(fileno=console_fd)
    socket.send_fds(console, [b"/dev/ptmx"], [master])
    console.close()
    os.close(master)


def receive(connection: socket.socket) -> int:
    """Take the master on the other side (for `run -t` on a terminal of our own)."""
    _, fds, _, _ = socket.recv_fds(connection, 64, 1)
    if not fds:
        raise OCIError("the container did not send its terminal")
    os.set_inheritable(fds[0], False)
    return fds[0]


def set_up(console_fd: int, size: "dict[str, Any]", uid: int, *, bind_console: bool) -> None:
    """Make the pty, send it, and sit down at its other end."""
    master, slave_path = open_pty(size)
    if bind_console:
        fd = os.open("/dev/console", os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC | os.O_NOCTTY, 0o666)
        os.close(fd)
        sc.mount(slave_path, "/dev/console", "", sc.MS_BIND)
    send(console_fd, master)
    slave = os.open(slave_path, os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
    if uid:
        os.fchown(slave, uid, -1)
    for fd in (0, 1, 2):
        os.dup2(slave, fd, inheritable=True)
    os.close(slave)
    # only a session leader without a terminal can take one: setsid came before
    fcntl.ioctl(0, TIOCSCTTY, 0)
