"""The parts of containerd and how they hang together.

Real counterpart: containerd's plugin graph (`plugin/plugin.go`, `services/server/server.go`), where each part names
the parts that it requires; here the constructor is the graph. All of them are there before anybody can connect, so no
request pays for the loading of what answers it.

    metadata <- content <- collector -> snapshotters -> metadata            exchange <- shims
"""

import os

from runtime.containerd.content import ContentStore
from runtime.containerd.exchange import Exchange
from runtime.containerd.garbage import Collector
from runtime.containerd.metadata import Metadata
from runtime.containerd.settings import Settings
from runtime.containerd.shims import Shims
from runtime.containerd.snapshots.native import Native
from runtime.containerd.snapshots.overlayfs import Overlayfs
from runtime.containerd.snapshots.snapshotter import Snapshotter, Snapshotters


class Parts:
    """Everything that services share."""

    def __init__(self, settings: Settings, metadata: Metadata) -> None:
        self.settings = settings
        self.metadata = metadata
        self.exchange = Exchange()
        self.shims = Shims(settings, self.exchange)
        self.content = ContentStore(os.path.join(settings.root, "io.containerd.content.v1.content"), metadata)
        self.content.sweep()
        overlayfs = os.path.join(settings.root, "io.containerd.snapshotter.v1.overlayfs")
        native = os.path.join(settings.root, "io.containerd.snapshotter.v1.native")
        self.snapshotters = Snapshotters(
            [Snapshotter(Overlayfs(overlayfs), overlayfs, metadata), Snapshotter(Native(), native, metadata)]
        )
        self.collector = Collector(metadata, self.content, self.snapshotters)
