"""The bundle on disk, and what a kill -9 leaves of it."""

import os
from pathlib import Path

import pytest

from runtime.containerd import bundle
from runtime.containerd.errors import AlreadyExistsError, ContainerdError


def listing(directory: Path) -> list[str]:
    """All paths below, relative."""
    return sorted(str(path.relative_to(directory)) for path in directory.rglob("*"))


def test_bundle_is_made_and_removed_with_its_work_directory(tmp_path: Path) -> None:
    """The files that a shim expects, only for root; nothing of them stays."""
    made = bundle.create(f"{tmp_path}/root", f"{tmp_path}/state", "ns", "c1", b"{}")
    made.write("address", "unix:///a")

    assert made.path == f"{tmp_path}/state/io.containerd.runtime.v2.task/ns/c1"
    assert os.stat(made.path).st_mode & 0o777 == 0o700
    assert listing(Path(made.path)) == ["address", "config.json", "rootfs", "work"]
    assert (made.read("address"), made.read("nothing")) == ("unix:///a", "")
    with pytest.raises(AlreadyExistsError):
        bundle.create(f"{tmp_path}/root", f"{tmp_path}/state", "ns", "c1", b"{}")
    made.remove()

    assert [path for path in listing(tmp_path) if "c1" in path] == []


def test_rootfs_that_is_not_empty_is_not_removed(tmp_path: Path) -> None:
    """What is left on rootfs may be somebody's file system."""
    made = bundle.create(f"{tmp_path}/root", f"{tmp_path}/state", "ns", "c1", b"{}")
    Path(made.path, "rootfs", "precious").write_text("")

    with pytest.raises(ContainerdError, match=r"failed to remove bundle rootfs .*: directory not empty"):
        made.remove()

    assert Path(made.path, "rootfs", "precious").exists()


def test_next_start_finds_bundles_and_removes_halves(tmp_path: Path) -> None:
    """A bundle that was being removed, and a work directory without a bundle, go."""
    whole = bundle.create(f"{tmp_path}/root", f"{tmp_path}/state", "ns", "whole", b"{}")
    half = bundle.create(f"{tmp_path}/root", f"{tmp_path}/state", "ns", "half", b"{}")
    os.rename(half.path, f"{os.path.dirname(half.path)}/.half")

    assert bundle.existing(f"{tmp_path}/root", f"{tmp_path}/state") == [whole]
    assert [path for path in listing(tmp_path) if "half" in path] == []


def test_no_state_directory_is_no_bundle(tmp_path: Path) -> None:
    """The first start of all."""
    assert bundle.existing(f"{tmp_path}/root", f"{tmp_path}/state") == []
