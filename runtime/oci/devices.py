"""Device nodes and links in the container's /dev (runtime-spec config-linux.md "Default Devices", "Devices").

Counterpart: runc's rootfs_linux.go `createDevices`, `setupDevSymlinks`, `setupPtmx`. mknod(2) needs CAP_MKNOD in the
*initial* user namespace; inside another one the host's node is bind-mounted instead, which is as good, for it is the
same device. Which devices may be opened is decided elsewhere, by the cgroup (cgroups/).
"""

import os
import stat

from runtime.oci import in_root
from runtime.oci import syscalls as sc
from runtime.oci.errors import OCIError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

DEFAULT = tuple(
    {"path": f"/dev/{name}", "type": "c", "major": major, "minor": minor, "fileMode": 0o666}
    for name, major, minor in (
        ("null", 1, 3),
        ("zero", 1, 5),
        ("full", 1, 7),
        ("random", 1, 8),
        ("urandom", 1, 9),
        ("tty", 5, 0),
    )
)
"""What every container gets, whatever config.json says."""

LINKS = (
    ("/proc/self/fd", "/dev/fd"),
    ("/proc/self/fd/0", "/dev/stdin"),
    ("/proc/self/fd/1", "/dev/stdout"),
    ("/proc/self/fd/2", "/dev/stderr"),
)
KINDS = {"c": stat.S_IFCHR, "u": stat.S_IFCHR, "b": stat.S_IFBLK, "p": stat.S_IFIFO}


def plan(config: "dict[str, Any]") -> "list[dict[str, Any]]":
    """The devices to make: the default ones, then config.json's, which win over a default of the same path."""
    given = config.get("linux", {}).get("devices", [])
    given_paths = {os.path.normpath(device["path"]) for device in given}
    return [device for device in DEFAULT if device["path"] not in given_paths] + list(given)


def create(root: str, devices: "list[dict[str, Any]]", *, bind: bool) -> None:
    """Make the nodes (or bind the host's), except /dev/ptmx, which `link` makes: a bind there could not be unlinked."""
    old_umask = os.umask(0)  # fileMode means exactly what it says
    try:
        for device in devices:
            if os.path.normpath("/" + device["path"].lstrip("/")) == "/dev/ptmx":
                continue
            if bind and device["type"] != "p":
                _bind_node(root, device["path"])
            else:
                _make_node(root, device)
    finally:
        os.umask(old_umask)


def _make_node(root: str, device: "dict[str, Any]") -> None:
    parent, name = os.path.split(os.path.normpath("/" + device["path"].lstrip("/")))
    mode = device.get("fileMode", 0o666) & 0o7777
    number = os.makedev(device.get("major", 0), device.get("minor", 0))
    parent_fd = in_root.open_or_create(root, parent, stat.S_IFDIR)
    try:
        os.mknod(name, KINDS[device["type"]] | mode, number, dir_fd=parent_fd)
        os.chown(name, device.get("uid", 0), device.get("gid", 0), dir_fd=parent_fd, follow_symlinks=False)
    except FileExistsError:
        present = os.stat(name, dir_fd=parent_fd, follow_symlinks=False)
        if present.st_rdev != number or stat.S_IFMT(present.st_mode) != KINDS[device["type"]]:
            raise OCIError(f"{device['path']}: exists already and is something else") from None
    except PermissionError:
        _bind_node(root, device["path"])
    finally:
        os.close(parent_fd)


def _bind_node(root: str, path: str) -> None:
    place = os.path.normpath("/" + path.lstrip("/"))
    parent_fd = in_root.open_or_create(root, os.path.dirname(place), stat.S_IFDIR)
    fd = -1
    try:
        fd = in_root.open_file_itself(parent_fd, place)
        sc.mount(path, f"/proc/self/fd/{fd}", "", sc.MS_BIND)
    finally:
        os.close(parent_fd)
        if fd >= 0:
            os.close(fd)


def link(root: str) -> None:
    """The links that programs expect: /dev/fd and its like, /dev/core, and ptmx of the container's own devpts."""
    links = list(LINKS)
    if os.path.exists("/proc/kcore"):
        links.append(("/proc/kcore", "/dev/core"))
    dev_fd = in_root.open_or_create(root, "/dev", stat.S_IFDIR)
    try:
        for target, path in links:
            try:
                os.symlink(target, os.path.basename(path), dir_fd=dev_fd)
            except FileExistsError:
                pass  # the image's own
        # a node here would be the *host's* ptmx, so this one is replaced
        try:
            os.unlink("ptmx", dir_fd=dev_fd)
        except FileNotFoundError:
            pass
        os.symlink("pts/ptmx", "ptmx", dir_fd=dev_fd)
    finally:
        os.close(dev_fd)
