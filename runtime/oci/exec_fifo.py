"""The FIFO that holds a created container until `start`.

Counterpart: runc's exec.fifo. Opening a FIFO for writing blocks in the kernel until somebody opens it for reading, so
init needs no loop, no signal and no shared memory to wait, and the name in the file system *is* the status "created":

    init                                   start
    open(O_WRONLY) blocks ............ <-- open(O_RDONLY)
    write one byte ----------------------> read it, unlink the FIFO
    execve

By then init's root is the container's: it keeps an O_PATH fd from before pivot_root and opens /proc/self/fd/N, which
leads to the FIFO wherever the root is.

`start` opens without blocking, as a guard: if init died meanwhile nobody would ever open the other end. The read side
of a non-blocking FIFO opens at once; poll then tells "a byte" or "hung up".
"""

import os
import select

from runtime.oci.errors import OCIError


def make(path: str, uid: int, gid: int) -> None:
    """Create the FIFO; init will be the user of the container's user namespace when it opens it."""
    old_umask = os.umask(0)
    try:
        os.mkfifo(path, 0o622)
    finally:
        os.umask(old_umask)
    os.chown(path, uid, gid)


def hold(path: str) -> int:
    """An fd that names the FIFO without opening it: survives pivot_root, wakes nobody."""
    return os.open(path, os.O_PATH | os.O_CLOEXEC)


def hold_own_fds() -> int:
    """/proc/self/fd as an fd, taken before pivot_root."""
    return os.open("/proc/self/fd", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)


def wait_for_start(held_fd: int, own_fds: int = -1) -> None:
    """Block until `start` opens the other end."""
    if own_fds >= 0:
        fd = os.open(str(held_fd), os.O_WRONLY | os.O_CLOEXEC, dir_fd=own_fds)
    else:
        fd = os.open(f"/proc/self/fd/{held_fd}", os.O_WRONLY | os.O_CLOEXEC)
    os.write(fd, b"0")
    os.close(fd)
    os.close(held_fd)


def release(path: str, pid: int) -> None:
    """Let init go on, and take the FIFO away: from now on the container is running."""
    pidfd = os.pidfd_open(pid)
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        poll = select.poll()
        poll.register(fd, select.POLLIN)
        poll.register(pidfd, select.POLLIN)
        ready = {ready_fd for ready_fd, _ in poll.poll()}
        if fd not in ready or os.read(fd, 1) != b"0":
            raise OCIError("cannot start a container that has stopped")
    finally:
        os.close(fd)
        os.close(pidfd)
    os.unlink(path)
