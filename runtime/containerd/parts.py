"""The parts of containerd and how they hang together; each is made when it is first needed.

Real counterpart: containerd's plugin graph (`plugin/plugin.go`, `services/server/server.go`), where each part names
the parts that it requires. Made late, because a process that has only started should be listening, not importing:
protobuf messages and their modules are 60 of the 180 ms that loading everything takes, and nobody has asked for
anything yet.

    metadata <- content <- collector -> snapshotters -> metadata            exchange <- shims
"""

from __future__ import annotations

import os
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from runtime.containerd.metadata import Metadata

if TYPE_CHECKING:
    # At run time these are imported by the part that is asked for.
    from runtime.containerd.content import ContentStore
    from runtime.containerd.exchange import Exchange
    from runtime.containerd.garbage import Collector
    from runtime.containerd.shims import Shims
    from runtime.containerd.snapshots.snapshotter import Snapshotters


class Settings(NamedTuple):
    """Where this containerd lives, and what its shims are told to run to report events without ttrpc."""

    root: str
    state: str
    address: str
    publish_binary: str

    @property
    def ttrpc_address(self) -> str:
        """Where shims report events."""
        return f"{self.address}.ttrpc"


class Parts:
    """Everything that services share."""

    def __init__(self, settings: Settings, metadata: Metadata) -> None:
        self.settings = settings
        self.metadata = metadata

    @cached_property
    def exchange(self) -> Exchange:
        from runtime.containerd.exchange import Exchange

        return Exchange()

    @cached_property
    def shims(self) -> Shims:
        from runtime.containerd.shims import Shims

        return Shims(self.settings, self.exchange)

    @cached_property
    def content(self) -> ContentStore:
        from runtime.containerd.content import ContentStore

        store = ContentStore(os.path.join(self.settings.root, "io.containerd.content.v1.content"), self.metadata)
        store.sweep()
        return store

    @cached_property
    def snapshotters(self) -> Snapshotters:
        from runtime.containerd.snapshots.native import Native
        from runtime.containerd.snapshots.overlayfs import Overlayfs
        from runtime.containerd.snapshots.snapshotter import Snapshotter, Snapshotters

        overlayfs = os.path.join(self.settings.root, "io.containerd.snapshotter.v1.overlayfs")
        native = os.path.join(self.settings.root, "io.containerd.snapshotter.v1.native")
        snapshotters = Snapshotters(
            [
                Snapshotter(Overlayfs(overlayfs), overlayfs, self.metadata),
                Snapshotter(Native(), native, self.metadata),
            ]
        )
        snapshotters.sweep()
        return snapshotters

    @cached_property
    def collector(self) -> Collector:
        from runtime.containerd.garbage import Collector

        return Collector(self.metadata, self.content, self.snapshotters)
