"""Copy a directory of the image into a new volume (moby: daemon/volumes_unix.go copyImagePathContent, continuity's fs).

Kept of a file: kind, owner, mode, time, extended attributes, device numbers, and which names are one file (hard links).
Nothing is followed: a link is copied as the text that it is. Runs in `files_program`, where the image and the volume
are side by side in a root of their own, so that neither can lead anywhere else.
"""

import errno
import os
import shutil
import stat


def copy_directory(source: str, target: str) -> None:
    """Make an existing, empty directory what another one is. Raises OSError."""
    _copy_children(source, target, {})


def _copy_children(source: str, target: str, first_names: dict[tuple[int, int], str]) -> None:
    for name in sorted(os.listdir(source)):
        _copy(f"{source}/{name}", f"{target}/{name}", first_names)
    # Last, because every file that was made in it has changed the directory's time.
    _copy_attributes(source, target, os.lstat(source))


def _copy(source: str, target: str, first_names: dict[tuple[int, int], str]) -> None:
    status = os.lstat(source)
    if stat.S_ISDIR(status.st_mode):
        os.mkdir(target, 0o700)
        _copy_children(source, target, first_names)
        return
    file_id = (status.st_dev, status.st_ino)
    if file_id in first_names:
        os.link(first_names[file_id], target, follow_symlinks=False)
        return
    if status.st_nlink > 1:
        first_names[file_id] = target
    if stat.S_ISREG(status.st_mode):
        shutil.copyfile(source, target)
    elif stat.S_ISLNK(status.st_mode):
        os.symlink(os.readlink(source), target)
    else:
        os.mknod(target, status.st_mode, status.st_rdev)
    _copy_attributes(source, target, status)


def _copy_attributes(source: str, target: str, status: os.stat_result) -> None:
    os.chown(target, status.st_uid, status.st_gid, follow_symlinks=False)
    for name in _attribute_names(source):  # after chown, which takes a file's capabilities away
        os.setxattr(target, name, os.getxattr(source, name, follow_symlinks=False), follow_symlinks=False)
    if not stat.S_ISLNK(status.st_mode):
        os.chmod(target, stat.S_IMODE(status.st_mode))  # after chown, which takes the set-user-id bit away
    os.utime(target, ns=(status.st_atime_ns, status.st_mtime_ns), follow_symlinks=False)


def _attribute_names(path: str) -> list[str]:
    try:
        return os.listxattr(path, follow_symlinks=False)
    except OSError as error:
        if error.errno == errno.ENOTSUP:
            return []
        raise
