"""Mounts what a snapshotter prepared onto BUNDLE/rootfs, and takes it off again.

Real counterpart: containerd mount/mount_linux.go; mount(2), umount2(2). A snapshotter does not mount: it returns words
(type, source, options), and the shim makes them true, because it is the shim whose life is tied to the container's.
dockerd sends no mounts: it has mounted the filesystem itself and put an absolute root.path into config.json.

Left out on purpose: the chdir trick for overlay options longer than a page (many layers), and loop devices.
"""

import errno
import os
from collections.abc import Iterable
from typing import NamedTuple

from runtime.shim import kernel

MS_RDONLY = 1
MS_NOSUID = 2
MS_NODEV = 4
MS_NOEXEC = 8
MS_SYNCHRONOUS = 16
MS_REMOUNT = 32
MS_DIRSYNC = 128
MS_NOATIME = 1024
MS_NODIRATIME = 2048
MS_BIND = 4096
MS_REC = 16384
MS_RELATIME = 1 << 21
MS_STRICTATIME = 1 << 24

FLAGS = {
    "ro": MS_RDONLY,
    "rw": 0,
    "nosuid": MS_NOSUID,
    "nodev": MS_NODEV,
    "noexec": MS_NOEXEC,
    "sync": MS_SYNCHRONOUS,
    "dirsync": MS_DIRSYNC,
    "noatime": MS_NOATIME,
    "nodiratime": MS_NODIRATIME,
    "relatime": MS_RELATIME,
    "strictatime": MS_STRICTATIME,
    "bind": MS_BIND,
    "rbind": MS_BIND | MS_REC,
    "defaults": 0,
}


class Mount(NamedTuple):
    """One mount as a snapshotter words it."""

    type: str
    source: str
    options: tuple[str, ...]


def plan(mount: Mount) -> list[tuple[int, str]]:
    """Return the (flags, data) of the mount(2) calls that make this mount.

    A read-only bind takes two: the kernel ignores MS_RDONLY when it binds, and obeys it when it remounts.
    """
    flags, data = 0, []
    for option in mount.options:
        if option in FLAGS:
            flags |= FLAGS[option]
        else:
            data.append(option)
    calls = [(flags, ",".join(data))]
    if flags & MS_BIND and flags & MS_RDONLY:
        calls.append((flags | MS_REMOUNT, ",".join(data)))
    return calls


def mount_all(mounts: Iterable[Mount], target: str) -> None:
    """Mount one over the other on `target`, in the order given; on failure take off what was done."""
    done = False
    try:
        for mount in mounts:
            if not done:
                os.makedirs(target, 0o711, exist_ok=True)
            for flags, data in plan(mount):
                kernel.mount(mount.source, target, mount.type, flags, data)
                done = True
    except OSError:
        if done:
            unmount_all(target)
        raise


def unmount_all(target: str) -> None:
    """Take every mount off `target`; one that is busy is detached now and goes when its last user does."""
    while True:
        try:
            kernel.umount2(target, kernel.UMOUNT_NOFOLLOW | kernel.MNT_DETACH)
        except OSError as reason:
            # EINVAL: not, or no longer, a mount point
            if reason.errno in (errno.EINVAL, errno.ENOENT):
                return
            raise
