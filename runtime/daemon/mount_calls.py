"""mount(2) and umount2(2), by their kernel names and flags. All raise OSError."""

import ctypes
import errno
import os

MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC = 1, 2, 4, 8
MS_BIND, MS_REC, MS_PRIVATE = 4096, 16384, 1 << 18
_MNT_DETACH = 2

_libc = ctypes.CDLL(None, use_errno=True)


def mount(source: str, target: str, kind: str, flags: int, data: str) -> None:
    """Mount; an empty word is no word."""
    words = [os.fsencode(word) or None for word in (source, target, kind)]
    checked(target, _libc.mount(*words, ctypes.c_ulong(flags), os.fsencode(data) or None))


def unmount(target: str) -> None:
    """Unmount, though it be in use; where nothing is mounted there is nothing to do."""
    try:
        checked(target, _libc.umount2(os.fsencode(target), _MNT_DETACH))
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise


def checked(what: str, result: int) -> int:
    """A system call's result, unless it failed."""
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), what)
    return int(result)
