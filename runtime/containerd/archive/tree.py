"""A directory tree that names cannot lead out of.

Real counterpart: `fs.RootPath` of containerd's continuity, and openat2(2) with RESOLVE_IN_ROOT: a layer may hold
`../../etc`, a symlink to `/`, and then a file "below" that symlink. Every name is resolved component by component
with directory descriptors, as the container itself would see it: `..` stops at the root, and absolute symlinks start
at it. (openat2 would do it in one call, but is not everywhere allowed; this way it can be read, too.)
"""

import os
import shutil
import stat
from collections.abc import Callable
from typing import NamedTuple

_MAX_LINKS = 255
_DIRECTORY = os.O_PATH | os.O_NOFOLLOW | os.O_DIRECTORY | os.O_CLOEXEC


class Place(NamedTuple):
    """A name in an open directory: what every *at(2) call takes."""

    directory: int
    name: str


class Tree:
    """The tree below one directory."""

    def __init__(self, root: str) -> None:
        self._root = os.open(root, _DIRECTORY & ~os.O_NOFOLLOW)
        # Most entries of an archive follow others of the same directory.
        self._cached_name = ""
        self._cached_directory = -1

    def close(self) -> None:
        """Close all descriptors."""
        self.forget()
        os.close(self._root)

    def forget(self) -> None:
        """Forget the last directory: it may have been replaced."""
        if self._cached_directory >= 0:
            os.close(self._cached_directory)
            self._cached_directory = -1

    def place(self, path: str, on_missing: "Callable[[Place, str], None] | None" = None) -> Place:
        """Return where `path` (normal, relative) is; missing directories on the way are made by `on_missing`."""
        parent, _, name = path.rpartition("/")
        if self._cached_directory < 0 or parent != self._cached_name:
            self.forget()
            self._cached_directory = self._walk(parent, on_missing)
            self._cached_name = parent
        return Place(self._cached_directory, name)

    def has_at_hand(self, path: str) -> bool:
        """Whether `path` is in the directory that is open already."""
        return self._cached_directory >= 0 and path.rpartition("/")[0] == self._cached_name

    def borrow(self, path: str) -> Place:
        """Like `place`, but with a descriptor of the caller's own, for when two places are needed at once."""
        place = self.place(path)
        return Place(os.dup(place.directory), place.name)

    def _walk(self, path: str, on_missing: "Callable[[Place, str], None] | None") -> int:
        stack = [(os.dup(self._root), "")]
        waiting = [part for part in reversed(path.split("/")) if part not in ("", ".")]
        links = 0
        try:
            while waiting:
                part = waiting.pop()
                here, so_far = stack[-1]
                if part == "..":
                    if len(stack) > 1:
                        os.close(stack.pop()[0])
                    continue
                name = f"{so_far}/{part}".lstrip("/")
                try:
                    stack.append((_enter(here, part), name))
                except FileNotFoundError:
                    if on_missing is None:
                        raise
                    on_missing(Place(here, part), name)
                    stack.append((_enter(here, part), name))
                except NotADirectoryError:
                    target = _read_link(here, part)
                    links += 1
                    if links > _MAX_LINKS:
                        raise OSError(40, "too many levels of symbolic links", path) from None
                    if target.startswith("/"):
                        while len(stack) > 1:
                            os.close(stack.pop()[0])
                    waiting += [p for p in reversed(target.split("/")) if p not in ("", ".")]
            return os.dup(stack[-1][0])
        finally:
            for descriptor, _ in stack:
                os.close(descriptor)

    def remove(self, place: Place) -> None:
        """Remove whatever has this name, with all that is in it."""
        status = lstat(place)
        if status is None:
            return
        if not stat.S_ISREG(status.st_mode):
            # The cached directory may be below it, or behind it if it is a symlink; the place itself must stay usable.
            self._cached_name = "\0"
        if stat.S_ISDIR(status.st_mode):
            shutil.rmtree(place.name, dir_fd=place.directory)
        else:
            os.unlink(place.name, dir_fd=place.directory)


def lstat(place: Place) -> os.stat_result | None:
    """Return the status of what has this name, None if nothing has."""
    try:
        return os.stat(place.name, dir_fd=place.directory, follow_symlinks=False)
    except FileNotFoundError:
        return None


def proc_path(place: Place) -> str:
    """Return a path for calls that take no directory descriptor (setxattr)."""
    return f"/proc/self/fd/{place.directory}/{place.name}"


def _enter(directory: int, name: str) -> int:
    return os.open(name, _DIRECTORY, dir_fd=directory)


def _read_link(directory: int, name: str) -> str:
    try:
        return os.readlink(name, dir_fd=directory)
    except OSError:
        raise NotADirectoryError(20, "not a directory", name) from None
