"""/dev/null as a file that may be trusted: the container's, but only if it is the null device.

Counterpart: runc's `verifyDevNull` and `reOpenDevNull` (libcontainer/init_linux.go).
"""

import os
import stat

from runtime.oci.errors import OCIError


def check(fd: int) -> None:
    """Refuse what is not the null device: masks, and streams, would show whatever an image has put in its place.

    A link to /proc/version would unmask every masked file (CVE-2025-31133).
    """
    if not _is_null(os.fstat(fd)):
        raise OCIError("the container's /dev/null is not the null device (character device 1:3)")


def _is_null(status: os.stat_result) -> bool:
    return stat.S_ISCHR(status.st_mode) and status.st_rdev == os.makedev(1, 3)


def reopen_null() -> None:
    """Give up standard streams that are the *host's* /dev/null: through its fd a host mount would stay reachable."""
    for fd in (0, 1, 2):
        try:
            status = os.fstat(fd)
        except OSError:
            continue
        if _is_null(status):
            null_fd = os.open("/dev/null", os.O_RDWR | os.O_CLOEXEC)
            check(null_fd)
            os.dup2(null_fd, fd, inheritable=True)
            os.close(null_fd)
