"""What all snapshotters have in common: names, parents, states, numbered directories.

Real counterpart: containerd `snapshots/storage/bolt.go`, `metadata/snapshot.go`.

A snapshot is *active* (a container or an unpacking layer writes to it), *committed* (a layer, read-only, parent of
others) or a *view* (active, but read-only). Only committed snapshots can be parents.

    Prepare(key, parent) -> mounts   ...write through the mounts...   Commit(name, key)   Prepare(key2, parent=name)

Each snapshot has a number that is never given again, and a directory of that name. Order on disk (crash safety): a
directory is complete before the record that names it is written, and the record goes before the directory does. So a
directory without a record is rubbish from a kill -9, found at the next start.
"""

import os
from typing import NamedTuple, Protocol

from runtime.api.containerd import snapshots_pb2
from runtime.api.containerd.snapshots_pb2 import ACTIVE, COMMITTED, VIEW, Info
from runtime.api.containerd.types_pb2 import Mount
from runtime.containerd import clock, identifiers
from runtime.containerd.errors import AlreadyExistsError, FailedPreconditionError, InvalidArgumentError, NotFoundError
from runtime.containerd.metadata import Metadata
from runtime.containerd.snapshots.trees import measure_tree, remove_tree


class Layer(NamedTuple):
    """A snapshot as a driver sees it: the numbers of its own directory and of its ancestors', nearest first."""

    number: int
    parents: tuple[int, ...]
    kind: int


class Driver(Protocol):
    """What differs between snapshotters: the directories, and the mounts that show them."""

    name: str

    async def make(self, directory: str, parents: tuple[str, ...], kind: int) -> None:
        """Fill the new directory of a snapshot whose ancestors have these directories."""

    def mounts(self, directory: str, parents: tuple[str, ...], kind: int) -> list[Mount]:
        """Return how to mount the snapshot."""

    def contents(self, directory: str) -> str:
        """Return where a snapshot's own files are (for its usage)."""

    def problem(self) -> str:
        """Return why this driver cannot work on this host, or an empty string."""


