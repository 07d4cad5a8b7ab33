"""The content store: blobs by digest, and the half-written ones (ingests).

Real counterpart: containerd `content/local/{store,writer}.go`, with `metadata/content.go` keeping namespaces apart.

    ROOT/io.containerd.content.v1.content/
        blobs/sha256/HEX          complete, read-only, shared by all namespaces
        ingest/HEX-OF-REF/data    being written; `ref`, `total` and `startedat` beside it
                                  a client may go away, come back with the same ref and go on at the offset

Crash safety: a blob is complete, checked against its digest and on disk (fsync) before it is renamed to its name, so
a name in blobs/ is never a half file. Which namespaces know a blob, and its labels, is in the metadata store.
"""

import hashlib
import os
import shutil
from collections.abc import Mapping

from runtime.api.containerd.content_pb2 import Info, Status
from runtime.containerd import clock, identifiers
from runtime.containerd.errors import (
    AlreadyExistsError,
    ContainerdError,
    FailedPreconditionError,
    InvalidArgumentError,
    NotFoundError,
    UnavailableError,
)
from runtime.containerd.metadata import Metadata

KIND = "content"
_CHUNK = 1 << 20


class ContentStore:
    """Blobs and ingests below one directory."""

    def __init__(self, root: str, metadata: Metadata) -> None:
        self._blobs = os.path.join(root, "blobs", "sha256")
        self._ingests = os.path.join(root, "ingest")
        self.metadata = metadata
        self._open_refs: set[str] = set()
        os.makedirs(self._blobs, mode=0o755, exist_ok=True)
        os.makedirs(self._ingests, mode=0o755, exist_ok=True)

    def path(self, digest: str) -> str:
        """Return the file of a digest (which has been checked to be one: it names a file)."""
        return os.path.join(self._blobs, digest.removeprefix("sha256:"))

    def info(self, namespace: str, digest: str) -> Info:
        """Return what a namespace knows of a blob."""
        if not identifiers.is_digest(digest):
            raise InvalidArgumentError(f'"{digest}" failed validation', bare=True)
        value = self.metadata.get(KIND, namespace, digest)
        if value is None:
            raise NotFoundError(f"content digest {digest}")
        return Info.FromString(value)

    def infos(self, namespace: str) -> list[Info]:
        """Return all blobs that a namespace knows, by digest."""
        return [Info.FromString(value) for _, value in self.metadata.records(KIND, namespace)]

    def open(self, namespace: str, digest: str) -> int:
        """Return a descriptor to read a blob by."""
        self.info(namespace, digest)
        try:
            return os.open(self.path(digest), os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            raise NotFoundError(f"content digest {digest}") from None

    def delete(self, namespace: str, digest: str) -> None:
        """Make a namespace forget a blob; the last one to forget it removes it."""
        self.info(namespace, digest)
        self.metadata.delete(KIND, namespace, digest)
        if not any(name == digest for _, name, _ in self.metadata.everywhere(KIND)):
            _unlink(self.path(digest))

    def sweep(self) -> None:
        """Remove what a kill -9 can leave: blobs that no namespace knows, ingests without a name."""
        known = {digest.removeprefix("sha256:") for _, digest, _ in self.metadata.everywhere(KIND)}
        for name in set(os.listdir(self._blobs)) - known:
            _unlink(os.path.join(self._blobs, name))
        for name in os.listdir(self._ingests):
            if self._read_status(os.path.join(self._ingests, name)) is None:
                shutil.rmtree(os.path.join(self._ingests, name))

    def status(self, namespace: str, ref: str) -> Status:
        """Return how far an ingest has come."""
        found = self._read_status(self._ingest(namespace, ref))
        if found is None:
            raise NotFoundError(f"reference {ref}")
        return found

    def statuses(self, namespace: str) -> list[Status]:
        """Return all ingests of a namespace."""
        found: list[Status] = []
        for name in sorted(os.listdir(self._ingests)):
            directory = os.path.join(self._ingests, name)
            status = self._read_status(directory)
            if status is not None and directory == self._ingest(namespace, status.ref):
                found.append(status)
        return found

    def idle_refs(self, namespace: str) -> list[str]:
        """Return the ingests that nobody is writing."""
        refs = [status.ref for status in self.statuses(namespace)]
        return [ref for ref in refs if self._ingest(namespace, ref) not in self._open_refs]

    def abort(self, namespace: str, ref: str) -> None:
        """Give up an ingest."""
        self.status(namespace, ref)
        shutil.rmtree(self._ingest(namespace, ref))

    def writer(self, namespace: str, ref: str, total: int, expected: str) -> "Writer":
        """Open an ingest, new or old, for one writer at a time."""
        if expected and not identifiers.is_digest(expected):
            raise InvalidArgumentError(f'"{expected}" failed validation', bare=True)
        if expected and self.metadata.get(KIND, namespace, expected) is not None:
            raise AlreadyExistsError(f"content {expected}")
        directory = self._ingest(namespace, ref)
        if directory in self._open_refs:
            raise UnavailableError(f"ref {namespace}/{ref} locked")
        shared = expected if expected and os.path.exists(self.path(expected)) else ""
        self._open_refs.add(directory)
        try:
            return Writer(self, namespace, ref, directory, total, shared)
        except OSError:
            self._open_refs.discard(directory)
            raise

    def release(self, directory: str) -> None:
        """Let another writer have the ingest."""
        self._open_refs.discard(directory)

    def _ingest(self, namespace: str, ref: str) -> str:
        # A ref is any text ("layer-sha256:..."), so its hash names the directory.
        return os.path.join(self._ingests, hashlib.sha256(f"{namespace}/{ref}".encode()).hexdigest())

    def _read_status(self, directory: str) -> Status | None:
        try:
            data = os.stat(os.path.join(directory, "data"))
            texts = {name: _read(os.path.join(directory, name)) for name in ("ref", "total", "startedat")}
        except FileNotFoundError:
            return None
        status = Status(ref=texts["ref"], offset=data.st_size, total=int(texts["total"] or 0))
        status.started_at.FromNanoseconds(int(texts["startedat"] or 0))
        status.updated_at.FromNanoseconds(data.st_mtime_ns)
        return status


class Writer:
    """One ingest being written.

    Where the expected blob is in the store already, known to another namespace, nothing needs to be sent: the writer
    starts at the end of it (`shared`), and Commit only writes a record.
    """

    def __init__(self, store: ContentStore, namespace: str, ref: str, directory: str, total: int, shared: str) -> None:
        self._store, self._namespace, self._directory = store, namespace, directory
        self.ref, self.total, self._shared = ref, total, shared
        self._hash = hashlib.sha256()
        self._file = -1
        self.offset = 0
        if shared:
            self.offset = self.total = os.stat(store.path(shared)).st_size
            self.started_at = self.updated_at = clock.now()
        else:
            self._open()

    @property
    def digest(self) -> str:
        """The digest of what has been written so far."""
        return self._shared or f"sha256:{self._hash.hexdigest()}"

    def _open(self) -> None:
        os.makedirs(self._directory, mode=0o755, exist_ok=True)
        data = os.path.join(self._directory, "data")
        if not os.path.exists(data):
            # `data` last: an ingest exists from the moment that it has data, and then it has the rest too.
            _write(os.path.join(self._directory, "ref"), self.ref)
            _write(os.path.join(self._directory, "total"), str(self.total))
            _write(os.path.join(self._directory, "startedat"), str(clock.now().ToNanoseconds()))
        self._file = os.open(data, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        while chunk := os.read(self._file, _CHUNK):
            self._hash.update(chunk)
            self.offset += len(chunk)
        status = self._store.status(self._namespace, self.ref)
        self.total = self.total or status.total
        self.started_at, self.updated_at = status.started_at, status.updated_at

    def write(self, data: bytes) -> None:
        """Append."""
        if self._shared:
            self.restart()
        self._hash.update(data)
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(self._file, rest) :]
        self.offset += len(data)

    def restart(self) -> None:
        """Begin again at offset 0."""
        if self._shared:
            self._shared, self.offset = "", 0
            self._open()
        os.ftruncate(self._file, 0)
        os.lseek(self._file, 0, os.SEEK_SET)
        self._hash = hashlib.sha256()
        self.offset = 0

    def commit(self, total: int, expected: str, labels: Mapping[str, str]) -> None:
        """Turn the ingest into a blob that this namespace knows."""
        identifiers.require_labels(labels)
        if total and total != self.offset:
            raise FailedPreconditionError(f'"{self.ref}" failed size validation: {self.offset} != {total}')
        digest = self.digest
        if expected and expected != digest:
            raise FailedPreconditionError(f"unexpected commit digest {digest}, expected {expected}")
        now = clock.now()
        info = Info(digest=digest, size=self.offset, created_at=now, updated_at=now, labels=labels)
        if not self._shared:
            self._rename_to(self._store.path(digest))
        # The blob before the record: a record must never name a blob that is not there.
        if not self._store.metadata.insert(KIND, self._namespace, digest, info.SerializeToString()):
            raise AlreadyExistsError(f"content {digest}")

    def _rename_to(self, blob: str) -> None:
        os.fsync(self._file)
        if not os.path.exists(blob):
            os.fchmod(self._file, 0o444)
            os.rename(os.path.join(self._directory, "data"), blob)
        shutil.rmtree(self._directory)

    def close(self) -> None:
        """Let go of the ingest; what is written stays for the next writer of the same ref."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1
        self._store.release(self._directory)


def _unlink(path: str) -> None:
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass
    except OSError as error:
        raise ContainerdError(f"{path}: {(error.strerror or '').lower()}") from None


def _read(path: str) -> str:
    with open(path, encoding="utf-8", errors="surrogateescape") as file:
        return file.read()


def _write(path: str, text: str) -> None:
    with open(path, "w", encoding="utf-8", errors="surrogateescape") as file:
        file.write(text)
