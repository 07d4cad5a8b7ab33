"""Read single files of a container's root without mounting it, through the layers of its snapshot.

dockerd reads /etc/passwd out of the mounted root. Here the daemon never mounts: the shim does, in its own process. But
the mounts that containerd's snapshotter gave say where the layers lie (`lowerdir=`, `upperdir=`, or one directory to
bind), and overlayfs's rules are few: the upper layer wins, a character device 0/0 hides a name, an opaque directory
hides all below it (kernel: filesystems/overlayfs.rst). Symbolic links are followed inside of the root only.
"""

import os
import stat
from dataclasses import dataclass

_LINK_LIMIT = 40  # path_resolution(7): more is ELOOP
_OPAQUE = ("trusted.overlay.opaque", "user.overlay.opaque")


@dataclass(frozen=True)
class SnapshotMount:
    """One mount as a snapshotter gives it (containerd.types.Mount)."""

    type: str
    source: str
    options: tuple[str, ...]


class RootfsFiles:
    """The files of a root that consists of layers, the upper one first."""

    def __init__(self, mounts: list[SnapshotMount]) -> None:
        self._layers = layers_of(mounts)

    def read(self, path: str) -> bytes | None:
        """A file's content; None when it is not there or is no regular file."""
        inside = self.resolve(path)
        found = None if inside is None else self.locate(inside)
        if found is None or not stat.S_ISREG(os.lstat(found).st_mode):
            return None
        with open(found, "rb") as file:
            return file.read()

    def locate(self, path: str) -> str | None:
        """Where the file of that name is kept, links not followed; None when there is none."""
        return self._locate([part for part in path.split("/") if part])

    def names(self, path: str) -> set[str]:
        """What a directory holds, all layers together."""
        found: set[str] = set()
        for layer in self._layers:
            if os.path.isdir(f"{layer}/{path}"):
                found.update(os.listdir(f"{layer}/{path}"))
        return {name for name in found if self.locate(f"{path}/{name}") is not None}

    def resolve(self, path: str) -> str | None:
        """The path with every link followed inside of the root; None when it leads nowhere."""
        waiting = [part for part in path.split("/") if part]
        done: list[str] = []
        for _ in range(_LINK_LIMIT + len(waiting) * 2):
            if not waiting:
                return "/" + "/".join(done)
            part = waiting.pop(0)
            if part == "..":
                done = done[:-1]
                continue
            if part == ".":
                continue
            here = self._locate([*done, part])
            if here is None:
                return None
            if os.path.islink(here):
                target = os.readlink(here)
                done = [] if target.startswith("/") else done
                waiting = [piece for piece in target.split("/") if piece] + waiting
            else:
                done.append(part)
        return None

    def _locate(self, parts: list[str]) -> str | None:
        """Where the uppermost layer that has the name keeps it. No part but the last may be a link."""
        for layer in self._layers:
            path = layer
            hidden = False
            for part in parts:
                path = os.path.join(path, part)
                try:
                    status = os.lstat(path)
                except (FileNotFoundError, NotADirectoryError):
                    break
                if is_whiteout(status):
                    return None
                hidden = hidden or (stat.S_ISDIR(status.st_mode) and is_opaque(path))
            else:
                return path
            if hidden:
                return None
        return None


def layers_of(mounts: list[SnapshotMount]) -> list[str]:
    """The directories of a root, the uppermost first."""
    if not mounts:
        return []
    mount = mounts[0]
    if mount.type != "overlay":
        return [mount.source]
    options = dict(option.partition("=")[::2] for option in mount.options)
    upper = [options["upperdir"]] if "upperdir" in options else []
    return upper + options.get("lowerdir", "").split(":")


def is_whiteout(status: os.stat_result) -> bool:
    """Whether a file says that its name is deleted."""
    return stat.S_ISCHR(status.st_mode) and status.st_rdev == 0


def is_opaque(path: str) -> bool:
    """Whether a directory hides all that lies below it."""
    for name in _OPAQUE:
        try:
            if os.getxattr(path, name) == b"y":
                return True
        except OSError:
            continue
    return False
