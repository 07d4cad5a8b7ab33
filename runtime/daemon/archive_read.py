"""A tar stream as files (moby: pkg/archive/archive.go Unpack, createTarFile; the format: pax(1), tar(5)).

Paths are the container's own, since the caller has made its root ours: a link or a `..` cannot lead outside of it. What
leads outside of the directory that was asked for is refused all the same, in dockerd's words. Plain, gzip, bzip2 and xz
archives are told apart by their first bytes.
"""

import bz2  # noqa: F401 - tarfile imports the three when an archive needs them, and by then the root is another one
import lzma
import os
import shutil
import stat
import tarfile
import zlib
from typing import BinaryIO

_XATTR = "SCHILY.xattr."


class ArchiveError(Exception):
    """The archive is none, or would write where it must not; the message says which."""


def unpack(archive: BinaryIO, target: str, keep_kind: bool) -> None:
    """Extract an archive in a directory; what is there under a name already is replaced, directories are merged.

    Args:
        archive: read as it comes, never sought in.
        target: an existing directory, without links in its path.
        keep_kind: refuse to replace a directory by something else, or something else by a directory.

    Raises:
        ArchiveError: not a tar, an entry that leads outside of `target`, or what the file system says against one.

    """
    directories: list[tuple[str, tarfile.TarInfo]] = []
    try:
        with tarfile.open(fileobj=archive, mode="r|*") as entries:
            for entry in entries:
                _extract(entries, entry, target, keep_kind)
                if entry.isdir():
                    directories.append((_inside(target, entry.name), entry))
    except (tarfile.TarError, EOFError, zlib.error, lzma.LZMAError) as error:
        if str(error) == "empty file":
            return  # no archive at all is an archive of nothing, as in dockerd
        raise ArchiveError(f"archive/tar: invalid tar header ({error})") from error
    except OSError as error:
        names = [name for name in (error.filename, error.filename2) if name]
        raise ArchiveError(": ".join([" ".join(names), (error.strerror or str(error)).lower()])) from error
    # Last, because every file that was made in a directory has changed its time.
    for path, entry in directories:
        _set_time(path, entry)


def _inside(target: str, name: str) -> str:
    path = os.path.normpath(f"{target}/{name.lstrip('/')}")
    if target != "/" and path != target and not path.startswith(f"{target}/"):
        raise ArchiveError(f'"{name}" is outside of "{target}"')
    return path


def _extract(entries: tarfile.TarFile, entry: tarfile.TarInfo, target: str, keep_kind: bool) -> None:
    path = _inside(target, entry.name)
    os.makedirs(os.path.dirname(path), mode=0o777, exist_ok=True)
    if not _make_room(path, entry, target, keep_kind):
        return
    if entry.isdir():
        if not os.path.isdir(path):
            os.mkdir(path)
    elif entry.isreg():
        _write(entries, entry, path)
    elif entry.islnk():
        os.link(_inside(target, entry.linkname), path, follow_symlinks=False)
        return  # the other name has set the rest already
    elif entry.issym():
        _inside_link(target, path, entry.linkname)
        os.symlink(entry.linkname, path)
    elif entry.isfifo():
        os.mkfifo(path)
    elif entry.ischr() or entry.isblk():
        kind = stat.S_IFCHR if entry.ischr() else stat.S_IFBLK
        try:
            os.mknod(path, kind | 0o600, os.makedev(entry.devmajor, entry.devminor))
        except OSError as error:  # mknod(2) is the one call here that does not say which name it means
            raise ArchiveError(f"{path}: {(error.strerror or '').lower()}") from error
    else:
        raise ArchiveError(f"unhandled tar header type {ord(entry.type)}")
    os.chown(path, entry.uid, entry.gid, follow_symlinks=False)
    _set_attributes(path, entry)
    if not entry.issym():
        os.chmod(path, entry.mode & 0o7777)  # after chown, which takes the set-user-id bit away
    if not entry.isdir():
        _set_time(path, entry)


def _make_room(path: str, entry: tarfile.TarInfo, target: str, keep_kind: bool) -> bool:
    """Take away what is there unless both are directories; False when there is nothing to do."""
    try:
        status = os.lstat(path)
    except FileNotFoundError:
        return True
    is_directory = stat.S_ISDIR(status.st_mode)
    if keep_kind and is_directory and not entry.isdir():
        raise ArchiveError(f'cannot overwrite directory "{path}" with non-directory "{target}"')
    if keep_kind and not is_directory and entry.isdir():
        raise ArchiveError(f'cannot overwrite non-directory "{path}" with directory "{target}"')
    if is_directory and entry.isdir():
        return path != target  # `.`: the directory that was asked for keeps what it is
    if is_directory:
        shutil.rmtree(path)
    else:
        os.unlink(path)
    return True


def _inside_link(target: str, path: str, link: str) -> None:
    leads_to = os.path.normpath(f"{os.path.dirname(path)}/{link.lstrip('/')}")
    if target != "/" and leads_to != target and not leads_to.startswith(f"{target}/"):
        raise ArchiveError(f'invalid symlink "{path}" -> "{link}"')


def _write(entries: tarfile.TarFile, entry: tarfile.TarInfo, path: str) -> None:
    content = entries.extractfile(entry)
    assert content is not None
    with open(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600), "wb") as file:
        shutil.copyfileobj(content, file, 1 << 20)


def _set_attributes(path: str, entry: tarfile.TarInfo) -> None:
    for key, value in entry.pax_headers.items():
        if key.startswith(_XATTR):
            data = str(value).encode("utf-8", "surrogateescape")
            os.setxattr(path, key.removeprefix(_XATTR), data, follow_symlinks=False)


def _set_time(path: str, entry: tarfile.TarInfo) -> None:
    instant_ns = int(float(entry.mtime) * 10**9)
    os.utime(path, ns=(instant_ns, instant_ns), follow_symlinks=False)
