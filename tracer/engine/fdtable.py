"""Which open file a descriptor is, as the tracee saw it when it made the call.

/proc/PID/fd/N is asked once for each descriptor and remembered per process; what is remembered is dropped by the
calls that change the table: close, dup2, dup3, close_range, fcntl, whatever returns a new descriptor, and execve
(close-on-exec). Asking at every call would cost 10 to 14 % of all time, remembering costs 0 to 8.

A child begins with nothing remembered, and asks again: cheaper than being wrong. Descriptors that come by SCM_RIGHTS
have numbers that were free, and therefore nothing remembered either. Tasks that share one table without being threads
of one process (CLONE_FILES) share what is remembered.

Of a process that stops only at some calls nothing is remembered: asking again costs 2 us, watching every close 10.
"""

import os
import stat
from dataclasses import dataclass

from tracer.engine.bindings import PTRACE_SYSCALL
from tracer.engine.capture import FILE_READ_LIMIT, FILE_WRITE_LIMIT, STREAM_LIMIT
from tracer.engine.plans import Effect
from tracer.engine.sockets import SocketTable, inode_of, unix_path
from tracer.engine.tracee import Arguments, Process, link_of, text

AT_FDCWD = -100
_CLOSE_RANGE_CLOEXEC = 4
_F_DUPFD = 0
_F_DUPFD_CLOEXEC = 1030
_AF_UNIX = 1
_OPENING = """
    open openat openat2 creat dup epoll_create epoll_create1 eventfd eventfd2 memfd_create open_tree fsopen
    fsmount fspick pidfd_open pidfd_getfd timerfd_create signalfd signalfd4 inotify_init inotify_init1
    userfaultfd perf_event_open io_uring_setup fanotify_init open_by_handle_at seccomp bpf mq_open
"""
"""Calls whose result is a new descriptor."""
_RENAMING = "rename renameat renameat2 unlink unlinkat rmdir umount2 move_mount"
"""Calls after which an open file may have another path."""
_STREAM_PREFIXES = ("/dev/pts/", "/dev/tty", "/dev/ptmx", "/dev/console")
_PLAIN_PREFIXES = ("/usr/", "/lib", "/proc/", "/sys/", "/etc/")
"""Where no FIFO is looked for, which saves a stat(2) for every library that is loaded."""


@dataclass(frozen=True, slots=True)
class OpenFile:
    """What a descriptor refers to."""

    name: str
    read_limit: int
    """How many bytes of one read are captured."""
    write_limit: int


NOTHING = OpenFile("", FILE_READ_LIMIT, FILE_WRITE_LIMIT)


