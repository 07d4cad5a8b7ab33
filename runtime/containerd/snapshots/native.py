"""The native snapshotter: each snapshot is a whole copy of its parent. Slow and large, and works on any file system.

Real counterpart: containerd `snapshots/native/native.go`.
"""

import os

from runtime.api.containerd.snapshots_pb2 import VIEW
from runtime.api.containerd.types_pb2 import Mount
from runtime.containerd.snapshots.trees import copy_tree


class Native:
    """Layers as full copies."""

    name = "native"

    async def make(self, directory: str, parents: tuple[str, ...], kind: int) -> None:
        # A view is not written to, so the parent's own directory can be shown.
        if parents and kind != VIEW:
            await copy_tree(parents[0], directory)
        else:
            os.mkdir(directory, 0o755)

    def mounts(self, directory: str, parents: tuple[str, ...], kind: int) -> list[Mount]:
        view = kind == VIEW
        source = parents[0] if view and parents else directory
        return [Mount(type="bind", source=source, options=["rbind", "ro" if view else "rw"])]

    def contents(self, directory: str) -> str:
        return directory

    def problem(self) -> str:
        return ""
