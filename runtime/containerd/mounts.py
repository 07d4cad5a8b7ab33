"""mount(2) and umount2(2), as far as containerd itself needs them.

Real counterpart: containerd `mount/mount_linux.go`. Most mounts of a container are made by others (the shim mounts
the snapshot, the OCI runtime the rest). containerd mounts only to try whether overlay works here, and unmounts what a
dead shim has left on a bundle's rootfs.
"""

import ctypes
import errno
import functools
import os
import tempfile

MNT_DETACH = 2
UMOUNT_NOFOLLOW = 8


@functools.cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def mount(source: str, target: str, kind: str, options: str) -> None:
    """Mount a file system, without flags."""
    if _libc().mount(os.fsencode(source), os.fsencode(target), kind.encode(), 0, os.fsencode(options)) < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), target)


def unmount_all(target: str) -> None:
    """Detach whatever is mounted on the target, layer by layer, until nothing is."""
    while True:
        if _libc().umount2(os.fsencode(target), MNT_DETACH | UMOUNT_NOFOLLOW) < 0:
            code = ctypes.get_errno()
            # EINVAL is "not a mount point", ENOENT "not there", EPERM an unprivileged caller who cannot have mounted
            # there.
            if code in (errno.EINVAL, errno.ENOENT, errno.EPERM):
                return
            raise OSError(code, os.strerror(code), target)


def overlay_problem(directory: str) -> str:
    """Try a writable overlay of two layers under the directory; return why it cannot be used, or an empty string.

    containerd tries a read-only one, and so learns only with the first container that a file system takes no upper
    directory (another overlay does not).
    """
    with tempfile.TemporaryDirectory(prefix=".overlay-check-", dir=directory) as trial:
        for name in ("lower1", "lower2", "upper", "work", "merged"):
            os.mkdir(os.path.join(trial, name))
        # lowerdir takes ":" as a separator and "," ends an option: such a root cannot be given to overlay at all.
        if ":" in trial or "," in trial:
            return f"overlay cannot be used below {directory}: its name holds a colon or a comma"
        merged = os.path.join(trial, "merged")
        options = f"lowerdir={trial}/lower2:{trial}/lower1,upperdir={trial}/upper,workdir={trial}/work"
        try:
            mount("overlay", merged, "overlay", options + (",userxattr" if in_user_namespace() else ""))
        except OSError as error:
            return f"overlay cannot be mounted below {directory}: {(error.strerror or '').lower()}"
        unmount_all(merged)
    return ""


@functools.cache
def in_user_namespace() -> bool:
    """Say whether ids here are mapped: user_namespaces(7); the first namespace's uid_map is `0 0 4294967295`."""
    with open("/proc/self/uid_map", encoding="ascii") as file:
        return file.read().split() != ["0", "0", "4294967295"]
