"""Whether later mounts travel between the host and a bind: `-v A:B:rslave` and its kin (moby: daemon/oci_linux.go).

A mount that is shared hands what is mounted on it to its peers and slaves. So a bind can only be what its source
allows, and only if the container's root has not been cut off from the host's: mount_namespaces(7).
"""

import os
from collections.abc import Iterable
from typing import NamedTuple

from runtime.daemon.errors import ServerError
from runtime.daemon.mount_calls import place_of
from runtime.daemon.mount_points import MountPoint

_SHARED, _SLAVE = ("shared", "rshared"), ("slave", "rslave")


def of_root(points: Iterable[MountPoint]) -> str:
    """`linux.rootfsPropagation` of config.json: as open as the most open of the binds needs it; empty for no need."""
    modes = {point.propagation for point in points}
    return "shared" if modes & {*_SHARED} else "rslave" if modes & {*_SLAVE} else ""


def verify(points: Iterable[MountPoint], mountinfo: Iterable[str]) -> None:
    """Refuse a bind whose source cannot hand on what the bind is to see.

    Args:
        points: all mounts of a container.
        mountinfo: the lines of proc_pid_mountinfo(5).

    Raises:
        ServerError: naming the bind's source, and the mount that it lies on.

    """
    asked = [point for point in points if point.propagation in (*_SHARED, *_SLAVE)]
    mounts = [_parse(line) for line in mountinfo]
    for point in asked:
        path = os.path.realpath(point.source)
        # The longest mount point that the path begins with; of several on one place the last one covers the others.
        places = [mount.place for mount in mounts if _is_below(path, mount.place)]
        place = max(places, key=len, default="/")
        on = next((mount for mount in reversed(mounts) if mount.place == place), _Mount("/", False, False))
        if point.propagation in _SHARED and not on.shared:
            raise ServerError(f"path {point.source} is mounted on {on.place} but it is not a shared mount")
        if not (on.shared or on.slave):
            raise ServerError(f"path {point.source} is mounted on {on.place} but it is not a shared or slave mount")


class _Mount(NamedTuple):
    place: str
    shared: bool
    slave: bool


def _parse(line: str) -> _Mount:
    words = line.split(" ")
    peers = words[6 : words.index("-")]
    return _Mount(
        place=place_of(line),
        shared=any(peer.startswith("shared:") for peer in peers),
        slave=any(peer.startswith("master:") for peer in peers),
    )


def _is_below(path: str, place: str) -> bool:
    return path == place or path.startswith(f"{place.rstrip('/')}/")
