"""The content store."""

import hashlib
import os
from pathlib import Path

import pytest

from runtime.containerd.content import ContentStore
from runtime.containerd.errors import (
    AlreadyExistsError,
    FailedPreconditionError,
    InvalidArgumentError,
    NotFoundError,
    UnavailableError,
)
from runtime.containerd.metadata import Metadata


def digest_of(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


@pytest.fixture(name="store")
def _store(tmp_path: Path, metadata: Metadata) -> ContentStore:
    """An empty store."""
    return ContentStore(str(tmp_path / "content"), metadata)


def ingest(store: ContentStore, data: bytes, namespace: str = "a", **labels: str) -> str:
    """Write a blob in one go."""
    writer = store.writer(namespace, f"ref-{len(data)}", 0, "")
    writer.write(data)
    writer.commit(len(data), digest_of(data), labels)
    writer.close()
    return digest_of(data)


def read(store: ContentStore, digest: str, namespace: str = "a") -> bytes:
    with os.fdopen(store.open(namespace, digest), "rb") as file:
        return file.read()


def test_blob_is_named_by_its_digest(store: ContentStore, tmp_path: Path) -> None:
    """A committed blob is a read-only file in containerd's place, with its labels known."""
    digest = ingest(store, b"water", colour="blue")

    path = tmp_path / "content" / "blobs" / "sha256" / digest.removeprefix("sha256:")
    assert path.read_bytes() == b"water"
    assert path.stat().st_mode & 0o777 == 0o444
    assert dict(store.info("a", digest).labels) == {"colour": "blue"}
    assert list((tmp_path / "content" / "ingest").iterdir()) == []


def test_ingest_goes_on_where_it_was_left(store: ContentStore, tmp_path: Path) -> None:
    """A writer that went away leaves its bytes; the next one, of a new process too, begins at the offset."""
    first = store.writer("a", "ref", 10, "")
    first.write(b"hello")
    first.close()

    again = ContentStore(str(tmp_path / "content"), store.metadata)
    assert (again.status("a", "ref").offset, again.status("a", "ref").total) == (5, 10)
    second = again.writer("a", "ref", 0, "")
    assert (second.offset, second.total, second.digest) == (5, 10, digest_of(b"hello"))
    second.write(b"world")
    second.commit(10, digest_of(b"helloworld"), {})
    second.close()

    assert read(again, digest_of(b"helloworld")) == b"helloworld"


def test_two_writers_of_one_ref_are_one_too_many(store: ContentStore) -> None:
    """The second is unavailable until the first has closed."""
    writer = store.writer("a", "ref", 0, "")

    with pytest.raises(UnavailableError):
        store.writer("a", "ref", 0, "")
    writer.close()

    store.writer("a", "ref", 0, "").close()


def test_wrong_digest_or_size_is_refused(store: ContentStore) -> None:
    """Nothing gets a name that is not its own."""
    writer = store.writer("a", "ref", 0, "")
    writer.write(b"wine")

    with pytest.raises(FailedPreconditionError, match="unexpected commit digest"):
        writer.commit(0, digest_of(b"water"), {})
    with pytest.raises(FailedPreconditionError, match='"ref" failed size validation: 4 != 5'):
        writer.commit(5, "", {})
    writer.close()

    assert store.infos("a") == []


def test_blob_of_another_namespace_need_not_be_sent_again(store: ContentStore) -> None:
    """A namespace that expects a blob that is there gets it without a byte, but does not know it before."""
    digest = ingest(store, b"shared")

    with pytest.raises(NotFoundError):
        store.info("b", digest)
    writer = store.writer("b", "ref", 6, digest)
    assert (writer.offset, writer.digest) == (6, digest)
    writer.commit(6, digest, {"mine": "yes"})
    writer.close()
    with pytest.raises(AlreadyExistsError):
        store.writer("b", "ref", 6, digest)

    assert read(store, digest, "b") == b"shared"
    assert dict(store.info("a", digest).labels) == {}


def test_last_namespace_to_forget_a_blob_removes_it(store: ContentStore) -> None:
    """Deleting in one namespace leaves the other's blob."""
    digest = ingest(store, b"two owners")
    ingest(store, b"two owners", "b")

    store.delete("a", digest)
    assert read(store, digest, "b") == b"two owners"
    store.delete("b", digest)

    assert not os.path.exists(store.path(digest))


def test_sweep_removes_blobs_that_nobody_knows(store: ContentStore) -> None:
    """A blob whose record was never written (a kill in between) does not stay for ever."""
    digest = ingest(store, b"known")
    stray = store.path(digest_of(b"stray"))
    Path(stray).write_bytes(b"stray")

    store.sweep()

    assert not os.path.exists(stray)
    assert read(store, digest) == b"known"


@pytest.mark.parametrize("digest", ["", "sha256:", "sha256:../../etc/passwd", "md5:" + "a" * 32, "sha256:" + "A" * 64])
def test_what_is_no_digest_names_no_file(store: ContentStore, digest: str) -> None:
    """Only sixty-four hex digits are looked up."""
    with pytest.raises(InvalidArgumentError):
        store.info("a", digest)
