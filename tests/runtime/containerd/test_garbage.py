"""Garbage collection: what is reached stays, what is not goes."""

import hashlib
from pathlib import Path

import pytest

from runtime.api.containerd.containers_pb2 import Container
from runtime.api.containerd.images_pb2 import Image
from runtime.api.containerd.snapshots_pb2 import ACTIVE
from runtime.containerd.content import ContentStore
from runtime.containerd.garbage import INGESTS, Collector, Node, held_by, hold, let_go
from runtime.containerd.metadata import Metadata
from runtime.containerd.server import Call
from runtime.containerd.snapshots.native import Native
from runtime.containerd.snapshots.snapshotter import Snapshotter, Snapshotters

NS = "a"


class Store:
    """Everything that is collected, and short ways to put something in."""

    def __init__(self, directory: Path, metadata: Metadata) -> None:
        self.metadata = metadata
        self.content = ContentStore(str(directory / "content"), metadata)
        self.native = Snapshotter(Native(), str(directory / "native"), metadata)
        self.snapshotters = Snapshotters([self.native])
        self.collector = Collector(metadata, self.content, self.snapshotters)

    def blob(self, text: str) -> str:
        writer = self.content.writer(NS, text, 0, "")
        writer.write(text.encode())
        writer.commit(0, "", {})
        writer.close()
        return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"

    async def layer(self, name: str, parent: str = "", labels: dict[str, str] | None = None) -> None:
        await self.native.prepare(NS, f"{name}-key", parent, ACTIVE, {})
        self.native.commit(NS, name, f"{name}-key", labels or {})

    def left(self) -> set[str]:
        return {info.digest for info in self.content.infos(NS)} | {info.name for info in self.native.list(NS)}


@pytest.fixture(name="store")
def _store(tmp_path: Path, metadata: Metadata) -> Store:
    """An empty one."""
    return Store(tmp_path, metadata)


def refs(**labels: str) -> dict[str, str]:
    """Labels as containerd writes them: content_0 -> containerd.io/gc.ref.content.0."""
    return {f"containerd.io/gc.ref.{key.replace('_', '.')}": value for key, value in labels.items()}


async def test_image_keeps_its_tree_and_nothing_else(store: Store) -> None:
    """image -> manifest -> config -> snapshot -> parent snapshot; the rest goes, children before parents."""
    await store.layer("base")
    await store.layer("top", "base")
    await store.layer("old-base")
    await store.layer("old-top", "old-base")
    config = store.blob("config")
    manifest = store.blob("manifest")
    stray = store.blob("stray")
    for digest, labels in ((config, refs(snapshot_native="top")), (manifest, refs(content_config=config))):
        info = store.content.info(NS, digest)
        info.labels.update(labels)
        store.metadata.put("content", NS, digest, info.SerializeToString())
    image = Image(name="i")
    image.target.digest = manifest
    store.metadata.insert("images", NS, "i", image.SerializeToString())

    removed = await store.collector.collect(NS)

    assert store.left() == {"base", "top", config, manifest}
    assert {node.name for node in removed} == {stray, "old-top", "old-base"}


async def test_container_lease_and_root_label_keep(store: Store) -> None:
    """A container keeps its snapshot's parents, a lease what was made under it, a label its bearer."""
    await store.layer("used")
    await store.native.prepare(NS, "running", "used", ACTIVE, {})
    await store.layer("labelled", labels={"containerd.io/gc.root": "1"})
    await store.layer("leased")
    await store.native.prepare(NS, "unpacking", "", ACTIVE, {})
    hold(store.metadata, Call(NS, "L"), "snapshots/native", "leased")
    hold(store.metadata, Call(NS, "L"), "snapshots/native", "unpacking")
    container = Container(id="c", snapshotter="native", snapshot_key="running")
    store.metadata.insert("containers", NS, "c", container.SerializeToString())

    assert await store.collector.collect(NS) == []
    let_go(store.metadata, NS, "L", *held_by(store.metadata, NS, "L"))
    removed = await store.collector.collect(NS)

    assert [node.name for node in removed] == ["leased", "unpacking"]
    assert store.left() == {"used", "running", "labelled"}


async def test_ingest_stays_while_it_is_written_or_leased(store: Store) -> None:
    """Half a blob is kept for who writes it and for who has a lease on it, and goes with both."""
    writer = store.content.writer(NS, "half", 0, "")
    writer.write(b"half")
    assert await store.collector.collect(NS) == []
    writer.close()
    hold(store.metadata, Call(NS, "L"), INGESTS, "half")
    assert await store.collector.collect(NS) == []

    let_go(store.metadata, NS, "L", Node(INGESTS, "half"))
    removed = await store.collector.collect(NS)

    assert removed == [Node(INGESTS, "half")]
    assert store.content.statuses(NS) == []


async def test_other_namespaces_are_not_touched(store: Store) -> None:
    """Collecting one namespace leaves the blobs of another."""
    store.blob("mine")

    await store.collector.collect("b")

    assert len(store.left()) == 1
