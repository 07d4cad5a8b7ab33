"""Which object answers which gRPC service, made when the service is first called.

Real counterpart: the `io.containerd.grpc.v1` plugins, `ctr plugins ls`.
"""

from collections.abc import Callable

from runtime.containerd.parts import Parts
from runtime.containerd.server import Service


def _version(parts: Parts) -> Service:
    from runtime.containerd.services.version import VersionService

    return VersionService()


def _introspection(parts: Parts) -> Service:
    from runtime.containerd.services.introspection import IntrospectionService

    return IntrospectionService(parts.settings.root, parts.snapshotters)


def _namespaces(parts: Parts) -> Service:
    from runtime.containerd.services.namespaces import NamespacesService

    return NamespacesService(parts.metadata, parts.exchange)


def _containers(parts: Parts) -> Service:
    from runtime.containerd.services.containers import ContainersService

    return ContainersService(parts.metadata, parts.exchange)


def _tasks(parts: Parts) -> Service:
    from runtime.containerd.services.tasks import TasksService

    return TasksService(parts.metadata, parts.shims)


def _events(parts: Parts) -> Service:
    from runtime.containerd.services.events import EventsService

    return EventsService(parts.exchange)


def _leases(parts: Parts) -> Service:
    from runtime.containerd.services.leases import LeasesService

    return LeasesService(parts.metadata, parts.collector)


def _content(parts: Parts) -> Service:
    from runtime.containerd.services.content import ContentService

    return ContentService(parts.content, parts.exchange)


def _images(parts: Parts) -> Service:
    from runtime.containerd.services.images import ImagesService

    return ImagesService(parts.metadata, parts.exchange, parts.collector)


def _snapshots(parts: Parts) -> Service:
    from runtime.containerd.services.snapshots import SnapshotsService

    return SnapshotsService(parts.metadata, parts.snapshotters, parts.exchange)


def _diff(parts: Parts) -> Service:
    from runtime.containerd.services.diff import DiffService

    return DiffService(parts.content)


def _health(parts: Parts) -> Service:
    from runtime.containerd.services.health import HealthService

    return HealthService()


SERVICES: dict[str, Callable[[Parts], Service]] = {
    "containerd.services.version.v1.Version": _version,
    "containerd.services.introspection.v1.Introspection": _introspection,
    "containerd.services.namespaces.v1.Namespaces": _namespaces,
    "containerd.services.containers.v1.Containers": _containers,
    "containerd.services.tasks.v1.Tasks": _tasks,
    "containerd.services.events.v1.Events": _events,
    "containerd.services.leases.v1.Leases": _leases,
    "containerd.services.content.v1.Content": _content,
    "containerd.services.images.v1.Images": _images,
    "containerd.services.snapshots.v1.Snapshots": _snapshots,
    "containerd.services.diff.v1.Diff": _diff,
    "grpc.health.v1.Health": _health,
}
