"""From a directory to the container's `/`: propagation, bind, mounts, devices, pivot_root.

Counterpart: runc's libcontainer/rootfs_linux.go `prepareRootfs`, `pivotRoot`, `finalizeRootfs`; pivot_root(2).
`prepare` works on the root as a directory below the old root; `pivot` makes it `/`; `finish` takes rights away, which
has to come last because everything before still writes.
"""

import os
import stat

from runtime.oci import in_root
from runtime.oci import syscalls as sc
from runtime.oci.errors import OCIError

PROPAGATION = {
    "": sc.MS_SLAVE | sc.MS_REC,
    "shared": sc.MS_SHARED | sc.MS_REC,
    "rshared": sc.MS_SHARED | sc.MS_REC,
    "slave": sc.MS_SLAVE | sc.MS_REC,
    "rslave": sc.MS_SLAVE | sc.MS_REC,
    "private": sc.MS_PRIVATE | sc.MS_REC,
    "rprivate": sc.MS_PRIVATE | sc.MS_REC,
    "unbindable": sc.MS_UNBINDABLE | sc.MS_REC,
}


def detach_from_host(root: str, propagation: str) -> None:
    """Stop our mounts from reaching the host, and make the root a mount of its own.

    The new mount namespace is a copy whose mounts are still *peers* of the host's: without this, everything mounted
    below would appear there. Slave lets the host's later mounts come in and none of ours go out.
    """
    sc.mount("", "/", "", PROPAGATION[propagation])
    if PROPAGATION[propagation] & sc.MS_SHARED:
        # pivot_root refuses a new root whose parent mount is shared (EINVAL)
        sc.mount("", _mount_point_above(root), "", sc.MS_PRIVATE)
    # pivot_root wants a mount point; binding the directory on itself makes it one
    sc.mount(root, root, "", sc.MS_BIND | sc.MS_REC)


def _mount_point_above(path: str) -> str:
    """The mount that a path lives on."""
    best = "/"
    with open("/proc/self/mountinfo") as file:
        for line in file:
            mount_point = line.split(" ")[4].encode().decode("unicode_escape")
            if (path + "/").startswith(mount_point.rstrip("/") + "/") and len(mount_point) > len(best):
                best = mount_point
    return best


def pivot(root: str) -> None:
    """Make root the `/` of this mount namespace and let go of the old one.

    pivot_root(".", ".") stacks the old root on the new, so no directory for it is needed in the image; detaching
    what lies at "." then leaves the new root alone.
    """
    old_root = os.open("/", os.O_DIRECTORY | os.O_RDONLY | os.O_CLOEXEC)
    new_root = os.open(root, os.O_DIRECTORY | os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fchdir(new_root)
        sc.pivot_root(".", ".")
        os.fchdir(old_root)
        # the unmount below must not travel to the host's copy of these mounts
        sc.mount("", ".", "", sc.MS_SLAVE | sc.MS_REC)
        sc.umount2(".", sc.MNT_DETACH)
    finally:
        os.close(old_root)
        os.close(new_root)
    os.chdir("/")


def move_and_chroot(root: str) -> None:
    """For a root on the initial ramfs, which pivot_root cannot leave (--no-pivot). The old root stays mounted below."""
    os.chdir(root)
    sc.mount(root, "/", "", sc.MS_MOVE)
    os.chroot(".")
    os.chdir("/")


def make_working_directory(root: str, cwd: str) -> None:
    """The directory that process.cwd names is made if the image lacks it."""
    os.close(in_root.open_or_create(root, os.path.normpath(cwd), stat.S_IFDIR))


def seal(*, readonly: bool, propagation: str, readonly_dev: bool) -> None:
    """After the last write: /dev and the root itself read-only, and the root's own propagation."""
    if readonly_dev:
        sc.mount("", "/dev", "", sc.MS_REMOUNT | sc.MS_BIND | sc.MS_RDONLY | _present_flags("/dev"))
    if propagation:
        sc.mount("", "/", "", PROPAGATION[propagation])
    if readonly:
        sc.mount("", "/", "", sc.MS_REMOUNT | sc.MS_BIND | sc.MS_RDONLY | _present_flags("/"))


def _present_flags(path: str) -> int:
    # a remount replaces all flags, and a user namespace may not drop those that are locked
    return os.statvfs(path).f_flag & (sc.MS_NOSUID | sc.MS_NODEV | sc.MS_NOEXEC | sc.MS_NOATIME | sc.MS_RDONLY)


def mask(paths: list[str]) -> None:
    """linux.maskedPaths: cover what the container shall not read; what does not exist needs no cover."""
    for path in paths:
        try:
            sc.mount("/dev/null", path, "", sc.MS_BIND)
        except FileNotFoundError:
            if os.path.lexists("/dev/null"):
                continue
            raise OCIError("linux.maskedPaths: the container has no /dev/null to cover files with") from None
        except NotADirectoryError:
            # the path is a directory (or leads through a file): cover it with an empty one that takes no writes
            if os.path.isdir(path):
                sc.mount("tmpfs", path, "tmpfs", sc.MS_RDONLY, "nr_blocks=1,nr_inodes=1")


def make_readonly(paths: list[str]) -> None:
    """linux.readonlyPaths: bind on itself, then remount read-only, as mount(2) wants it in two calls."""
    for path in paths:
        try:
            sc.mount(path, path, "", sc.MS_BIND | sc.MS_REC)
        except (FileNotFoundError, NotADirectoryError):
            continue
        sc.mount("", path, "", sc.MS_REMOUNT | sc.MS_BIND | sc.MS_RDONLY | _present_flags(path))
