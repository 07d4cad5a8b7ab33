"""Where nothing may be mounted: over /proc and the root, by the written path or through a link of the image.

Counterpart: runc's rootfs_linux.go `checkProcMount`. Security checks read /proc, and requests for a label are written
there: an image that can put something of its own in their place has confined itself (CVE-2019-16884, CVE-2019-19921).
"""

import os

from runtime.oci import syscalls as sc
from runtime.oci.errors import ConfigError

PROC_FILES_THAT_MAY_BE_COVERED = frozenset(
    f"/proc/{name}"
    for name in ("cpuinfo", "diskstats", "meminfo", "stat", "swaps", "uptime", "loadavg", "slabinfo", "net/dev")
)
"""What lxcfs and its like bind over; anything else under /proc could fake what security checks read."""


PROC_ROOT_INODE = 1
"""PROC_ROOT_INO of the kernel (include/linux/proc_fs.h)."""


def check(target: str, filesystem_type: str, field: str) -> None:
    """Refuse a target that would let the image fake /proc."""
    why = problem(target, filesystem_type)
    if why:
        raise ConfigError(f"{field}.destination", why)


def problem(target: str, filesystem_type: str) -> str:
    """Why nothing of this type may be mounted there; empty when it may."""
    if target == "/":
        return "must not be the root itself"
    if target == "/proc" and filesystem_type not in ("proc", "bind"):
        return f"/proc must be of type proc, not {filesystem_type}"
    if target.startswith("/proc/") and target not in PROC_FILES_THAT_MAY_BE_COVERED:
        return f'"{target}" cannot be mounted because it is inside /proc'
    return ""


def problem_of_place(target: str, place: str, type: str, source: str) -> str:
    """The same for the place that a target has turned out to be: an image's links lead where the image wants."""
    if type in ("proc", "sysfs") and place != target:
        # the image's own files would stay at /proc, for security checks to read
        return f"filesystem {type!r} must be mounted on ordinary directory: {target}"
    if place == "/proc" and type == "bind" and not _is_proc(source):
        return f'"{place}" cannot be mounted because it is not of type proc'
    head, _, tail = place.removeprefix("/proc/").partition("/")
    if place.startswith("/proc/") and head.isdigit() and tail == "net/dev":
        place = "/proc/net/dev"  # where the kernel's own link, /proc/net, leads
    return problem(place, type)


def _is_proc(source: str) -> bool:
    """Whether a directory is the root of a procfs, and not /proc/PID or the like below it."""
    return sc.statfs_type(source) == sc.PROC_SUPER_MAGIC and os.stat(source).st_ino == PROC_ROOT_INODE
