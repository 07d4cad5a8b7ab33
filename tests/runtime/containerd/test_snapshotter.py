"""Snapshotters: stacking, copying, and what a kill -9 leaves."""

import os
import stat
from pathlib import Path

import pytest

from runtime.api.containerd.snapshots_pb2 import ACTIVE, VIEW
from runtime.containerd.errors import AlreadyExistsError, FailedPreconditionError, InvalidArgumentError, NotFoundError
from runtime.containerd.metadata import Metadata
from runtime.containerd.snapshots.native import Native
from runtime.containerd.snapshots.overlayfs import Overlayfs
from runtime.containerd.snapshots.snapshotter import Snapshotter, Snapshotters
from runtime.containerd.snapshots.trees import copy_tree, remove_tree


@pytest.fixture(name="overlayfs")
def _overlayfs(tmp_path: Path, metadata: Metadata) -> Snapshotter:
    """An overlayfs snapshotter (nothing is mounted by it)."""
    snapshotter = Snapshotter(Overlayfs(str(tmp_path / "o")), str(tmp_path / "o"), metadata)
    snapshotter.sweep()
    return snapshotter


async def test_overlay_mounts_are_containerds(overlayfs: Snapshotter, tmp_path: Path) -> None:
    """The first layer is a bind mount, later ones overlays, nearest layer first; a view has no upper directory."""
    fs = [f"{tmp_path}/o/snapshots/{number}/fs" for number in range(5)]

    first = await overlayfs.prepare("a", "k1", "", ACTIVE, {})
    overlayfs.commit("a", "l1", "k1", {})
    second = await overlayfs.prepare("a", "k2", "l1", ACTIVE, {})
    view = await overlayfs.prepare("a", "v", "l1", VIEW, {})
    overlayfs.commit("a", "l2", "k2", {})
    third = await overlayfs.prepare("a", "k3", "l2", ACTIVE, {})

    assert (first[0].type, first[0].source, list(first[0].options)) == ("bind", fs[1], ["rw", "rbind"])
    assert (second[0].type, second[0].source) == ("overlay", "overlay")
    assert [o for o in second[0].options if "dir=" in o] == [
        f"workdir={tmp_path}/o/snapshots/2/work",
        f"upperdir={fs[2]}",
        f"lowerdir={fs[1]}",
    ]
    assert (view[0].type, view[0].source, list(view[0].options)) == ("bind", fs[1], ["ro", "rbind"])
    assert f"lowerdir={fs[2]}:{fs[1]}" in third[0].options
    assert overlayfs.mounts("a", "k3") == third


async def test_refusals_name_the_reason(overlayfs: Snapshotter) -> None:
    """Taken names, missing and uncommitted parents, children in the way."""
    await overlayfs.prepare("a", "k", "", ACTIVE, {})

    with pytest.raises(AlreadyExistsError):
        await overlayfs.prepare("a", "k", "", ACTIVE, {})
    with pytest.raises(NotFoundError, match="parent snapshot zz does not exist"):
        await overlayfs.prepare("a", "x", "zz", ACTIVE, {})
    with pytest.raises(InvalidArgumentError, match="is not committed snapshot"):
        await overlayfs.prepare("a", "x", "k", ACTIVE, {})
    overlayfs.commit("a", "l", "k", {})
    await overlayfs.prepare("a", "x", "l", ACTIVE, {})
    with pytest.raises(FailedPreconditionError, match="cannot remove snapshot with child"):
        overlayfs.forget("a", "l")
    with pytest.raises(FailedPreconditionError):
        overlayfs.mounts("a", "l")
    with pytest.raises(NotFoundError):
        overlayfs.stat("b", "l")


async def test_sweep_removes_directories_without_a_record(overlayfs: Snapshotter, tmp_path: Path) -> None:
    """A half-made directory, and one whose record is gone, do not stay."""
    await overlayfs.prepare("a", "k", "", ACTIVE, {})
    for name in ("new-7", "9"):
        (tmp_path / "o" / "snapshots" / name / "fs").mkdir(parents=True)

    overlayfs.sweep()
    await overlayfs.clear()

    assert os.listdir(tmp_path / "o" / "snapshots") == ["1"]


