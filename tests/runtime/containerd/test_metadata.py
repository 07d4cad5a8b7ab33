"""The metadata store, and what a kill -9 does to it."""

import os
import signal
from pathlib import Path

import pytest

from runtime.containerd.metadata import NAMESPACES, Metadata, RootInUseError


def test_records_are_apart_by_kind_and_namespace(metadata: Metadata) -> None:
    """The same name in another namespace or of another kind is another record."""
    assert metadata.insert("images", "a", "x", b"1")
    assert metadata.insert("images", "b", "x", b"2")
    assert metadata.insert("containers", "a", "x", b"3")

    assert not metadata.insert("images", "a", "x", b"again")
    assert metadata.get("images", "a", "x") == b"1"
    assert metadata.records("images", "b") == [("x", b"2")]
    assert metadata.everywhere("images") == [("a", "x", b"1"), ("b", "x", b"2")]
    assert metadata.kinds("a") == ["containers", "images"]
    assert [name for name, _ in metadata.records(NAMESPACES, "")] == ["a", "b"]


def test_transaction_is_all_or_nothing(metadata: Metadata) -> None:
    """An exception inside undoes every change."""
    metadata.insert("k", "a", "kept", b"1")

    def change_and_fail() -> None:
        with metadata.transaction():
            metadata.delete("k", "a", "kept")
            metadata.insert("k", "a", "new", b"2")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        change_and_fail()

    assert metadata.records("k", "a") == [("kept", b"1")]


def test_numbers_are_never_given_twice(metadata: Metadata) -> None:
    """Each kind counts for itself, and on."""
    assert [metadata.next_number("x") for _ in range(3)] == [1, 2, 3]
    assert metadata.next_number("y") == 1


def test_second_user_of_a_root_is_refused(metadata: Metadata, tmp_path: Path) -> None:
    """Two processes cannot hold the same store."""
    with pytest.raises(RootInUseError, match="another containerd is using"):
        Metadata(str(tmp_path / "metadata"))


def test_kill_9_loses_no_finished_change_and_keeps_no_half_one(tmp_path: Path) -> None:
    """What was committed is there after the writer is killed; an open transaction is not."""
    directory = str(tmp_path / "m")
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        store = Metadata(directory)
        store.insert("k", "a", "done", b"1")
        with store.transaction():
            store.insert("k", "a", "half", b"2")
            os.write(writing, b"!")
            signal.pause()
    os.read(reading, 1)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    os.close(reading)
    os.close(writing)

    store = Metadata(directory)

    assert store.records("k", "a") == [("done", b"1")]
    store.close()
