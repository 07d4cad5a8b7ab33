"""Files as a tar stream (moby: pkg/archive/archive.go tarAppender; the format: pax(1), tar(5)).

What is kept of a file: kind, mode, owner as numbers, whole seconds of its time, link targets, device numbers, which
names are one file (hard links), and the one extended attribute that dockerd keeps: `security.capability`. Sockets are
left out, as they mean nothing in a file. Directories come before what is in them, names sorted.
"""

import os
import stat
import tarfile
from collections.abc import Iterator
from typing import BinaryIO

_CAPABILITY = "security.capability"
_KINDS = (
    (stat.S_ISREG, tarfile.REGTYPE),
    (stat.S_ISDIR, tarfile.DIRTYPE),
    (stat.S_ISLNK, tarfile.SYMTYPE),
    (stat.S_ISCHR, tarfile.CHRTYPE),
    (stat.S_ISBLK, tarfile.BLKTYPE),
    (stat.S_ISFIFO, tarfile.FIFOTYPE),
)


def pack_tree(source: str, name: str | None, out: BinaryIO) -> None:
    """Write a file or a directory with all that is in it. Raises OSError.

    Args:
        source: where it is.
        name: what it is called in the archive; None leaves the directory itself out, and names begin below it.
        out: takes the archive in pieces.

    """
    first_names: dict[tuple[int, int], str] = {}
    with tarfile.open(fileobj=out, mode="w|", format=tarfile.PAX_FORMAT) as archive:
        for path, archive_name in _walk(source, name):
            entry = _entry(path, archive_name, first_names)
            if entry is None:
                continue
            if entry.isreg():
                with open(path, "rb") as content:
                    archive.addfile(entry, content)
            else:
                archive.addfile(entry)


def _walk(path: str, name: str | None) -> Iterator[tuple[str, str]]:
    if name is not None:
        yield path, name
    if stat.S_ISDIR(os.lstat(path).st_mode):
        for child in sorted(os.listdir(path)):
            child_name = child if name is None else f"{name}/{child}"
            yield from _walk(f"{path.rstrip('/')}/{child}", child_name)


def _entry(path: str, name: str, first_names: dict[tuple[int, int], str]) -> tarfile.TarInfo | None:
    """A file's header. By hand: tarfile's own looks owners up, in a passwd file that is the container's by now."""
    status = os.lstat(path)
    kind = next((kind for is_kind, kind in _KINDS if is_kind(status.st_mode)), None)
    if kind is None:
        return None
    entry = tarfile.TarInfo(name or "/")
    entry.type, entry.mode = kind, stat.S_IMODE(status.st_mode)
    entry.uid, entry.gid, entry.mtime = status.st_uid, status.st_gid, status.st_mtime_ns // 10**9
    if kind == tarfile.SYMTYPE:
        entry.linkname = os.readlink(path)
    elif kind in (tarfile.CHRTYPE, tarfile.BLKTYPE):
        entry.devmajor, entry.devminor = os.major(status.st_rdev), os.minor(status.st_rdev)
    elif kind == tarfile.REGTYPE:
        entry.size = status.st_size
        _note_capability(path, entry)
    if kind != tarfile.DIRTYPE and status.st_nlink > 1:
        file_id = (status.st_dev, status.st_ino)
        if file_id in first_names:
            entry.type, entry.linkname, entry.size = tarfile.LNKTYPE, first_names[file_id], 0
        else:
            first_names[file_id] = entry.name
    return entry


def _note_capability(path: str, entry: tarfile.TarInfo) -> None:
    try:
        value = os.getxattr(path, _CAPABILITY)
    except OSError:
        return  # nearly every file: ENODATA, or a file system without attributes
    entry.pax_headers = {f"SCHILY.xattr.{_CAPABILITY}": value.decode("utf-8", "surrogateescape")}
