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


def open_path(root: str, path: str) -> int:
    """An O_PATH fd of a path inside root."""
    root_fd = os.open(root, _HERE | os.O_DIRECTORY)
    try:
        return sc.openat2(root_fd, path, _HERE, resolve=sc.RESOLVE_IN_ROOT)
    finally:
        os.close(root_fd)


class Opened:
    """`with Opened(root, path) as name`: a name that leads to the path's present top mount and nowhere else."""

    def __init__(self, root: str, path: str) -> None:
        self.fd = open_path(root, path)

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


def refuse_symlink(root: str, path: str, filesystem_type: str) -> None:
    """Refuse a link at the target of a proc or sysfs: the image's own files would stay at /proc, for checks to read."""
    root_fd = os.open(root, _HERE | os.O_DIRECTORY)
    try:
        relative = path.lstrip("/")
        flags = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC
        fd = sc.openat2(root_fd, relative, flags, resolve=sc.RESOLVE_IN_ROOT | sc.RESOLVE_NO_SYMLINKS)
    except FileNotFoundError:
        return
    except OSError:
        raise OCIError(f"filesystem {filesystem_type!r} must be mounted on ordinary directory: {path}") from None
    finally:
        os.close(root_fd)
    is_directory = stat.S_ISDIR(os.fstat(fd).st_mode)
    os.close(fd)
    if not is_directory:
        raise OCIError(f"filesystem {filesystem_type!r} must be mounted on ordinary directory: {path}")


def copy_tree(source: str, target: str) -> None:
    """Copy directories, files and links with owner and mode; other kinds have no place in a tmpfs copy."""
    for entry in os.scandir(source):
        destination = os.path.join(target, entry.name)
        status = entry.stat(follow_symlinks=False)
        if entry.is_symlink():
            os.symlink(os.readlink(entry.path), destination)
        elif entry.is_dir():
            os.mkdir(destination)
            copy_tree(entry.path, destination)
        elif entry.is_file():
            with open(entry.path, "rb") as reader, open(destination, "wb") as writer:
                os.sendfile(writer.fileno(), reader.fileno(), 0, status.st_size)
        else:
            continue
        os.chown(destination, status.st_uid, status.st_gid, follow_symlinks=False)
        if not entry.is_symlink():
            os.chmod(destination, stat.S_IMODE(status.st_mode))
    status = os.stat(source)
    os.chown(target, status.st_uid, status.st_gid)
    os.chmod(target, stat.S_IMODE(status.st_mode))
