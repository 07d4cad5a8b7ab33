"""Garbage collection: what no image, container or lease leads to is removed.

Real counterpart: containerd `gc/gc.go` and `metadata/gc.go`.

    roots   images -> their target blob            containers -> their snapshot
            leases -> what was made under them     whatever is labelled containerd.io/gc.root
            ingests that somebody has open
    edges   label containerd.io/gc.ref.content[.anything]=DIGEST           a manifest names its config and layers
            label containerd.io/gc.ref.snapshot.SNAPSHOTTER=KEY            a config names its unpacked layers
            a snapshot's parent

Everything reached is marked; blobs, snapshots (active ones, too) and ingests without a mark are swept, children before
parents. It runs after an image or a lease is deleted. Left out on purpose: the scheduler with its thresholds,
gc.expire, gc.flat, and the day that real containerd keeps an ingest that no lease holds.
"""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from runtime.api.containerd.containers_pb2 import Container
from runtime.api.containerd.images_pb2 import Image
from runtime.containerd.content import ContentStore
from runtime.containerd.metadata import Metadata
from runtime.containerd.server import Call
from runtime.containerd.snapshots.snapshotter import Snapshotters

ROOT_LABEL = "containerd.io/gc.root"
CONTENT_REF = "containerd.io/gc.ref.content"
SNAPSHOT_REF = "containerd.io/gc.ref.snapshot."
INGESTS = "ingests"
_HELD = "lease-resources"


class Node(NamedTuple):
    """A blob (`content`), a snapshot (`snapshots/NAME`) or an ingest (`ingests`) of one namespace."""

    kind: str
    name: str


def hold(metadata: Metadata, call: Call, kind: str, name: str) -> None:
    """Remember that something was made, or found made already, under the lease that came with the call."""
    if call.lease:
        metadata.put(_HELD, call.namespace, f"{call.lease}\0{kind}\0{name}", b"")


def held_by(metadata: Metadata, namespace: str, lease: str) -> list[Node]:
    """Return what a lease holds."""
    words = [held.split("\0", 2) for held, _ in metadata.records(_HELD, namespace)]
    return [Node(kind, name) for holder, kind, name in words if holder == lease]


def let_go(metadata: Metadata, namespace: str, lease: str, *nodes: Node) -> None:
    """Forget that a lease holds these."""
    for kind, name in nodes:
        metadata.delete(_HELD, namespace, f"{lease}\0{kind}\0{name}")


class Collector:
    """Marks and sweeps one namespace at a time."""

    def __init__(self, metadata: Metadata, content: ContentStore, snapshotters: Snapshotters) -> None:
        self._metadata, self._content, self._snapshotters = metadata, content, snapshotters

    async def collect(self, namespace: str) -> list[Node]:
        """Remove the garbage and return what was removed."""
        # Marking and forgetting is one step that nobody can come between; emptying directories is not.
        removed = self._forget_garbage(namespace)
        await self._snapshotters.clear()
        return removed

    def _forget_garbage(self, namespace: str) -> list[Node]:
        blobs = {Node("content", blob.digest): blob for blob in self._content.infos(namespace)}
        layers = {
            Node(f"snapshots/{name}", info.name): info
            for name in self._snapshotters.usable()
            for info in self._snapshotters.find(name).list(namespace)
        }
        edges = {node: set(_references(blob.labels)) for node, blob in blobs.items()}
        for node, info in layers.items():
            edges[node] = {*_references(info.labels), *([Node(node.kind, info.parent)] if info.parent else [])}
        labels: list[tuple[Node, Mapping[str, str]]] = [
            *((node, blob.labels) for node, blob in blobs.items()),
            *((node, info.labels) for node, info in layers.items()),
        ]
        edges |= {Node(INGESTS, ref): set() for ref in self._content.idle_refs(namespace)}
        roots = {node for node, marks in labels if ROOT_LABEL in marks}
        roots.update(self._roots(namespace))
        return self._sweep(namespace, _reachable(roots, edges), edges)

    def _roots(self, namespace: str) -> Iterable[Node]:
        for _, value in self._metadata.records("images", namespace):
            yield Node("content", Image.FromString(value).target.digest)
        for _, value in self._metadata.records("containers", namespace):
            container = Container.FromString(value)
            yield Node(f"snapshots/{container.snapshotter}", container.snapshot_key)
            yield from _references(container.labels)
        for held, _ in self._metadata.records(_HELD, namespace):
            _, kind, name = held.split("\0", 2)
            yield Node(kind, name)

    def _sweep(self, namespace: str, marked: set[Node], edges: Mapping[Node, set[Node]]) -> list[Node]:
        garbage = set(edges) - marked
        removed: list[Node] = []
        while garbage:
            # A snapshot can go only after its children; blobs name each other freely and go in any order.
            parents = {parent for node in garbage if node.kind != "content" for parent in edges[node]}
            ready = sorted(node for node in garbage if node.kind == "content" or node not in parents) or sorted(garbage)
            for node in ready:
                if node.kind == "content":
                    self._content.delete(namespace, node.name)
                elif node.kind == INGESTS:
                    self._content.abort(namespace, node.name)
                else:
                    self._snapshotters.find(node.kind.removeprefix("snapshots/")).forget(namespace, node.name)
            removed += ready
            garbage.difference_update(ready)
        return removed


def _references(labels: Mapping[str, str]) -> Iterable[Node]:
    for key, value in labels.items():
        if key == CONTENT_REF or key.startswith(f"{CONTENT_REF}."):
            yield Node("content", value)
        elif key.startswith(SNAPSHOT_REF):
            # gc.ref.snapshot.overlayfs, or gc.ref.snapshot.overlayfs/anything where there are several.
            yield Node(f"snapshots/{key.removeprefix(SNAPSHOT_REF).partition('/')[0]}", value)


def _reachable(roots: set[Node], edges: Mapping[Node, set[Node]]) -> set[Node]:
    marked: set[Node] = set()
    grey = list(roots)
    while grey:
        node = grey.pop()
        if node not in marked:
            marked.add(node)
            grey.extend(edges.get(node, ()))
    return marked
