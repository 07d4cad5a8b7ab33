"""Apply a layer: make the tree on disk what the tar stream says.

Real counterpart: containerd `archive/tar.go` (Apply); image-spec "layer.md"; tar(5) for the pax attributes.

Entry by entry, in the order of the archive: resolve the name below the target (tree.py), take a whiteout for what it
is (whiteouts.py), create, removing what is in the way unless both are directories, then owner, attributes, mode and
times, in that order: chown(2) clears the set-user-ID bit and file capabilities, so it comes first. Times of
directories come last of all, since filling a directory changes them.

The event loop gets a turn every few entries, and every megabyte of a large file.
"""

import asyncio
import errno
import os
import posixpath
import stat
import tarfile
from collections.abc import Sequence

from runtime.containerd import log, mounts
from runtime.containerd.archive import whiteouts
from runtime.containerd.archive.stream import LayerStream
from runtime.containerd.archive.tree import Place, Tree, lstat, proc_path
from runtime.containerd.errors import ContainerdError, InvalidArgumentError

_ENTRIES_A_TURN = 16
_CHUNK = 1 << 20
_XATTR = "SCHILY.xattr."
_OVERLAYS_OWN = ("trusted.overlay.", "user.overlay.")
"""Attributes by which overlayfs keeps its own books: a layer that could set them could point anywhere."""


async def apply_layer(stream: LayerStream, target: str, hiding: whiteouts.Whiteouts, below: Sequence[str] = ()) -> None:
    """Unpack the layer into `target`; `below` are the layers under it, models for a missing parent directory."""
    layer = _Layer(target, hiding, below)
    unreadable: tuple[type[Exception], ...] = (tarfile.TarError, *stream.errors)
    try:
        with tarfile.open(fileobj=stream, mode="r|", bufsize=_CHUNK // 4) as archive:  # type: ignore[call-overload]
            for count, entry in enumerate(archive, 1):
                archive.members.clear()  # tarfile remembers all entries; a layer may have a million
                await layer.apply(archive, entry)
                if count % _ENTRIES_A_TURN == 0:
                    await asyncio.sleep(0)
        layer.set_directory_times()
        stream.drain()
    except unreadable as error:
        raise ContainerdError(f"the layer is no tar archive: {error}") from None
    finally:
        layer.close()


class _Layer:
    """The state of one unpacking."""

    def __init__(self, target: str, hiding: whiteouts.Whiteouts, below: Sequence[str]) -> None:
        self._tree = Tree(target)
        self._below = [Tree(directory) for directory in below]
        self._hiding = hiding
        self._unpacked: set[str] = set()
        self._directory_times: dict[str, float] = {}

    def close(self) -> None:
        for tree in (self._tree, *self._below):
            tree.close()

    async def apply(self, archive: tarfile.TarFile, entry: tarfile.TarInfo) -> None:
        # An absolute name, and `..` at the start, mean the root of the layer.
        path = posixpath.normpath(f"/{entry.name}").lstrip("/")
        if not path:
            return  # the root itself: it is the snapshot's, and containerd leaves it as it is
        try:
            await self._apply(archive, entry, path)
        except OSError as error:
            raise _explain(error, entry) from None

    async def _apply(self, archive: tarfile.TarFile, entry: tarfile.TarInfo, path: str) -> None:
        parent, _, name = path.rpartition("/")
        place = self._tree.place(path, self._make_parent)
        if name.startswith(whiteouts.PREFIX):
            self._whiteout(place, parent, name)
            return
        try:
            made = await self._create(archive, entry, place)
        except FileExistsError:
            # Seldom, so nobody looks before creating. Found once more: a hard link's target may have been looked up.
            place = self._tree.place(path)
            made = entry.isdir() and _is_directory(place)
            if not made:
                self._tree.remove(place)
                made = await self._create(archive, entry, place)
        if made and not entry.islnk():
            _set_attributes(place, entry)
        if entry.isdir():
            self._directory_times[path] = entry.mtime
        self._unpacked.add(path)

    def _whiteout(self, place: Place, parent: str, name: str) -> None:
        if name == whiteouts.OPAQUE:
            self._hiding.hide_all(self._tree, parent, self._unpacked)
        elif not name.startswith(whiteouts.META):
            hidden = name.removeprefix(whiteouts.PREFIX)
            if hidden in ("", ".", ".."):
                raise InvalidArgumentError(f'invalid whiteout name: "{name}"')
            self._hiding.hide(self._tree, Place(place.directory, hidden))

    def _make_parent(self, place: Place, path: str) -> None:
        """Make a directory that the archive has files for, but no entry."""
        os.mkdir(place.name, 0o755, dir_fd=place.directory)
        for tree in self._below:
            try:
                model = lstat(tree.place(path))
            except (FileNotFoundError, NotADirectoryError):
                continue
            if model is not None:
                if stat.S_ISDIR(model.st_mode):
                    os.chown(place.name, model.st_uid, model.st_gid, dir_fd=place.directory, follow_symlinks=False)
                    os.chmod(place.name, stat.S_IMODE(model.st_mode), dir_fd=place.directory)
                return

    def _link(self, place: Place, target: str) -> None:
        """A hard link is to a name of this archive, found as any other name is."""
        path = posixpath.normpath(f"/{target}").lstrip("/")
        if self._tree.has_at_hand(path):
            self._link_to(self._tree.place(path), place.directory, place.name)
            return
        # Looking the target up closes the entry's own directory.
        directory = os.dup(place.directory)
        try:
            self._link_to(self._tree.place(path), directory, place.name)
        finally:
            os.close(directory)

    @staticmethod
    def _link_to(source: Place, directory: int, name: str) -> None:
        os.link(source.name, name, src_dir_fd=source.directory, dst_dir_fd=directory, follow_symlinks=False)

    async def _create(self, archive: tarfile.TarFile, entry: tarfile.TarInfo, place: Place) -> bool:
        """Create the entry bare; return False if it cannot be had here, and nothing has its name.

        Raises FileExistsError.
        """
        directory, name = place.directory, place.name
        if entry.islnk():
            self._link(place, entry.linkname)
        elif entry.isdir():
            os.mkdir(name, 0o700, dir_fd=directory)
        elif entry.isreg():
            await _write_file(archive, entry, place)
        elif entry.issym():
            os.symlink(entry.linkname, name, dir_fd=directory)
        elif entry.isfifo():
            os.mkfifo(name, 0o600, dir_fd=directory)
        elif entry.isdev():
            if mounts.in_user_namespace():
                # mknod(2) of a device needs CAP_MKNOD in the first user namespace; containerd leaves it out, too.
                log.warn(f"device node {entry.name} is left out: it cannot be made in a user namespace")
                self._tree.remove(place)
                return False
            kind = stat.S_IFCHR if entry.ischr() else stat.S_IFBLK
            os.mknod(name, kind | 0o600, os.makedev(entry.devmajor, entry.devminor), dir_fd=directory)
        else:
            raise InvalidArgumentError(f'unhandled tar header type {entry.type!r} of "{entry.name}"')
        return True

    def set_directory_times(self) -> None:
        """Give directories their times, now that nothing changes them any more."""
        for path, time in self._directory_times.items():
            try:
                place = self._tree.place(path)
                os.utime(place.name, (time, time), dir_fd=place.directory, follow_symlinks=False)
            except (FileNotFoundError, NotADirectoryError):
                continue  # a later entry has replaced it


def _is_directory(place: Place) -> bool:
    found = lstat(place)
    return found is not None and stat.S_ISDIR(found.st_mode)


async def _write_file(archive: tarfile.TarFile, entry: tarfile.TarInfo, place: Place) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    file = os.open(place.name, flags, 0o600, dir_fd=place.directory)
    try:
        source = archive.extractfile(entry)
        assert source is not None
        written = 0
        while chunk := source.read(_CHUNK):
            written += _write_all(file, chunk)
            if written % _CHUNK == 0:
                await asyncio.sleep(0)
    finally:
        os.close(file)


def _write_all(file: int, data: bytes) -> int:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(file, rest) :]
    return len(data)


