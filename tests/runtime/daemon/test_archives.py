"""Tars of a container's files, and the differences of its layer: no container, no root."""

import bz2
import gzip
import io
import lzma
import os
import stat
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.daemon import changes as diff
from runtime.daemon.archive_read import ArchiveError, unpack
from runtime.daemon.archive_write import pack_tree
from runtime.daemon.errors import NotModeledError
from runtime.daemon.files_program import absolute, base_name, path_stat, resolve
from runtime.daemon.rootfs_files import SnapshotMount


def packed(source: Path, name: str | None) -> bytes:
    """A directory as a tar."""
    out = io.BytesIO()
    pack_tree(str(source), name, out)
    return out.getvalue()


def archive(*entries: tuple[str, bytes, str]) -> io.BytesIO:
    """A tar of (name, type, link target)."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, kind, link in entries:
            info = tarfile.TarInfo(name)
            info.type, info.linkname, info.uid, info.gid, info.mode = kind, link, os.getuid(), os.getgid(), 0o755
            info.size = 2 if kind == tarfile.REGTYPE else 0
            tar.addfile(info, io.BytesIO(b"hi") if info.size else None)
    return io.BytesIO(out.getvalue())


FILE, DIRECTORY, LINK, HARD = tarfile.REGTYPE, tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE


def test_packed_tree_comes_out_as_it_went_in(tmp_path: Path) -> None:
    """Kinds, modes, times, links and hard links survive a round trip."""
    source, target = tmp_path / "in", tmp_path / "out"
    (source / "sub").mkdir(parents=True)
    target.mkdir()
    (source / "sub" / "file").write_bytes(b"x" * 70000)
    (source / "sub" / "file").chmod(0o4751)
    os.link(source / "sub" / "file", source / "twin")
    (source / "link").symlink_to("/nowhere")
    os.mkfifo(source / "fifo", 0o640)
    os.utime(source / "sub", (5, 5))

    unpack(io.BytesIO(packed(source, "there")), str(target), keep_kind=False)

    found = target / "there"
    assert b"x" * 70000 == (found / "sub" / "file").read_bytes()
    assert 0o4751 == stat.S_IMODE((found / "sub" / "file").stat().st_mode)
    assert (found / "twin").samefile(found / "sub" / "file")
    assert "/nowhere" == os.readlink(found / "link")
    assert stat.S_ISFIFO((found / "fifo").lstat().st_mode)
    assert 5 == (found / "sub").stat().st_mtime


def test_pack_begins_below_a_tree_without_a_name(tmp_path: Path) -> None:
    """An export has no entry for the root itself; names are sorted, directories first, and owners are numbers."""
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "x").touch()
    (tmp_path / "a").touch()

    with tarfile.open(fileobj=io.BytesIO(packed(tmp_path, None))) as tar:
        entries = tar.getmembers()

    assert ["a", "b", "b/x"] == [entry.name for entry in entries]
    assert {""} == {entry.uname for entry in entries}


@pytest.mark.parametrize(
    ("entry", "complaint"),
    [
        (("../out", FILE, ""), '"../out" is outside of'),
        (("a/../../out", FILE, ""), "is outside of"),
        (("link", LINK, "../../etc"), 'invalid symlink "[^"]*/link" -> "../../etc"'),
        (("hard", HARD, "../../etc/passwd"), "is outside of"),
        (("hard", HARD, "nothing"), "no such file"),
    ],
)
def test_unpack_refuses_what_leads_outside(tmp_path: Path, entry: tuple[str, bytes, str], complaint: str) -> None:
    """Names, links and hard links beyond the directory are refused by name, and nothing is written there."""
    (tmp_path / "in").mkdir()

    with pytest.raises(ArchiveError, match=complaint):
        unpack(archive(entry), str(tmp_path / "in"), keep_kind=False)

    assert [tmp_path / "in"] == list(tmp_path.rglob("*"))


def test_unpack_takes_an_absolute_name_as_relative(tmp_path: Path) -> None:
    """`/a/b` lands in the directory that was asked for."""
    unpack(archive(("/a/b", FILE, "")), str(tmp_path), keep_kind=False)

    assert b"hi" == (tmp_path / "a" / "b").read_bytes()


@pytest.mark.parametrize(("old", "new"), [("file", DIRECTORY), ("directory", FILE)])
def test_unpack_changes_a_kind_only_where_allowed(tmp_path: Path, old: str, new: bytes) -> None:
    """With `noOverwriteDirNonDir` a file and a directory do not replace each other; without it they do."""
    (tmp_path / "x").mkdir() if old == "directory" else (tmp_path / "x").touch()

    with pytest.raises(ArchiveError, match="cannot overwrite"):
        unpack(archive(("x", new, "")), str(tmp_path), keep_kind=True)
    unpack(archive(("x", new, "")), str(tmp_path), keep_kind=False)

    assert (new == DIRECTORY) is (tmp_path / "x").is_dir()


@pytest.mark.parametrize("compress", [gzip.compress, bz2.compress, lzma.compress])
def test_unpack_knows_compressed_archives(tmp_path: Path, compress: Callable[[bytes], bytes]) -> None:
    """The first bytes say how an archive is compressed."""
    unpack(io.BytesIO(compress(archive(("there", FILE, "")).getvalue())), str(tmp_path), keep_kind=False)

    assert (tmp_path / "there").exists()


def test_unpack_of_nothing_is_nothing(tmp_path: Path) -> None:
    """An empty body is an empty archive."""
    unpack(io.BytesIO(), str(tmp_path), keep_kind=False)

    assert [] == list(tmp_path.iterdir())


@settings(max_examples=200, deadline=None)
@given(garbage=st.binary(min_size=1, max_size=2000), seed=st.integers(0, 3000))
def test_unpack_refuses_malformed_archives_as_such(
    garbage: bytes, seed: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Damage anywhere ends as an ArchiveError or as files inside of the directory, never as anything else."""
    outer = tmp_path_factory.mktemp("fuzz")
    target = outer / "in"
    target.mkdir()
    good = archive(("a", DIRECTORY, ""), ("a/b", FILE, ""), ("a/c", LINK, "b")).getvalue()
    damaged = good[: seed % len(good)] + garbage + good[seed % len(good) + len(garbage) :]

    try:
        unpack(io.BytesIO(damaged), str(target), keep_kind=False)
    except ArchiveError:
        pass

    assert [target] == list(outer.iterdir())


