"""All parts of the daemon and how they hang together (moby: daemon/daemon.go).

Starting: containerd is asked for its version before anything else, so the daemon never answers before containerd does;
then records are read, running containers are found again, the event stream is followed, and the default image is built
where it is missing.
"""

import asyncio
import logging
import os
from dataclasses import dataclass, field

from google.protobuf.empty_pb2 import Empty

from runtime.daemon.background import Background
from runtime.daemon.container import Container
from runtime.daemon.container_store import ContainerStore
from runtime.daemon.containerd_client import Containerd
from runtime.daemon.create import Creator
from runtime.daemon.default_image import DefaultImage
from runtime.daemon.errors import ApiError, NotModified
from runtime.daemon.events import EventLog
from runtime.daemon.exec_sessions import ExecStore
from runtime.daemon.image_content import Leases
from runtime.daemon.image_install import Installer
from runtime.daemon.image_names import ImageNames
from runtime.daemon.image_pull import Puller
from runtime.daemon.image_removal import ImageRemoval
from runtime.daemon.images import ImageStore
from runtime.daemon.lifecycle import SIGKILL, Lifecycle
from runtime.daemon.links import Links
from runtime.daemon.networks import Networks
from runtime.daemon.options import DaemonOptions
from runtime.daemon.sandboxes import Sandboxes
from runtime.daemon.spec_inputs import SpecGatherer, probe_host
from runtime.daemon.strays import Strays
from runtime.daemon.task_client import TaskClient
from runtime.daemon.task_events import TaskEvents
from runtime.daemon.timestamps import ZERO
from runtime.daemon.volumes import VolumeStore

log = logging.getLogger("daemon")


@dataclass
class ContainerdVersion:
    """What containerd said about itself."""

    version: str = ""
    revision: str = ""


@dataclass
class Engine:
    """The daemon without its HTTP side. Routes reach everything through it."""

    options: DaemonOptions
    containerd_version: ContainerdVersion = field(default_factory=ContainerdVersion)

    def __post_init__(self) -> None:
        options = self.options
        os.makedirs(options.data_root, mode=0o711, exist_ok=True)
        os.makedirs(options.exec_root, mode=0o700, exist_ok=True)
        fifo_root = os.path.join(options.exec_root, "containerd")
        self.facts = probe_host()
        self.background = Background()
        self.containerd = Containerd(options.containerd, options.namespace)
        self.events = EventLog()
        self.containers = ContainerStore(options.data_root)
        self.images = ImageStore(self.containerd, options.snapshotter)
        self.image_names = ImageNames(self.containerd, self.images)
        self.installer = Installer(self.containerd, options.snapshotter, Leases(self.containerd), self.image_names)
        self.puller = Puller(
            self.installer, self.images, self.events, options.registry_mirrors, options.insecure_registries
        )
        self.image_removal = ImageRemoval(
            self.containerd, options.snapshotter, self.images, self.image_names, self.containers, self.events
        )
        self.volumes = VolumeStore(options.data_root, self.events)
        self.networks = Networks(options, self.containers, self.events)
        self.sandboxes = Sandboxes(self.networks, self.containers, self.events)
        tasks = self.tasks = TaskClient(self.containerd, options)
        self.links = Links(self.containers)
        gatherer = SpecGatherer(options, self.facts, self.containers, self.links)
        strays = Strays(self.containerd, self.containers, tasks, options.snapshotter)
        self.task_events = TaskEvents(self.containerd, self.containers, tasks, self.events, strays)
        self.creator = Creator(
            options,
            self.facts,
            self.containerd,
            self.containers,
            self.images,
            self.volumes,
            self.networks,
            self.links,
            self.events,
        )
        self.lifecycle = Lifecycle(
            self.containerd,
            self.containers,
            tasks,
            gatherer,
            self.links,
            self.sandboxes,
            self.volumes,
            self.events,
            self.background,
            fifo_root,
        )
        self.execs = ExecStore(tasks, self.task_events, self.links, self.events, self.background, fifo_root)

    async def start(self, default_image: DefaultImage) -> None:
        """Everything that must be true before the first request."""
        reply = await self.containerd.version.call("Version", Empty())
        self.containerd_version = ContainerdVersion(reply.version, reply.revision)
        for complaint in self.containers.load():
            log.warning("%s", complaint)
        self.background.spawn(self.task_events.run())
        self.networks.open()
        await self._find_running_again()
        self.sandboxes.open()
        await self.installer.leases.drop_stale()
        await default_image.provide(self.images, self.installer)

    async def _find_running_again(self) -> None:
        for container in self.containers.all():
            if container.state.running:
                self.lifecycle.readopt(container)
            elif container.state.finished_at != ZERO:
                self.background.spawn(self.lifecycle.remove_if_asked(container))  # what was killed had no time for it
        await self.task_events.ask_after_all()

    async def stop_containers(self, hurry: asyncio.Event) -> None:
        """Stop all of them unless they are to live on; `hurry` is set by a second signal."""
        self.task_events.stopping = True
        if not self.options.live_restore:
            running = [container for container in self.containers.all() if container.state.running]
            await asyncio.gather(*(self._stop(container, hurry) for container in running))

    def close(self) -> None:
        """Give back what is the daemon's own."""
        self.sandboxes.close()
        self.networks.close()
        self.background.cancel()
        self.containerd.close()

    async def _stop(self, container: Container, hurry: asyncio.Event) -> None:
        seconds = int(self.options.shutdown_timeout)
        stopping = asyncio.ensure_future(self.lifecycle.stop(container, seconds))
        hurrying = asyncio.ensure_future(hurry.wait())
        try:
            await asyncio.wait((stopping, hurrying), return_when=asyncio.FIRST_COMPLETED)
            if not stopping.done():
                await self.lifecycle.kill(container, SIGKILL)
            await stopping
        except (ApiError, NotModified):
            pass  # it ended by itself meanwhile
        finally:
            hurrying.cancel()
