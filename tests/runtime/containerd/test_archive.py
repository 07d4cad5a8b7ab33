"""Layers onto disk: every kind of entry, both kinds of whiteout, and no way out of the target."""

import gzip
import hashlib
import io
import os
import stat
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from runtime.containerd.archive.apply import apply_layer
from runtime.containerd.archive.stream import LayerStream
from runtime.containerd.archive.whiteouts import OverlayWhiteouts, PlainWhiteouts, Whiteouts
from runtime.containerd.errors import ContainerdError

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

pytestmark = pytest.mark.root

Entry = tuple[str, bytes, str, dict[str, Any]]


def entry(name: str, kind: bytes = tarfile.REGTYPE, link: str = "", **fields: Any) -> Entry:
    return name, kind, link, fields


def archive(*entries: Entry) -> bytes:
    """A tar of these entries; `data` and `xattrs` among the fields are not TarInfo's own."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, kind, link, fields in entries:
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, link
            info.mode = 0o755 if kind == tarfile.DIRTYPE else 0o644
            data = fields.pop("data", b"")
            for key, value in fields.pop("xattrs", {}).items():
                info.pax_headers = {**info.pax_headers, f"SCHILY.xattr.{key}": value}
            for key, value in fields.items():
                setattr(info, key, value)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


@pytest.fixture(name="target")
def _target(tmp_path: Path) -> Path:
    """The directory to unpack into; beside it lies a file that must not change."""
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "secret").write_text("untouched")
    (tmp_path / "target").mkdir()
    return tmp_path / "target"


@pytest.fixture(name="unpack")
def _unpack(tmp_path: Path, target: Path) -> Callable[..., Any]:
    """Apply a layer to the target and return its stream."""

    async def unpack(layer: bytes, hiding: Whiteouts | None = None, below: tuple[str, ...] = ()) -> LayerStream:
        (tmp_path / "blob").write_bytes(layer)
        stream = LayerStream(os.open(tmp_path / "blob", os.O_RDONLY))
        try:
            await apply_layer(stream, str(target), hiding or PlainWhiteouts(), below)
        finally:
            stream.close()
        return stream

    return unpack


async def test_every_kind_of_entry_is_made(unpack: Any, target: Path) -> None:
    """Files, directories, both links, devices and FIFOs, with owner, mode, times and attributes."""
    await unpack(
        archive(
            entry("./"),
            entry("dir", tarfile.DIRTYPE, mode=0o1777, mtime=1000, uid=5, gid=6),
            entry("dir/file", data=b"text", mode=0o4755, uid=7, gid=8, mtime=2000, xattrs={"user.mine": "value"}),
            entry("hard", tarfile.LNKTYPE, "dir/file"),
            entry("soft", tarfile.SYMTYPE, "/dir/file", uid=9, gid=9),
            entry("null", tarfile.CHRTYPE, devmajor=1, devminor=3, mode=0o666),
            entry("fifo", tarfile.FIFOTYPE, mode=0o600),
            entry("missing/parents/file", data=b"x"),
        )
    )

    made = os.lstat(target / "dir" / "file")
    assert (made.st_uid, made.st_gid, stat.S_IMODE(made.st_mode), made.st_mtime) == (7, 8, 0o4755, 2000)
    assert os.getxattr(target / "dir" / "file", "user.mine") == b"value"
    directory = os.lstat(target / "dir")
    assert (directory.st_uid, stat.S_IMODE(directory.st_mode), directory.st_mtime) == (5, 0o1777, 1000)
    assert os.lstat(target / "hard").st_ino == made.st_ino
    assert (os.readlink(target / "soft"), os.lstat(target / "soft").st_uid) == ("/dir/file", 9)
    assert os.lstat(target / "null").st_rdev == os.makedev(1, 3)
    assert stat.S_ISFIFO(os.lstat(target / "fifo").st_mode)
    assert (target / "missing" / "parents" / "file").read_bytes() == b"x"


async def test_long_names_and_large_files_are_whole(unpack: Any, target: Path) -> None:
    """Names beyond tar's hundred bytes, and a file of several megabytes."""
    name = "/".join(["d" * 100] * 3) + "/" + "f" * 200
    data = os.urandom(1 << 20) * 3 + b"end"

    await unpack(archive(entry(name, data=data)))

    assert (target / name).read_bytes() == data


