"""Whole directory trees: copy, measure, remove, in small steps so that other clients are served in between.

Real counterpart: `continuity/fs/{copy,du_unix}.go` and Go's `os.RemoveAll`, which have a goroutine each to block in.
"""

import asyncio
import os
import shutil

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


async def copy_tree(source: str, target: str) -> None:
    """Copy a directory tree as it is: owners, modes, times, attributes, hard links, links, devices."""
    linked: dict[tuple[int, int], str] = {}
    os.mkdir(target, 0o700)
    directories = [(source, target)]
    for here, there in directories:
        with os.scandir(here) as entries:
            for entry in entries:
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


async def measure_tree(directory: str) -> tuple[int, int]:
    """Return bytes and inodes of a tree, a file with several names counted once."""
    status = os.lstat(directory)
    seen = {(status.st_dev, status.st_ino): status.st_blocks * 512}
    directories = [directory]
    for here in directories:
        with os.scandir(here) as entries:
            for entry in entries:
                status = entry.stat(follow_symlinks=False)
                seen[status.st_dev, status.st_ino] = status.st_blocks * 512
                if entry.is_dir(follow_symlinks=False):
                    directories.append(entry.path)
        await asyncio.sleep(0)
    return sum(seen.values()), len(seen)


async def remove_tree(directory: str) -> None:
    """Remove a tree of any depth, even while somebody changes it: a symlink is never followed.

    Every subdirectory is first moved up, into a directory of our own that we hold open, under a number. So nothing is
    resolved through a directory that a container may have swapped for a symlink meanwhile, and no name gets too long.
    """
    ours = f"{directory}.removing"
    os.mkdir(ours, 0o700)
    os.rename(directory, os.path.join(ours, "0"))
    top = os.open(ours, _DIRECTORY)
    try:
        waiting, moved = ["0"], 0
        while waiting:
            name = waiting.pop()
            here = os.open(name, _DIRECTORY, dir_fd=top)
            try:
                for entry in os.listdir(here):
                    try:
                        os.unlink(entry, dir_fd=here)
                    except IsADirectoryError:
                        moved += 1
                        os.rename(entry, str(moved), src_dir_fd=here, dst_dir_fd=top)
                        waiting.append(str(moved))
            finally:
                os.close(here)
            os.rmdir(name, dir_fd=top)
            await asyncio.sleep(0)
    finally:
        os.close(top)
    os.rmdir(ours)