def _set_attributes(place: Place, entry: tarfile.TarInfo) -> None:
    directory, name = place.directory, place.name
    os.chown(name, entry.uid, entry.gid, dir_fd=directory, follow_symlinks=False)
    for key, value in entry.pax_headers.items():
        if key.startswith(_XATTR):
            _set_xattr(place, key.removeprefix(_XATTR), value.encode("utf-8", "surrogateescape"))
    if not entry.issym():
        os.chmod(name, stat.S_IMODE(entry.mode), dir_fd=directory)
    if not entry.isdir():
        os.utime(name, (entry.mtime, entry.mtime), dir_fd=directory, follow_symlinks=False)


def _set_xattr(place: Place, name: str, value: bytes) -> None:
    if name.startswith(_OVERLAYS_OWN):
        return
    try:
        os.setxattr(proc_path(place), name, value, follow_symlinks=False)
    except OSError as error:
        # containerd goes on without an attribute that the file system cannot keep; so must a user namespace with
        # trusted.*.
        if error.errno not in (errno.ENOTSUP, errno.EPERM):
            raise
        log.warn(f"attribute {name} of {place.name} is left out: {(error.strerror or '').lower()}")


def _explain(error: OSError, entry: tarfile.TarInfo) -> ContainerdError:
    reason = (error.strerror or str(error)).lower()
    if error.errno == errno.EINVAL and mounts.in_user_namespace():
        reason += f" (owner {entry.uid}:{entry.gid} may not be mapped: see /etc/subuid and /etc/subgid)"
    return ContainerdError(f'failed to unpack "{entry.name}": {reason}')