async def test_gnu_long_names_and_links_are_whole(unpack: Any, target: Path) -> None:
    """The other way to write a name of more than a hundred bytes: an entry before the entry (tar(5), GNU)."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.GNU_FORMAT) as tar:
        for name, link in (("f" * 180, ""), ("l" * 190, "t" * 200)):
            info = tarfile.TarInfo(name)
            info.type, info.linkname = (tarfile.SYMTYPE, link) if link else (tarfile.REGTYPE, "")
            tar.addfile(info)

    await unpack(buffer.getvalue())

    assert sorted(os.listdir(target)) == ["f" * 180, "l" * 190]
    assert os.readlink(target / ("l" * 190)) == "t" * 200


async def test_file_capabilities_survive(unpack: Any, target: Path) -> None:
    """security.capability is bytes that are no text (capabilities(7), version 2: cap_net_raw=ep)."""
    capability = bytes.fromhex("0100000200200000000000000000000000000000")
    text = capability.decode("utf-8", "surrogateescape")
    changed = bytes.fromhex("010000020020000080ff00000000000000000000").decode("utf-8", "surrogateescape")

    await unpack(
        archive(
            entry("ping", mode=0o755, uid=3, xattrs={"security.capability": text}),
            entry("other", mode=0o755, xattrs={"security.capability": changed}),
        )
    )

    assert os.getxattr(target / "ping", "security.capability") == capability
    assert os.getxattr(target / "other", "security.capability").startswith(bytes.fromhex("010000020020000080ff"))


async def test_hard_link_to_a_symlink_is_the_symlink(unpack: Any, target: Path) -> None:
    """What the second name leads to is the link, not what the link leads to."""
    await unpack(archive(entry("soft", tarfile.SYMTYPE, "/etc/passwd"), entry("hard", tarfile.LNKTYPE, "soft")))

    assert os.readlink(target / "hard") == "/etc/passwd"
    assert os.lstat(target / "hard").st_nlink == 2


async def test_later_entry_replaces_what_is_in_the_way(unpack: Any, target: Path) -> None:
    """A file instead of a directory, a directory instead of a link; a directory stays a directory with its contents."""
    await unpack(
        archive(
            entry("a", tarfile.DIRTYPE),
            entry("a/inside"),
            entry("b", tarfile.SYMTYPE, "a"),
            entry("c", tarfile.DIRTYPE),
            entry("c/kept", data=b"1"),
        )
    )
    await unpack(archive(entry("a", data=b"now a file"), entry("b", tarfile.DIRTYPE), entry("c", tarfile.DIRTYPE)))

    assert (target / "a").read_bytes() == b"now a file"
    assert (target / "b").is_dir()
    assert not (target / "b").is_symlink()
    assert (target / "c" / "kept").read_bytes() == b"1"


@pytest.mark.parametrize("source", ["here/file", "elsewhere/file"])
@pytest.mark.parametrize(
    "old",
    [
        entry("here/name", data=b"old"),
        entry("here/name", tarfile.SYMTYPE, "/elsewhere"),
        entry("here/name/with/more", data=b"old"),
        entry("here/name", tarfile.FIFOTYPE),
    ],
)
async def test_hard_link_replaces_what_has_its_name(unpack: Any, target: Path, old: Entry, source: str) -> None:
    """Whatever that is, and whether what it links to is in the same directory or in another."""
    await unpack(archive(entry(source, data=b"new"), old, entry("here/name", tarfile.LNKTYPE, source)))

    assert os.lstat(target / "here" / "name").st_ino == os.lstat(target / source).st_ino


async def test_plain_whiteouts_remove(unpack: Any, target: Path) -> None:
    """`.wh.NAME` removes NAME with all in it; an opaque directory keeps only what this layer has put there."""
    await unpack(archive(*(entry(name) for name in ("etc/one", "etc/two", "var/old/deep", "var/keep/below", "top"))))
    await unpack(
        archive(
            entry("var/new"),
            entry("var/keep", tarfile.DIRTYPE),
            entry("var/.wh..wh..opq"),
            entry("etc/.wh.one"),
            entry(".wh.top"),
            entry("etc/.wh..wh.plnk"),
        )
    )

    found = sorted(str(path.relative_to(target)) for path in target.rglob("*"))
    assert found == ["etc", "etc/two", "var", "var/keep", "var/new"]


async def test_overlay_whiteouts_are_what_overlayfs_reads(unpack: Any, target: Path, tmp_path: Path) -> None:
    """A device 0:0, an opaque attribute, and missing parents that look like the layer's below."""
    below = tmp_path / "below"
    (below / "srv").mkdir(parents=True)
    os.chmod(below / "srv", 0o711)
    os.chown(below / "srv", 12, 13)

    layer = archive(entry("srv/file"), entry("etc/.wh.gone"), entry("var/.wh..wh..opq"), entry("var/new"))
    await unpack(layer, OverlayWhiteouts(), (str(below),))

    hidden = os.lstat(target / "etc" / "gone")
    assert (stat.S_ISCHR(hidden.st_mode), hidden.st_rdev) == (True, 0)
    assert os.getxattr(target / "var", "trusted.overlay.opaque") == b"y"
    parent = os.lstat(target / "srv")
    assert (stat.S_IMODE(parent.st_mode), parent.st_uid, parent.st_gid) == (0o711, 12, 13)


