"""Paths inside a root file system that somebody else wrote.

Counterpart: filepath-securejoin and libpathrs, which runc uses. An image may hold `/etc -> /host/etc` or change such a
link while we look. openat2(2) with RESOLVE_IN_ROOT resolves as if chrooted, atomically, and hands back an fd; the fd is
then used through /proc/self/fd/N, never the path again. Kernels before 5.6 lack openat2: it fails with "function not
implemented" rather than fall back to something that only looks safe.
"""

import os
import stat

from runtime.oci import syscalls as sc
from runtime.oci.errors import OCIError

_HERE = os.O_PATH | os.O_CLOEXEC


def open_path(root: str, path: str, *, links: bool = True) -> int:
    """An O_PATH fd of a path inside root; without links, one that meets a symbolic link on the way is an error."""
    root_fd = os.open(root, _HERE | os.O_DIRECTORY)
    resolve = sc.RESOLVE_IN_ROOT if links else sc.RESOLVE_IN_ROOT | sc.RESOLVE_NO_SYMLINKS
    try:
        return sc.openat2(root_fd, path, _HERE, resolve=resolve)
    finally:
        os.close(root_fd)


def where(root: str, fd: int) -> str:
    """The path below root that an fd leads to: what became of the path that was opened, links and all."""
    path = os.readlink(f"/proc/self/fd/{fd}")
    if path == root:
        return "/"
    if not path.startswith(root + "/"):
        raise OCIError(f'"{path}" is not in the root file system any more')
    return path[len(root) :]


class Opened:
    """`with Opened(root, path) as name`: a name that leads to the path's present top mount and nowhere else."""

    def __init__(self, root: str, path: str, *, links: bool = True) -> None:
        self.fd = open_path(root, path, links=links)

    def __enter__(self) -> str:
        return f"/proc/self/fd/{self.fd}"

    def __exit__(self, *_: object) -> None:
        os.close(self.fd)


def open_or_create(root: str, path: str, kind: int, mode: int = 0o755) -> int:
    """Open a path inside root, making missing directories and at the end a directory or an empty file."""
    try:
        return open_path(root, path)
    except FileNotFoundError:
        pass
    parent, name = os.path.split(path.rstrip("/"))
    parent_fd = open_or_create(root, parent or "/", stat.S_IFDIR)
    try:
        # ".." cannot come out of a root-relative normalised path, and mkdirat does not follow a link at `name`
        if kind == stat.S_IFDIR:
            os.mkdir(name, mode, dir_fd=parent_fd)
        else:
            os.close(os.open(name, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, mode & 0o666, dir_fd=parent_fd))
    except FileExistsError:
        pass  # a dangling link: opening it below says so
    finally:
        os.close(parent_fd)
    return open_path(root, path)


def open_file_itself(parent_fd: int, path: str) -> int:
    """An O_PATH fd of a path's last part in its directory: a file, which is made if missing and must not be a link."""
    name = os.path.basename(path)
    try:
        # something is mounted on it: the file below is for nobody, and in a volume it stays
        os.close(os.open(name, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0, dir_fd=parent_fd))
    except FileExistsError:
        pass
    fd = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent_fd)
    if stat.S_ISLNK(os.fstat(fd).st_mode):
        os.close(fd)
        raise OCIError(f"{path} is a link: no device can be mounted on it")
    return fd


def copy_tree(source_fd: int, target_fd: int) -> None:
    """Copy directories, files and links with owner and mode; other kinds have no place in a tmpfs copy.

    By descriptor and never through a link: the source may be shared with a container that swaps a file for a link
    while we copy, and the root is still the host's.
    """
    for name in os.listdir(source_fd):
        status = os.stat(name, dir_fd=source_fd, follow_symlinks=False)
        if stat.S_ISLNK(status.st_mode):
            os.symlink(os.readlink(name, dir_fd=source_fd), name, dir_fd=target_fd)
            os.chown(name, status.st_uid, status.st_gid, dir_fd=target_fd, follow_symlinks=False)
        elif stat.S_ISDIR(status.st_mode) or stat.S_ISREG(status.st_mode):
            from_fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=source_fd)
            try:
                _copy_opened(from_fd, name, target_fd)
            finally:
                os.close(from_fd)
    _copy_owner(os.fstat(source_fd), target_fd)


def _copy_opened(from_fd: int, name: str, target_fd: int) -> None:
    status = os.fstat(from_fd)
    flags = os.O_NOFOLLOW | os.O_CLOEXEC
    if stat.S_ISDIR(status.st_mode):
        os.mkdir(name, dir_fd=target_fd)
        to_fd = os.open(name, os.O_RDONLY | os.O_DIRECTORY | flags, dir_fd=target_fd)
    elif stat.S_ISREG(status.st_mode):
        to_fd = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | flags, 0o600, dir_fd=target_fd)
    else:
        return  # became something else meanwhile
    try:
        if stat.S_ISDIR(status.st_mode):
            copy_tree(from_fd, to_fd)
        else:
            while os.sendfile(to_fd, from_fd, None, 1 << 30):
                pass
            _copy_owner(status, to_fd)
    finally:
        os.close(to_fd)


def _copy_owner(status: os.stat_result, fd: int) -> None:
    os.fchown(fd, status.st_uid, status.st_gid)
    os.fchmod(fd, stat.S_IMODE(status.st_mode))