class FdTable:
    """Answers for all processes; what is remembered of each is kept in `Process.fds`."""

    def __init__(self) -> None:
        self.sockets = SocketTable()

    def lookup(self, process: Process, fd: int) -> OpenFile:
        """What `fd` refers to now, as the raw 64-bit argument of a call."""
        number = fd & 0xFFFFFFFF
        if number >= 0x80000000:
            return working_directory(process) if number - (1 << 32) == AT_FDCWD else NOTHING
        found = process.fds.get(number)
        return found if found is not None else self._ask(process, number)

    def _ask(self, process: Process, fd: int) -> OpenFile:
        path = f"/proc/{process.pid}/fd/{fd}"
        try:
            name = text(os.readlink(path.encode()))
        except OSError:
            return NOTHING  # closed meanwhile, or never open: EBADF is what the call will say
        final = True
        if name.startswith("socket:["):
            name, final = self.sockets.name(int(name[8:-1]))
            stream = True
        elif name.startswith("/"):
            stream = name.startswith(_STREAM_PREFIXES) or (not name.startswith(_PLAIN_PREFIXES) and _is_fifo(path))
        else:
            stream = name.startswith("pipe:[")
        found = (
            OpenFile(name, STREAM_LIMIT, STREAM_LIMIT) if stream else OpenFile(name, FILE_READ_LIMIT, FILE_WRITE_LIMIT)
        )
        if final and process.request == PTRACE_SYSCALL:
            process.fds[fd] = found
        return found

    # What calls do to the table; each is called after the call has returned.

    def effects(self) -> dict[str, Effect]:
        """What is to be told here of each call."""
        effects: dict[str, Effect] = {
            "close": self.closed,
            "close_range": self.range_closed,
            "fcntl": self.fcntl_returned,
        }
        effects |= dict.fromkeys(("dup2", "dup3"), self.replaced)
        effects |= dict.fromkeys(_RENAMING.split(), self.renamed)
        effects |= dict.fromkeys(_OPENING.split(), self.opened)
        return effects | self.lasting_effects()

    def lasting_effects(self) -> dict[str, Effect]:
        """Those of them that are needed even where no descriptor is remembered."""
        effects: dict[str, Effect] = {
            "socket": self.socket_created,
            "socketpair": self.socket_pair_created,
            "bind": self.socket_bound,
        }
        effects |= dict.fromkeys(("connect", "listen"), self.socket_connected)
        effects |= dict.fromkeys(("accept", "accept4"), self.socket_accepted)
        effects |= dict.fromkeys(("chdir", "fchdir", "chroot", "pivot_root", "setns", "unshare"), self.moved)
        return effects

    def closed(self, process: Process, arguments: Arguments, result: int) -> None:
        """close(2): the number is free even where it says EINTR or EIO."""
        process.fds.pop(arguments[0] & 0xFFFFFFFF, None)

    def replaced(self, process: Process, arguments: Arguments, result: int) -> None:
        """dup2, dup3: the second argument is now something else."""
        process.fds.pop(arguments[1] & 0xFFFFFFFF, None)

    def opened(self, process: Process, arguments: Arguments, result: int) -> None:
        """The result is a new descriptor: whatever was remembered under its number is out of date."""
        process.fds.pop(result, None)

    def range_closed(self, process: Process, arguments: Arguments, result: int) -> None:
        """close_range(2)."""
        if result == 0 and not arguments[2] & _CLOSE_RANGE_CLOEXEC:
            for fd in [fd for fd in process.fds if arguments[0] <= fd <= arguments[1] & 0xFFFFFFFF]:
                del process.fds[fd]

    def fcntl_returned(self, process: Process, arguments: Arguments, result: int) -> None:
        """fcntl(2) duplicates descriptors among much else."""
        if arguments[1] in (_F_DUPFD, _F_DUPFD_CLOEXEC):
            process.fds.pop(result, None)

    def moved(self, process: Process, arguments: Arguments, result: int) -> None:
        """chdir, fchdir, chroot, setns, unshare: `AT_FDCWD` may mean another directory."""
        process.cwd = None
        process.fds.clear()

    def renamed(self, process: Process, arguments: Arguments, result: int) -> None:
        """rename, unlink, umount2, ...: open files keep their numbers, but not their paths."""
        if result == 0:
            process.fds.clear()
            process.cwd = None

    def socket_created(self, process: Process, arguments: Arguments, result: int) -> None:
        """socket(2)."""
        if result >= 0:
            process.fds.pop(result, None)
            self.sockets.created(inode_of(process.pid, result), arguments[0], arguments[2] & 0xFFFFFFFF)

    def socket_pair_created(self, process: Process, arguments: Arguments, result: int) -> None:
        """socketpair(2)."""
        pair = process.memory.read(arguments[3], 8) if result == 0 else None
        for fd in (pair[:4], pair[4:]) if pair and len(pair) == 8 else ():
            number = int.from_bytes(fd, "little")
            process.fds.pop(number, None)
            self.sockets.created(inode_of(process.pid, number), arguments[0])

    def socket_bound(self, process: Process, arguments: Arguments, result: int) -> None:
        """bind(2): from here on the socket has a name."""
        if result == 0:
            address = process.memory.read(arguments[1], min(arguments[2] & 0xFFFFFFFF, 128)) or b""
            process.fds.pop(arguments[0], None)
            if int.from_bytes(address[:2], "little") == _AF_UNIX and len(address) > 2:
                self.sockets.bound(inode_of(process.pid, arguments[0]), unix_path(address[2:]))

    def socket_connected(self, process: Process, arguments: Arguments, result: int) -> None:
        """connect(2), or listen(2): what was remembered had no peer yet."""
        process.fds.pop(arguments[0], None)

    def socket_accepted(self, process: Process, arguments: Arguments, result: int) -> None:
        """accept(2): both ends are known from here on, so ask before one of them closes."""
        if result >= 0:
            process.fds.pop(result, None)
            listener = inode_of(process.pid, arguments[0] & 0x7FFFFFFF)
            self.sockets.created(inode_of(process.pid, result), self.sockets.family(listener))
            self.lookup(process, result)

    def listening_path(self, process: Process, fd: int) -> str:
        """listen(2) succeeded: the path that the socket is bound to, empty where it has none."""
        return self.sockets.listens(inode_of(process.pid, fd & 0x7FFFFFFF))


def working_directory(process: Process) -> OpenFile:
    """What AT_FDCWD refers to."""
    if process.cwd is None or process.shares_cwd:
        process.cwd = OpenFile(link_of(process.pid, "cwd"), FILE_READ_LIMIT, FILE_WRITE_LIMIT)
    return process.cwd


def _is_fifo(path: str) -> bool:
    try:
        return stat.S_ISFIFO(os.stat(path).st_mode)
    except OSError:
        return False