async def test_usage_counts_own_files_once(overlayfs: Snapshotter, tmp_path: Path) -> None:
    """A file with two names is one inode."""
    await overlayfs.prepare("a", "k", "", ACTIVE, {})
    fs = tmp_path / "o" / "snapshots" / "1" / "fs"
    (fs / "one").write_bytes(b"x" * 10000)
    os.link(fs / "one", fs / "two")

    size, inodes = await overlayfs.usage("a", "k")

    assert inodes == 2
    assert 10000 <= size < 40000


async def test_unknown_snapshotter_is_refused(metadata: Metadata) -> None:
    """Only those that are there and work are given out."""
    with pytest.raises(InvalidArgumentError, match="snapshotter not loaded: zfs"):
        Snapshotters([]).find("zfs")
    with pytest.raises(InvalidArgumentError, match="snapshotter argument missing"):
        Snapshotters([]).find("")


@pytest.mark.root
async def test_native_copy_is_faithful(tmp_path: Path) -> None:
    """Modes, owners, times, links of both kinds, attributes and devices are the same in the copy."""
    source, target = tmp_path / "s", tmp_path / "t"
    (source / "d").mkdir(parents=True)
    (source / "d" / "file").write_text("text")
    os.link(source / "d" / "file", source / "again")
    (source / "link").symlink_to("/etc/passwd")
    os.mknod(source / "null", stat.S_IFCHR | 0o666, os.makedev(1, 3))
    os.mkfifo(source / "fifo")
    os.chown(source / "d" / "file", 1000, 1001)
    os.chmod(source / "d" / "file", 0o4755)
    os.setxattr(source / "d" / "file", "trusted.mine", b"\x00\xff")
    os.utime(source / "d", (1000, 2000))

    await copy_tree(str(source), str(target))

    copied = os.lstat(target / "d" / "file")
    assert (copied.st_uid, copied.st_gid, stat.S_IMODE(copied.st_mode)) == (1000, 1001, 0o4755)
    assert os.lstat(target / "again").st_ino == copied.st_ino
    assert os.readlink(target / "link") == "/etc/passwd"
    assert os.lstat(target / "null").st_rdev == os.makedev(1, 3)
    assert stat.S_ISFIFO(os.lstat(target / "fifo").st_mode)
    assert os.getxattr(target / "d" / "file", "trusted.mine") == b"\x00\xff"
    assert os.lstat(target / "d").st_mtime == 2000


async def test_native_stacks_by_copying(tmp_path: Path, metadata: Metadata) -> None:
    """A snapshot on a layer has the layer's files, and changing them does not change the layer."""
    native = Snapshotter(Native(), str(tmp_path / "n"), metadata)
    native.sweep()
    first = await native.prepare("a", "k", "", ACTIVE, {})
    Path(first[0].source, "file").write_text("old")
    native.commit("a", "layer", "k", {})

    second = await native.prepare("a", "k2", "layer", ACTIVE, {})
    Path(second[0].source, "file").write_text("new")

    assert Path(first[0].source, "file").read_text() == "old"
    assert list(second[0].options) == ["rbind", "rw"]


@pytest.mark.slow
async def test_tree_is_removed_whatever_its_depth_and_names(tmp_path: Path) -> None:
    """Deeper than a path may be long, with names like our own and symlinks to the outside, which stay what they are."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "kept").write_text("")
    tree = tmp_path / "tree"
    tree.mkdir()
    for name in ("0", "1", "2"):
        (tree / name).mkdir()
        (tree / name / "1").symlink_to(outside)
    here = os.open(tree, os.O_RDONLY)
    for _ in range(1500):
        os.mkdir("directory", dir_fd=here)
        below = os.open("directory", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(here)

    await remove_tree(str(tree))

    assert sorted(os.listdir(tmp_path)) == ["outside"]
    assert os.listdir(outside) == ["kept"]


async def test_forgotten_snapshot_leaves_no_directory(overlayfs: Snapshotter, tmp_path: Path) -> None:
    """Forgetting is at once, the directory goes with `clear`."""
    await overlayfs.prepare("a", "k", "", ACTIVE, {})
    (tmp_path / "o" / "snapshots" / "1" / "fs" / "file").write_text("x")

    overlayfs.forget("a", "k")
    await overlayfs.clear()

    assert overlayfs.list("a") == []
    assert os.listdir(tmp_path / "o" / "snapshots") == []
