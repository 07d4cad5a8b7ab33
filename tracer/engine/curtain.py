"""Start-up behind the curtain: background programs run at full speed until they begin to talk to each other.

A Python daemon makes 7,000 calls before its first own line, looking for modules; stopping at each doubles the time
until a waiting learner sees anything. While the curtain is down, start-up goes on under PTRACE_CONT: births, execs,
deaths and signals are recorded, calls are not. It is lifted for all of them when the first makes anything in the
folder of an awaited socket (inotify(7)): containerd, before it binds, hundreds of milliseconds before the daemon
connects to it. Every connection must be watched from its first byte, which HTTP/2 needs; waiting for the daemon's own
first deed would save more time, but leaves a millisecond, and was measured to be too late on a busy machine.

The recording says that calls were not watched, and from when on they are. Used only where the story will hold; a
recording that runs straight through watches everything.
"""

import ctypes
import fcntl
import os
from collections.abc import Iterable

from tracer.engine.bindings import checked_libc

_IN_CREATE = 0x100
_IN_MOVED_TO = 0x80
_ACCEPTING = 0x10000
"""__SO_ACCEPTCON, in the flags of /proc/net/unix."""


class Curtain:
    """Watches folders; arrivals raise SIGIO. Raises OSError where inotify is not to be had."""

    def __init__(self, folders: Iterable[str]) -> None:
        libc = checked_libc()
        self._fd = libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        if self._fd < 0:
            raise OSError(ctypes.get_errno(), "inotify_init1")
        try:
            for folder in folders:
                if libc.inotify_add_watch(self._fd, folder.encode(), _IN_CREATE | _IN_MOVED_TO) < 0:
                    raise OSError(ctypes.get_errno(), "inotify_add_watch", folder)
        except OSError:
            os.close(self._fd)
            raise
        fcntl.fcntl(self._fd, fcntl.F_SETOWN, os.getpid())
        fcntl.fcntl(self._fd, fcntl.F_SETFL, os.O_NONBLOCK | os.O_ASYNC)

    def touched(self) -> bool:
        """Whether something was made in one of the folders."""
        try:
            return bool(os.read(self._fd, 65536))
        except BlockingIOError:
            return False

    def close(self) -> None:
        """It is up."""
        os.close(self._fd)


def listening_paths() -> set[str]:
    """The paths of all unix sockets that listen, from /proc/net/unix: for those that did before we watched."""
    found: set[str] = set()
    with open("/proc/net/unix", encoding="utf-8", errors="backslashreplace") as table:
        next(table)
        for line in table:
            # Num RefCount Protocol Flags Type St Inode Path; a path may hold spaces.
            columns = line.rstrip("\n").split(maxsplit=7)
            if len(columns) == 8 and int(columns[3], 16) & _ACCEPTING:
                found.add(columns[7])
    return found