class Snapshotter:
    """One snapshotter's snapshots, in all namespaces."""

    def __init__(self, driver: Driver, root: str, metadata: Metadata) -> None:
        self.driver = driver
        self.root = root
        self._metadata = metadata
        self._kind = f"snapshots/{driver.name}"
        self._directories = os.path.join(root, "snapshots")
        self._doomed: list[str] = []

    def sweep(self) -> None:
        """Find directories that no record names, half made or half removed; the next `clear` removes them."""
        os.makedirs(self._directories, mode=0o700, exist_ok=True)
        known = {str(_Record.parse(value).number) for _, _, value in self._metadata.everywhere(self._kind)}
        for name in os.listdir(self._directories):
            if name not in known:
                self._doomed.append(os.path.join(self._directories, name))

    async def prepare(self, namespace: str, key: str, parent: str, kind: int, labels: dict[str, str]) -> list[Mount]:
        """Make an active snapshot (or a view) on top of a committed one."""
        if not key:
            raise InvalidArgumentError("snapshot key must not be empty")
        identifiers.require_labels(labels)
        if self._metadata.get(self._kind, namespace, key) is not None:
            raise AlreadyExistsError(f'snapshot "{key}"')
        if parent:
            above = self._parent(namespace, parent)
            if above.info.kind != COMMITTED:
                raise InvalidArgumentError(
                    f'failed to create snapshot: parent "{namespace}/{parent}" is not committed snapshot'
                )
        number = self._metadata.next_number(self._kind)
        info = Info(name=key, parent=parent, kind=snapshots_pb2.Kind.Name(kind), created_at=clock.now(), labels=labels)
        info.updated_at.CopyFrom(info.created_at)
        parents = self._ancestors(namespace, parent)
        unfinished = os.path.join(self._directories, f"new-{number}")
        try:
            await self.driver.make(unfinished, parents, kind)
            os.rename(unfinished, self._directory(number))
            if not self._metadata.insert(self._kind, namespace, key, _Record(number, info).serialize()):
                raise AlreadyExistsError(f'snapshot "{key}"')
        except BaseException:
            # Also on cancellation: copying (native) takes long enough for a client to go away.
            self._doomed += [unfinished, self._directory(number)]
            raise
        return self.driver.mounts(self._directory(number), parents, kind)

    def mounts(self, namespace: str, key: str) -> list[Mount]:
        """Return the mounts of an active snapshot or view."""
        record = self._record(namespace, key)
        if record.info.kind == COMMITTED:
            raise FailedPreconditionError(
                f"failed to get active mount: requested snapshot {namespace}/{key} not active or view"
            )
        parents = self._ancestors(namespace, record.info.parent)
        return self.driver.mounts(self._directory(record.number), parents, record.info.kind)

    def commit(self, namespace: str, name: str, key: str, labels: dict[str, str]) -> None:
        """Turn the active snapshot `key` into the layer `name`."""
        identifiers.require_labels(labels)
        if self._metadata.get(self._kind, namespace, name) is not None:
            raise AlreadyExistsError(f'snapshot "{name}"')
        record = self._record(namespace, key)
        if record.info.kind != ACTIVE:
            raise FailedPreconditionError(f'failed to commit snapshot: snapshot "{namespace}/{key}" is not active')
        info = Info(name=name, parent=record.info.parent, kind=COMMITTED, created_at=clock.now(), labels=labels)
        info.updated_at.CopyFrom(info.created_at)
        with self._metadata.transaction():
            self._metadata.delete(self._kind, namespace, key)
            self._metadata.insert(self._kind, namespace, name, _Record(record.number, info).serialize())

    def forget(self, namespace: str, key: str) -> None:
        """Forget a snapshot that is nobody's parent; `clear` then removes its directory, which takes longer."""
        record = self._record(namespace, key)
        if any(info.parent == key for info in self.list(namespace)):
            raise FailedPreconditionError("cannot remove snapshot with child")
        self._metadata.delete(self._kind, namespace, key)
        self._doomed.append(self._directory(record.number))

    async def clear(self) -> None:
        """Remove the directories of forgotten snapshots."""
        while self._doomed:
            directory = self._doomed.pop()
            if os.path.isdir(directory):
                await remove_tree(directory)

    def stat(self, namespace: str, key: str) -> Info:
        """Return what is known of a snapshot."""
        return self._record(namespace, key).info

    def update(self, namespace: str, info: Info) -> None:
        """Write a changed record."""
        record = self._record(namespace, info.name)
        info.updated_at.CopyFrom(clock.now())
        self._metadata.put(self._kind, namespace, info.name, _Record(record.number, info).serialize())

    def list(self, namespace: str) -> list[Info]:
        """Return all snapshots of a namespace, by name."""
        return [_Record.parse(value).info for _, value in self._metadata.records(self._kind, namespace)]

    async def usage(self, namespace: str, key: str) -> tuple[int, int]:
        """Return bytes and inodes of the snapshot's own files."""
        return await measure_tree(self.driver.contents(self._directory(self._record(namespace, key).number)))

    def _directory(self, number: int) -> str:
        return os.path.join(self._directories, str(number))

    def _ancestors(self, namespace: str, name: str) -> tuple[str, ...]:
        directories: list[str] = []
        while name:
            record = self._parent(namespace, name)
            directories.append(self._directory(record.number))
            name = record.info.parent
        return tuple(directories)

    def _record(self, namespace: str, key: str) -> "_Record":
        value = self._metadata.get(self._kind, namespace, key)
        if value is None:
            raise NotFoundError(f"snapshot {key} does not exist")
        return _Record.parse(value)

    def _parent(self, namespace: str, name: str) -> "_Record":
        value = self._metadata.get(self._kind, namespace, name)
        if value is None:
            raise NotFoundError(f"parent snapshot {name} does not exist")
        return _Record.parse(value)


class _Record(NamedTuple):
    """A snapshot as it is kept: the number of its directory in eight bytes, then the API's own message."""

    number: int
    info: Info

    def serialize(self) -> bytes:
        return self.number.to_bytes(8, "big") + self.info.SerializeToString()

    @classmethod
    def parse(cls, value: bytes) -> "_Record":
        return cls(int.from_bytes(value[:8], "big"), snapshots_pb2.Info.FromString(value[8:]))


class Snapshotters:
    """The snapshotters of this containerd, by name: swept, since a kill -9 leaves half of something, and tried out."""

    def __init__(self, snapshotters: list[Snapshotter]) -> None:
        self._snapshotters = {one.driver.name: one for one in snapshotters}
        for one in snapshotters:
            one.sweep()
        self.problems = {one.driver.name: one.driver.problem() for one in snapshotters}
        """Why each snapshotter cannot be used here (an empty string for those that can)."""

    def find(self, name: str) -> Snapshotter:
        """Return a snapshotter that works here."""
        if not name:
            raise InvalidArgumentError("snapshotter argument missing")
        found = self._snapshotters.get(name)
        if found is None:
            raise InvalidArgumentError(f"snapshotter not loaded: {name}")
        if problem := self.problems[name]:
            raise InvalidArgumentError(f"snapshotter not loaded: {name} ({problem})")
        return found

    async def clear(self) -> None:
        """Remove the directories of all forgotten snapshots."""
        for one in self._snapshotters.values():
            await one.clear()

    def usable(self) -> list[str]:
        """Return the names of those that work here."""
        return [name for name, problem in self.problems.items() if not problem]

    def root(self, name: str) -> str:
        """Return the directory of a snapshotter."""
        return self._snapshotters[name].root


__all__ = ["ACTIVE", "COMMITTED", "VIEW", "Driver", "Snapshotter", "Snapshotters"]
