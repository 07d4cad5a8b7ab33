"""The container's terminal: made inside, handed to whoever shall hold its other end.

Counterpart: runc's libcontainer/console_linux.go and docs/terminals.md. The pty comes from the container's own devpts,
so that `tty` and /dev/pts inside agree; the master end travels out over a unix socket as SCM_RIGHTS (unix(7)):

    caller (shim, conmon)        create                       init
      listen on --console-socket
                                 connect, keep the fd ------> inherits it
                                                              open /dev/ptmx, TIOCGPTPEER
      recvmsg <---------------------------------------------- sendmsg(master)
      relays bytes                                            bind the slave on /dev/console, make it fd 0-2

What an image has at /dev/ptmx, /dev/pts and /dev/console, where no file system of ours covers it, is not to be
trusted: the master must be a pty multiplexer, its slave comes from the master and not by a path, and /dev/console must
not be a link (CVE-2025-52565: the bind mount would land in /proc).
"""

import fcntl
import os
import socket
import stat
import struct

from runtime.oci import in_root
from runtime.oci import syscalls as sc
from runtime.oci.errors import OCIError, reason

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

TIOCSPTLCK = 0x40045431
TIOCSWINSZ = 0x5414
TIOCSCTTY = 0x540E
TIOCGPTPEER = 0x5441


def connect(path: str) -> int:
    """Connect to --console-socket before any namespace is entered: the path is the caller's."""
    console = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        console.connect(path)
    except OSError as error:
        raise OCIError(f"--console-socket {path}: {reason(error)}") from None
    return console.detach()


def open_pty(size: "dict[str, Any]") -> tuple[int, int]:
    """A new pty of the container's devpts: its master and its slave."""
    master = os.open("/dev/ptmx", os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
    status = os.fstat(master)
    if not stat.S_ISCHR(status.st_mode) or status.st_rdev != os.makedev(5, 2):
        raise OCIError("the container's /dev/ptmx is not the pty multiplexer (character device 5:2)")
    fcntl.ioctl(master, TIOCSPTLCK, struct.pack("i", 0))
    if size:
        fcntl.ioctl(master, TIOCSWINSZ, struct.pack("HHHH", size["height"], size["width"], 0, 0))
    return master, fcntl.ioctl(master, TIOCGPTPEER, os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)


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
    master, slave = open_pty(size)
    if bind_console:
        _bind_console(slave)
    send(console_fd, master)
    if uid:
        os.fchown(slave, uid, -1)
    for fd in (0, 1, 2):
        os.dup2(slave, fd, inheritable=True)
    os.close(slave)
    # only a session leader without a terminal can take one: setsid came before
    fcntl.ioctl(0, TIOCSCTTY, 0)


def _bind_console(slave: int) -> None:
    dev_fd = os.open("/dev", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.close(in_root.open_file_itself(dev_fd, "/dev/console"))
    finally:
        os.close(dev_fd)
    tree_fd = sc.open_tree(slave, "", sc.AT_EMPTY_PATH | sc.OPEN_TREE_CLONE | sc.OPEN_TREE_CLOEXEC)
    try:
        # without MOVE_MOUNT_T_SYMLINKS a link that comes now is not followed either
        sc.move_mount(tree_fd, "", sc.AT_FDCWD, "/dev/console", sc.MOVE_MOUNT_F_EMPTY_PATH)
    finally:
        os.close(tree_fd)
