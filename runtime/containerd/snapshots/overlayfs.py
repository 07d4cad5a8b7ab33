"""The overlayfs snapshotter: each snapshot holds only what differs from its parents; the kernel shows the sum.

Real counterpart: containerd `snapshots/overlay/overlay.go`; Documentation/filesystems/overlayfs.rst.

    ROOT/io.containerd.snapshotter.v1.overlayfs/snapshots/N/fs      this layer's files (upperdir while active)
                                                           /work    overlayfs's scratch directory, while active

The first layer has nothing below it, and overlay wants at least one lower directory: it is a bind mount.
"""

import os

from runtime.api.containerd.snapshots_pb2 import ACTIVE, VIEW
from runtime.api.containerd.types_pb2 import Mount
from runtime.containerd import mounts


class Overlayfs:
    """Layers side by side."""

    name = "overlayfs"

    def __init__(self, root: str) -> None:
        self._root = root
        self._fixed_options: list[str] | None = None

    async def make(self, directory: str, parents: tuple[str, ...], kind: int) -> None:
        os.mkdir(directory, 0o700)
        upper = os.path.join(directory, "fs")
        os.mkdir(upper, 0o755)
        if kind == ACTIVE:
            os.mkdir(os.path.join(directory, "work"), 0o711)
        if parents:
            # The root directory of the merged tree is the upper one: it must look like the image's, not like a fresh
            # one.
            below = os.stat(os.path.join(parents[0], "fs"))
            os.chown(upper, below.st_uid, below.st_gid)
            os.chmod(upper, below.st_mode & 0o7777)

    def mounts(self, directory: str, parents: tuple[str, ...], kind: int) -> list[Mount]:
        if not parents:
            access = "ro" if kind == VIEW else "rw"
            return [Mount(type="bind", source=os.path.join(directory, "fs"), options=[access, "rbind"])]
        lower = [os.path.join(parent, "fs") for parent in parents]
        options = list(self._options())
        if kind == ACTIVE:
            options += [f"workdir={directory}/work", f"upperdir={directory}/fs"]
        elif len(lower) == 1:
            return [Mount(type="bind", source=lower[0], options=["ro", "rbind"])]
        options.append(f"lowerdir={':'.join(lower)}")
        return [Mount(type="overlay", source="overlay", options=options)]

    def contents(self, directory: str) -> str:
        return os.path.join(directory, "fs")

    def problem(self) -> str:
        return mounts.overlay_problem(self._root)

    def _options(self) -> list[str]:
        if self._fixed_options is None:
            self._fixed_options = []
            # With the index on, the kernel refuses (EBUSY) to mount a lower directory that another mount has as upper.
            if os.path.exists("/sys/module/overlay/parameters/index"):
                self._fixed_options.append("index=off")
            # Inside a user namespace overlayfs may not write trusted.* attributes (Linux 5.11 has user.* for that).
            if mounts.in_user_namespace():
                self._fixed_options.append("userxattr")
        return self._fixed_options
