"""The system calls that Python has no words for: prctl, mount, umount2, inotify.

Names and argument order are the kernel's (man 2 prctl, mount, umount, inotify_add_watch); every failure is an OSError
with its errno.
"""

import ctypes
import os

PR_SET_CHILD_SUBREAPER = 36
MNT_DETACH = 2
UMOUNT_NOFOLLOW = 8
IN_ATTRIB = 0x4
IN_OPEN = 0x20
IN_MOVED_TO = 0x80
IN_CREATE = 0x100

_libc = ctypes.CDLL(None, use_errno=True)
_libc.prctl.argtypes = [ctypes.c_int] + [ctypes.c_ulong] * 4
_libc.mount.argtypes = [ctypes.c_char_p, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_ulong, ctypes.c_char_p]
_libc.umount2.argtypes = [ctypes.c_char_p, ctypes.c_int]
_libc.inotify_init1.argtypes = [ctypes.c_int]
_libc.inotify_add_watch.argtypes = [ctypes.c_int, ctypes.c_char_p, ctypes.c_uint32]


def _checked(result: int, path: str | None = None) -> int:
    if result < 0:
        errno = ctypes.get_errno()
        raise OSError(errno, os.strerror(errno), path)
    return result


def set_child_subreaper() -> None:
    """Adopt orphaned descendants from now on (not inherited by fork, dropped by nobody)."""
    _checked(_libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0))


def mount(source: str, target: str, filesystemtype: str, mountflags: int, data: str) -> None:
    """Attach a filesystem at `target`."""
    _checked(
        _libc.mount(
            os.fsencode(source), os.fsencode(target), filesystemtype.encode(), mountflags, data.encode() or None
        ),
        target,
    )


def umount2(target: str, flags: int) -> None:
    """Detach the topmost mount at `target`."""
    _checked(_libc.umount2(os.fsencode(target), flags), target)


def inotify_init() -> int:
    """Open an inotify instance that does not block."""
    return _checked(_libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC))


def inotify_add_watch(fd: int, path: str, mask: int) -> int:
    """Ask for events about `path`."""
    return _checked(_libc.inotify_add_watch(fd, os.fsencode(path), mask), path)
