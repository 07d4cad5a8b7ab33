"""The native snapshotter: each snapshot is a whole copy of its parent. Slow and large, and works on any file system.

Real counterpart: containerd `snapshots/native/native.go`; `continuity/fs/copy.go`.
"""

import asyncio
import os
import shutil

from runtime.api.containerd.snapshots_pb2 import VIEW
from runtime.api.containerd.types_pb2 import Mount


class Native:
    """Layers as full copies."""

    name = "native"

    async def make(self, directory: str, parents: tuple[str, ...], kind: int) -> None:
        # A view is not written to, so the parent's own directory can be shown.
        if parents and kind != VIEW:
            await copy_tree(parents[0], directory)
        else:
            os.mkdir(directory, 0o755)

    def mounts(self, directory: str, parents: tuple[str, ...], kind: int) -> list[Mount]:
        view = kind == VIEW
        source = parents[0] if view and parents else directory
        return [Mount(type="bind", source=source, options=["rbind", "ro" if view else "rw"])]

    def contents(self, directory: str) -> str:
        return directory

    def problem(self) -> str:
        return ""


async def copy_tree(source: str, target: str) -> None:
    """Copy a directory tree as it is: owners, modes, times, attributes, hard links, links, devices."""
    linked: dict[tuple[int, int], str] = {}
    os.mkdir(target, 0o700)
    directories = [(source, target)]
    for here, there in directories:
        for entry in os.scandir(here):
            copied = os.path.join(there, entry.name)
            status = entry.stat(follow_symlinks=False)
            identity = status.st_dev, status.st_ino
            if entry.is_dir(follow_symlinks=False):
                os.mkdir(copied, 0o700)
                directories.append((entry.path, copied))
            elif identity in linked:
                os.link(linked[identity], copied, follow_symlinks=False)
            else:
                _copy_entry(entry, copied, status)
                if status.st_nlink > 1:
                    linked[identity] = copied
        # One directory at a time: other clients are served in between.
        await asyncio.sleep(0)
    # Children first: filling a directory changes its times.
    for here, there in reversed(directories):
        _copy_attributes(here, there)


def _copy_entry(entry: os.DirEntry[str], copied: str, status: os.stat_result) -> None:
    if entry.is_symlink():
        os.symlink(os.readlink(entry.path), copied)
    elif entry.is_file(follow_symlinks=False):
        shutil.copyfile(entry.path, copied, follow_symlinks=False)
    else:
        os.mknod(copied, status.st_mode, status.st_rdev)
    _copy_attributes(entry.path, copied)


def _copy_attributes(source: str, target: str) -> None:
    status = os.lstat(source)
    # Owner before mode and attributes: chown clears the set-user-ID bit and file capabilities.
    os.lchown(target, status.st_uid, status.st_gid)
    shutil.copystat(source, target, follow_symlinks=False)
