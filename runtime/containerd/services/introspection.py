"""What is inside: plugins and the identity of this installation.

Real counterpart: containerd `services/introspection/{service,local}.go`.
"""

import os
import uuid

from google.protobuf.empty_pb2 import Empty

from runtime.api.containerd import introspection_pb2, types_pb2
from runtime.containerd import filters
from runtime.containerd.server import Call
from runtime.containerd.snapshots.snapshotter import Snapshotters

_PLUGINS = (
    ("io.containerd.content.v1", "content"),
    ("io.containerd.metadata.v1", "bolt"),
    ("io.containerd.differ.v1", "walking"),
    ("io.containerd.event.v1", "exchange"),
    ("io.containerd.runtime.v2", "task"),
    ("io.containerd.grpc.v1", "introspection"),
    ("io.containerd.grpc.v1", "containers"),
    ("io.containerd.grpc.v1", "content"),
    ("io.containerd.grpc.v1", "diff"),
    ("io.containerd.grpc.v1", "events"),
    ("io.containerd.grpc.v1", "images"),
    ("io.containerd.grpc.v1", "leases"),
    ("io.containerd.grpc.v1", "namespaces"),
    ("io.containerd.grpc.v1", "snapshots"),
    ("io.containerd.grpc.v1", "tasks"),
    ("io.containerd.grpc.v1", "version"),
)
_WITH_PLATFORM = ("io.containerd.differ.v1", "io.containerd.runtime.v2", "io.containerd.snapshotter.v1")


class IntrospectionService:
    """What is inside: `ctr version` (uuid), `ctr plugins ls`, and how clients learn which snapshotters work here."""

    descriptor = introspection_pb2.DESCRIPTOR.services_by_name["Introspection"]

    def __init__(self, root: str, snapshotters: Snapshotters) -> None:
        self._directory = os.path.join(root, "io.containerd.grpc.v1.introspection")
        self._snapshotters = snapshotters

    async def server(self, call: Call, request: Empty) -> introspection_pb2.ServerResponse:
        return introspection_pb2.ServerResponse(
            uuid=self._uuid(), pid=os.getpid(), pidns=os.stat("/proc/self/ns/pid").st_ino
        )

    def _uuid(self) -> str:
        """The same for as long as the root directory lives."""
        path = os.path.join(self._directory, "uuid")
        try:
            with open(path, encoding="ascii") as file:
                return file.read().strip()
        except FileNotFoundError:
            made = str(uuid.uuid4())
        os.makedirs(self._directory, mode=0o711, exist_ok=True)
        with open(f"{path}.new", "w", encoding="ascii") as file:
            file.write(made)
        os.rename(f"{path}.new", path)
        return made

    async def plugins(self, call: Call, request: introspection_pb2.PluginsRequest) -> introspection_pb2.PluginsResponse:
        wanted = filters.parse(request.filters)
        plugins = [introspection_pb2.Plugin(type=kind, id=name) for kind, name in _PLUGINS]
        for name, problem in self._snapshotters.problems.items():
            plugin = introspection_pb2.Plugin(type="io.containerd.snapshotter.v1", id=name)
            plugin.exports["root"] = self._snapshotters.root(name)
            if problem:
                plugin.init_err.code, plugin.init_err.message = 2, problem
            plugins.append(plugin)
        for plugin in plugins:
            if plugin.type in _WITH_PLATFORM:
                plugin.platforms.append(types_pb2.Platform(os="linux", architecture=_architecture()))
        return introspection_pb2.PluginsResponse(
            plugins=[p for p in plugins if wanted.matches(filters.message_reader(p))]
        )


def _architecture() -> str:
    """The machine in Go's words, which OCI uses too."""
    machine = os.uname().machine
    return {"x86_64": "amd64", "aarch64": "arm64"}.get(machine, machine)