@pytest.mark.parametrize(
    ("entries", "where"),
    [
        ([entry("../../outside/new")], "outside/new"),
        ([entry("/outside/new")], "outside/new"),
        ([entry("a/../../../outside/new")], "outside/new"),
        ([entry("link", tarfile.SYMTYPE, "/"), entry("link/outside/new")], "outside/new"),
        ([entry("link", tarfile.SYMTYPE, "../.."), entry("link/outside/new")], "outside/new"),
        ([entry("link", tarfile.SYMTYPE, "/outside"), entry("link/new")], "outside/new"),
        (
            [
                entry("d/l", tarfile.SYMTYPE, "../../../.."),
                entry("l2", tarfile.SYMTYPE, "d/l/outside"),
                entry("l2/new"),
            ],
            "outside/new",
        ),
        ([entry("outside/new", tarfile.SYMTYPE, "/etc/passwd"), entry("outside/new", data=b"mine")], "outside/new"),
    ],
)
async def test_no_name_leads_out(unpack: Any, target: Path, entries: list[Entry], where: str) -> None:
    """`..`, absolute names and symlinks all end below the target."""
    await unpack(archive(*entries))

    assert stat.S_ISREG(os.lstat(target / where).st_mode)
    assert os.listdir(target.parent / "outside") == ["secret"]


@pytest.mark.parametrize(
    "entries",
    [
        [entry("hard", tarfile.LNKTYPE, "../outside/secret")],
        [entry("l", tarfile.SYMTYPE, "../outside"), entry("hard", tarfile.LNKTYPE, "l/secret")],
        [entry("hard", tarfile.LNKTYPE, "/etc/passwd")],
        [entry("loop", tarfile.SYMTYPE, "loop"), entry("loop/file")],
        [entry("file"), entry("file/below")],
        [entry(".wh..")],
        [entry("dir/.wh.")],
    ],
)
async def test_entry_that_cannot_be_is_refused_by_name(unpack: Any, target: Path, entries: list[Entry]) -> None:
    """Hard links to the outside, loops, files as directories, whiteouts of nothing."""
    with pytest.raises(ContainerdError):
        await unpack(archive(*entries))

    assert (target.parent / "outside" / "secret").read_text() == "untouched"
    assert os.lstat(target.parent / "outside" / "secret").st_nlink == 1


async def test_whiteout_through_a_symlink_stays_inside(unpack: Any, target: Path) -> None:
    """A symlink to the outside is no way to have a file removed there."""
    await unpack(archive(entry("l", tarfile.SYMTYPE, str(target.parent / "outside")), entry("l/.wh.secret")))
    await unpack(archive(entry("l/.wh..wh..opq")))

    assert (target.parent / "outside" / "secret").read_text() == "untouched"


async def test_overlays_own_attributes_are_not_taken(unpack: Any, target: Path) -> None:
    """A layer cannot make overlayfs look elsewhere."""
    xattrs = {"trusted.overlay.redirect": "/etc", "user.overlay.opaque": "y", "user.fine": "1"}
    await unpack(archive(entry("d", tarfile.DIRTYPE, xattrs=xattrs)))

    assert os.listxattr(target / "d") == ["user.fine"]


async def test_digest_is_of_the_uncompressed_whole(unpack: Any) -> None:
    """The diff ID counts the padding behind the archive, and is the same for a compressed layer."""
    layer = archive(entry("file", data=b"x" * 5000)) + b"\0" * 4096

    plain = await unpack(layer)
    gzipped = await unpack(gzip.compress(layer[:3000]) + gzip.compress(layer[3000:]))
    zstandard = await unpack(zstd.compress(layer))

    assert plain.digest == gzipped.digest == zstandard.digest == f"sha256:{hashlib.sha256(layer).hexdigest()}"
    assert plain.size == gzipped.size == zstandard.size == len(layer)


@pytest.mark.parametrize(
    "layer",
    [
        b"",
        b"abc",
        b"\x1f\x8b broken",
        gzip.compress(archive(entry("f", data=b"x" * 9000)), mtime=0)[:60],
        b"\x28\xb5\x2f\xfd broken",
        zstd.compress(archive(entry("f", data=b"x" * 9000)))[:60],
        b"\xff" * 2048,
    ],
)
async def test_what_is_no_archive_is_refused(unpack: Any, layer: bytes) -> None:
    """Empty, short, cut off or other bytes: one sentence."""
    with pytest.raises(ContainerdError, match="the layer is no tar archive"):
        await unpack(layer)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.integers(0, 6143), st.integers(0, 255)), min_size=1, max_size=12), st.integers(0, 6144))
async def test_damaged_archive_is_refused_or_harmless(
    unpack: Any, target: Path, damage: list[tuple[int, int]], length: int
) -> None:
    """Whatever bytes are changed or cut off: an error of containerd's own kind or a tree, and nothing outside."""
    layer = bytearray(archive(entry("a", data=b"1"), entry("l", tarfile.SYMTYPE, ".."), entry("l/b", data=b"2")))
    for position, value in damage:
        layer[position % len(layer)] = value

    try:
        await unpack(bytes(layer[:length]))
    except ContainerdError:
        pass

    assert sorted(os.listdir(target.parent)) in (["blob", "outside", "target"], ["outside", "target"])
    assert os.listdir(target.parent / "outside") == ["secret"]