@pytest.mark.parametrize(
    ("path", "whole", "name"),
    [
        ("/", "/", "/"),
        ("etc", "/etc", "etc"),
        ("/etc/", "/etc/", "etc"),
        ("/etc/.", "/etc/.", "."),
        ("../../etc/../x", "/x", "x"),
    ],
)
def test_paths_are_read_as_dockerd_reads_them(path: str, whole: str, name: str) -> None:
    """From the root, cleaned, with the final slash or dot that says something to `docker cp`."""
    assert (whole, name) == (absolute(path), base_name(absolute(path)))


def test_resolve_follows_every_link_but_the_last(tmp_path: Path) -> None:
    """A link at the end is itself what is asked for; stat says where it leads."""
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    (tmp_path / "real" / "last").symlink_to("nowhere")

    described = path_stat(f"{tmp_path}/link/last")

    assert f"{tmp_path}/real/last" == resolve(f"{tmp_path}/link/last")
    assert ("last", f"{tmp_path}/real/nowhere") == (described["name"], described["linkTarget"])
    assert described["mode"] & 1 << 27


def overlay(folder: Path) -> list[SnapshotMount]:
    """An image with a few files below an empty writable layer."""
    for layer in ("lower", "upper"):
        (folder / layer).mkdir()
    (folder / "lower" / "etc").mkdir()
    for name in ("etc/passwd", "etc/group", "bin"):
        (folder / "lower" / name).write_text(name)
    options = (f"lowerdir={folder}/lower", f"upperdir={folder}/upper", f"workdir={folder}/work")
    return [SnapshotMount("overlay", "overlay", options)]


def test_changes_are_what_differs_from_the_image(tmp_path: Path) -> None:
    """New is added; another content is modified, and so is the directory that has it; a mere copy is nothing."""
    mounts = overlay(tmp_path)
    upper = tmp_path / "upper"
    (upper / "etc").mkdir()
    (upper / "etc" / "passwd").write_text("longer than it was")
    (upper / "new").mkdir()
    (upper / "new" / "file").touch()
    (upper / "bin").write_text("bin")
    os.utime(upper / "bin", ns=(0, (tmp_path / "lower" / "bin").stat().st_mtime_ns))

    found = diff.changes(mounts)

    assert [("/etc", 0), ("/etc/passwd", 0), ("/new", 1), ("/new/file", 1)] == found


def test_changes_leave_out_places_for_mounts(tmp_path: Path) -> None:
    """What the runtime had to make to mount on is not the container's doing; a file of its own in there is."""
    mounts = overlay(tmp_path)
    (tmp_path / "upper" / "dev").mkdir()
    (tmp_path / "upper" / "etc").mkdir()
    (tmp_path / "upper" / "etc" / "hosts").touch()
    nothing = diff.changes(mounts)

    (tmp_path / "upper" / "dev" / "mine").touch()

    assert [] == nothing
    assert [("/dev", 0), ("/dev/mine", 1)] == diff.changes(mounts)


@pytest.mark.root
def test_changes_know_whiteouts_and_opaque_directories(tmp_path: Path) -> None:
    """A whiteout deletes one name, an opaque directory all that the image has in it."""
    mounts = overlay(tmp_path)
    os.mknod(tmp_path / "upper" / "bin", stat.S_IFCHR, 0)
    (tmp_path / "upper" / "etc").mkdir()
    (tmp_path / "upper" / "etc" / "group").write_text("other")
    os.setxattr(tmp_path / "upper" / "etc", "trusted.overlay.opaque", b"y")

    found = diff.changes(mounts)

    assert [("/bin", 2), ("/etc", 0), ("/etc/group", 0), ("/etc/passwd", 2)] == found


def test_changes_need_an_overlay() -> None:
    """Another snapshotter has no layer that holds the differences, and is named as the reason."""
    with pytest.raises(NotModeledError, match="overlay"):
        diff.changes([SnapshotMount("bind", "/somewhere", ("rbind", "rw"))])
