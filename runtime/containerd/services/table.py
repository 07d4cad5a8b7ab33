"""Which objects answer containerd's gRPC services.

Real counterpart: the `io.containerd.grpc.v1` plugins, `ctr plugins ls`.
"""

from runtime.containerd.parts import Parts
from runtime.containerd.server import Service
from runtime.containerd.services.containers import ContainersService
from runtime.containerd.services.content import ContentService
from runtime.containerd.services.diff import DiffService
from runtime.containerd.services.events import EventsService
from runtime.containerd.services.health import HealthService
from runtime.containerd.services.images import ImagesService
from runtime.containerd.services.introspection import IntrospectionService
from runtime.containerd.services.leases import LeasesService
from runtime.containerd.services.namespaces import NamespacesService
from runtime.containerd.services.snapshots import SnapshotsService
from runtime.containerd.services.tasks import TasksService
from runtime.containerd.services.version import VersionService


def make_services(parts: Parts) -> list[Service]:
    """Return one object for each service; each knows its own name, by its descriptor."""
    return [
        VersionService(),
        IntrospectionService(parts.settings.root, parts.snapshotters),
        NamespacesService(parts.metadata, parts.exchange),
        ContainersService(parts.metadata, parts.exchange),
        TasksService(parts.metadata, parts.shims),
        EventsService(parts.exchange),
        LeasesService(parts.metadata, parts.collector),
        ContentService(parts.content, parts.exchange),
        ImagesService(parts.metadata, parts.exchange, parts.collector),
        SnapshotsService(parts.metadata, parts.snapshotters, parts.exchange),
        DiffService(parts.content),
        HealthService(),
    ]
