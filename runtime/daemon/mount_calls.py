"""mount(2) and umount2(2), by their kernel names and flags. All raise OSError."""

import ctypes
import errno
import os

MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC = 1, 2, 4, 8
MS_SYNCHRONOUS, MS_REMOUNT, MS_MANDLOCK, MS_DIRSYNC, MS_NOATIME, MS_NODIRATIME = 16, 32, 64, 128, 1024, 2048
MS_BIND, MS_REC = 4096, 16384
MS_UNBINDABLE, MS_PRIVATE, MS_SLAVE, MS_SHARED = 1 << 17, 1 << 18, 1 << 19, 1 << 20
MS_RELATIME, MS_STRICTATIME = 1 << 21, 1 << 24
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


def is_mounted(directory: str) -> bool:
    """Whether something is mounted there: os.path.ismount does not see a bind from the same file system."""
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as file:
        return any(place_of(line) == directory for line in file)


def place_of(line: str) -> str:
    """The mount point in a line of proc_pid_mountinfo(5), where a blank is written in octal."""
    return line.split(" ", 5)[4].encode("latin-1", "backslashreplace").decode("unicode_escape")


def checked(what: str, result: int) -> int:
    """A system call's result, unless it failed."""
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), what)
    return int(result)
