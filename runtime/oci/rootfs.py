"""From a directory to the container's `/`: propagation, bind, mounts, devices, pivot_root.

Counterpart: runc's libcontainer/rootfs_linux.go `prepareRootfs`, `pivotRoot`, `finalizeRootfs`; pivot_root(2).
First the root is a directory below the old root; `pivot` makes it `/`; `seal` and what follows it take rights away,
which has to come last because everything before still writes.
"""

import os
import stat

from runtime.oci import in_root, null_device
from runtime.oci import syscalls as sc
from runtime.oci.errors import OCIError, reason

PROPAGATION = {
    "": sc.MS_SLAVE | sc.MS_REC,
    "shared": sc.MS_SHARED | sc.MS_REC,
    "rshared": sc.MS_SHARED | sc.MS_REC,
    "slave": sc.MS_SLAVE | sc.MS_REC,
    "rslave": sc.MS_SLAVE | sc.MS_REC,
    "private": sc.MS_PRIVATE | sc.MS_REC,
    "rprivate": sc.MS_PRIVATE | sc.MS_REC,
    # while the root is being made it has to be bound itself: unbindable only in the end
    "unbindable": sc.MS_SLAVE | sc.MS_REC,
}
"""What linux.rootfsPropagation means for the mounts that the new mount namespace starts with."""


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
    try:
        os.close(in_root.open_or_create(root, os.path.normpath(cwd), stat.S_IFDIR))
    except OSError as error:
        raise OCIError(f'process.cwd: cannot make "{cwd}": {reason(error)}') from None


def seal(*, readonly: bool, readonly_dev: bool) -> None:
    """After the last write: /dev and the root itself read-only."""
    if readonly_dev:
        sc.mount("", "/dev", "", sc.MS_REMOUNT | sc.MS_BIND | sc.MS_RDONLY | _present_flags("/dev"))
    if readonly:
        sc.mount("", "/", "", sc.MS_REMOUNT | sc.MS_BIND | sc.MS_RDONLY | _present_flags("/"))


def set_propagation(propagation: str) -> None:
    """The root's own propagation, after the last bind mount: what is unbindable cannot be bound (EINVAL)."""
    if propagation:
        # the root alone, for each mount below has what its own options ask for
        unbindable = propagation == "unbindable"
        sc.mount("", "/", "", sc.MS_UNBINDABLE if unbindable else PROPAGATION[propagation] & ~sc.MS_REC)


def _present_flags(path: str) -> int:
    # a remount replaces all flags, and a user namespace may not drop those that are locked
    return os.statvfs(path).f_flag & (sc.MS_NOSUID | sc.MS_NODEV | sc.MS_NOEXEC | sc.MS_NOATIME | sc.MS_RDONLY)


def mask(paths: list[str]) -> None:
    """linux.maskedPaths: cover what the container shall not read; what does not exist needs no cover."""
    for path in paths:
        try:
            is_directory = stat.S_ISDIR(os.stat(path).st_mode)
        except (FileNotFoundError, NotADirectoryError):
            continue
        if is_directory:
            # an empty one that takes no writes
            sc.mount("tmpfs", path, "tmpfs", sc.MS_RDONLY, "nr_blocks=1,nr_inodes=1")
        else:
            _cover_with_null(path)


def _cover_with_null(path: str) -> None:
    """What is looked at is what is mounted: with mount(2), /dev/null could become another file in between."""
    try:
        tree_fd = sc.open_tree(sc.AT_FDCWD, "/dev/null", sc.OPEN_TREE_CLONE | sc.OPEN_TREE_CLOEXEC)
    except FileNotFoundError:
        raise OCIError("linux.maskedPaths: the container has no /dev/null to cover files with") from None
    try:
        null_device.check(tree_fd)
        sc.move_mount(tree_fd, "", sc.AT_FDCWD, path, sc.MOVE_MOUNT_F_EMPTY_PATH | sc.MOVE_MOUNT_T_SYMLINKS)
    finally:
        os.close(tree_fd)


def make_readonly(paths: list[str]) -> None:
    """linux.readonlyPaths: bind on itself, then remount read-only, as mount(2) wants it in two calls."""
    for path in paths:
        try:
            sc.mount(path, path, "", sc.MS_BIND | sc.MS_REC)
        except (FileNotFoundError, NotADirectoryError):
            continue
        sc.mount("", path, "", sc.MS_REMOUNT | sc.MS_BIND | sc.MS_RDONLY | _present_flags(path))
