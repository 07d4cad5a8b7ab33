"""`docker diff`: what a container has changed, added and deleted (moby: pkg/archive/changes.go, changes_linux.go).

An overlay's upper directory holds exactly what differs: new files, copies of changed ones, whiteouts (character device
0/0) for deleted ones, and directories on the way to all these (kernel: filesystems/overlayfs.rst). What dockerd's own
init layer would have held, places for mounts, is not counted as the container's doing.
"""

import os
import stat
from collections.abc import Iterator
from enum import IntEnum
from typing import NamedTuple

from runtime.daemon.errors import NotModeledError
from runtime.daemon.rootfs_files import RootfsFiles, SnapshotMount, is_opaque, is_whiteout, layers_of

_MOUNT_PLACES = frozenset(
    "/.dockerenv /dev /dev/console /dev/pts /dev/shm /proc /sys /etc /etc/hostname /etc/hosts /etc/resolv.conf".split()
)


class Kind(IntEnum):
    """The API's numbers."""

    MODIFIED = 0
    ADDED = 1
    DELETED = 2


class Change(NamedTuple):
    """One path of the container."""

    path: str
    kind: Kind


def changes(mounts: list[SnapshotMount]) -> list[Change]:
    """Every change, sorted by path. Raises NotModeledError where the layers are not an overlay's."""
    if not mounts or mounts[0].type != "overlay":
        raise NotModeledError("docker diff: reads the upper directory of an overlay, and this snapshotter has none")
    options = tuple(option for option in mounts[0].options if not option.startswith("upperdir="))
    image = RootfsFiles([SnapshotMount("overlay", "overlay", options)])
    return sorted(_below(layers_of(mounts)[0], "", image))


def _below(upper: str, path: str, image: RootfsFiles) -> Iterator[Change]:
    names = os.listdir(upper + path)
    for name in names:
        child = f"{path}/{name}"
        status = os.lstat(upper + child)
        before = image.locate(child)
        if is_whiteout(status):
            if before is not None:
                yield Change(child, Kind.DELETED)
            continue
        inside = list(_below(upper, child, image)) if stat.S_ISDIR(status.st_mode) else []
        if before is None:
            is_place = child in _MOUNT_PLACES and (stat.S_ISDIR(status.st_mode) or not status.st_size)
            if inside or not is_place:
                yield Change(child, Kind.MODIFIED if is_place else Kind.ADDED)
        elif inside or _differs(status, os.lstat(before)):
            yield Change(child, Kind.MODIFIED)
        yield from inside
    if is_opaque(upper + path):
        yield from (Change(f"{path}/{name}", Kind.DELETED) for name in image.names(path) if name not in names)


def _differs(now: os.stat_result, before: os.stat_result) -> bool:
    """Whether a file's copy in the upper directory is another file by now; a directory's time and size say nothing."""

    def facts(status: os.stat_result) -> tuple[int, ...]:
        seen = (status.st_mode, status.st_uid, status.st_gid, status.st_rdev)
        return seen if stat.S_ISDIR(status.st_mode) else (*seen, status.st_size, status.st_mtime_ns)

    return facts(now) != facts(before)
