"""A container's root directory, seen from a process of its own (moby: daemon/containerfs_linux.go, pkg/chrootarchive).

    unshare(CLONE_NEWNS)                    from here on nothing that is mounted is seen by anybody else
    open_tree(SOURCE, OPEN_TREE_CLONE)      a handle on each volume, while its path can still be walked
    it runs:    setns(/proc/PID/ns/mnt), open_tree("/"), back again, move_mount
    it does not: mount("overlay", ...)      as the shim would at start
    chroot                                  every path and every link is the container's from now on
    move_mount(volume, DESTINATION)         so that a link on the way to it cannot lead outside

The namespace ends with the process, so there is nothing to clean up, even after SIGKILL. As in dockerd, volumes and the
three files of /etc are there; /proc, /dev and tmpfs mounts are not, since they are no files of the container. A running
container's root is taken from its own namespace: what a second overlay mount of the same upper directory does is
undefined (kernel: filesystems/overlayfs.rst).

System calls: unshare(2), setns(2), mount(2), open_tree(2), move_mount(2) (Linux 5.2), mount_setattr(2) (5.12).
"""

import ctypes
import os
import stat
from dataclasses import dataclass

from runtime.daemon.mount_calls import MS_BIND, MS_PRIVATE, MS_RDONLY, MS_REC, checked, mount

_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long

_CLONE_NEWNS = 0x00020000
_AT_FDCWD, _AT_EMPTY_PATH, _AT_RECURSIVE = -100, 0x1000, 0x8000
_OPEN_TREE_CLONE, _OPEN_TREE_CLOEXEC = 1, os.O_CLOEXEC
_MOVE_MOUNT_F_EMPTY_PATH = 4
_MOUNT_ATTR_RDONLY = 1
_OPEN_TREE, _MOVE_MOUNT, _MOUNT_SETATTR = 428, 429, 442
"""Calls newer than Linux 5.1 have one number on every architecture."""


IMAGE = "/image"
"""Where the image is for who copies from it into volumes."""


@dataclass(frozen=True)
class Bind:
    """A volume, a directory of the host, or a file of the daemon that the container sees."""

    source: str
    destination: str
    read_only: bool


def enter(pid: int, mounts: list[tuple[str, str, list[str]]], binds: list[Bind], mount_point: str) -> None:
    """Make the container's root this process's root. Raises OSError.

    Args:
        pid: the container's first process on the host; 0 when it does not run.
        mounts: what its snapshotter says to mount (type, source, options), for when it does not.
        binds: what is mounted in it, outer ones first.
        mount_point: any directory; it is covered in this process's view only.

    """
    _leave()
    volumes = [(bind, _open_tree(bind.source, recursive=True)) for bind in binds if os.path.exists(bind.source)]
    if pid:
        _move_mount(_root_of(pid), mount_point)
    else:
        _mount_snapshot(mounts, mount_point)
    os.chroot(mount_point)
    os.chdir("/")
    for bind, tree in volumes:
        if bind.read_only:
            _set_read_only(tree)
        _provide_mount_point(bind.destination, is_directory=stat.S_ISDIR(os.fstat(tree).st_mode))
        _move_mount(tree, bind.destination)


def enter_beside(mounts: list[tuple[str, str, list[str]]], volumes: list[str], mount_point: str) -> list[str]:
    """Make a root of the image, at `IMAGE`, and of volumes beside it; returns where these are. Raises OSError.

    Who copies from one to the other can be led by neither out of this root: a volume may be in use by others meanwhile.
    """
    _leave()
    trees = [_open_tree(volume, recursive=False) for volume in volumes]
    mount("tmpfs", mount_point, "tmpfs", 0, "mode=700")
    os.mkdir(f"{mount_point}{IMAGE}")
    _mount_snapshot(mounts, f"{mount_point}{IMAGE}")
    os.chroot(mount_point)
    os.chdir("/")
    places = [f"/{number}" for number in range(len(trees))]
    for place, tree in zip(places, trees, strict=True):
        os.mkdir(place)
        _move_mount(tree, place)
    return places


def _leave() -> None:
    """Part with the host's view of what is mounted."""
    checked("unshare", _libc.unshare(_CLONE_NEWNS))
    mount("none", "/", "", MS_REC | MS_PRIVATE, "")


def _root_of(pid: int) -> int:
    """A copy of the mount that a process has at /, alone: nothing of what is mounted below it."""
    ours = os.open("/proc/self/ns/mnt", os.O_RDONLY | os.O_CLOEXEC)
    theirs = os.open(f"/proc/{pid}/ns/mnt", os.O_RDONLY | os.O_CLOEXEC)
    try:
        checked("setns", _libc.setns(theirs, _CLONE_NEWNS))
        tree = _open_tree("/", recursive=False)
        checked("setns", _libc.setns(ours, _CLONE_NEWNS))
    finally:
        os.close(ours)
        os.close(theirs)
    return tree


def _mount_snapshot(mounts: list[tuple[str, str, list[str]]], target: str) -> None:
    for kind, source, options in mounts:
        flags, data = 0, []
        for option in options:
            if option in ("bind", "rbind"):
                flags |= MS_BIND | MS_REC
            elif option == "ro":
                flags |= MS_RDONLY
            elif option != "rw":
                data.append(option)
        mount(source, target, kind, flags, ",".join(data))


def _provide_mount_point(path: str, is_directory: bool) -> None:
    if os.path.exists(path):
        return
    os.makedirs(path if is_directory else os.path.dirname(path), exist_ok=True)
    if not is_directory:
        os.close(os.open(path, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o644))


def _open_tree(path: str, recursive: bool) -> int:
    flags = _OPEN_TREE_CLONE | _OPEN_TREE_CLOEXEC | (_AT_RECURSIVE if recursive else 0)
    return checked(path, _libc.syscall(ctypes.c_long(_OPEN_TREE), _AT_FDCWD, os.fsencode(path), ctypes.c_uint(flags)))


def _move_mount(tree: int, target: str) -> None:
    arguments = (tree, b"", _AT_FDCWD, os.fsencode(target), ctypes.c_uint(_MOVE_MOUNT_F_EMPTY_PATH))
    checked(target, _libc.syscall(ctypes.c_long(_MOVE_MOUNT), *arguments))
    os.close(tree)


def _set_read_only(tree: int) -> None:
    attributes = (ctypes.c_uint64 * 4)(_MOUNT_ATTR_RDONLY, 0, 0, 0)
    flags = ctypes.c_uint(_AT_EMPTY_PATH | _AT_RECURSIVE)
    size = ctypes.c_size_t(ctypes.sizeof(attributes))
    checked(
        "mount_setattr", _libc.syscall(ctypes.c_long(_MOUNT_SETATTR), tree, b"", flags, ctypes.byref(attributes), size)
    )
