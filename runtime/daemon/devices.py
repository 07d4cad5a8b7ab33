"""Device nodes that a container may see (moby: oci/devices_linux.go, opencontainers/runc: libcontainer/devices)."""

import os
import stat
from typing import Any

from runtime.daemon.errors import ServerError

_NOT_FOR_CONTAINERS = ("/dev/pts", "/dev/shm", "/dev/fd", "/dev/mqueue", "/dev/.lxc", "/dev/.lxd-mounts", "/dev/.udev")


def device_at(host_path: str, container_path: str) -> dict[str, Any]:
    """One entry of `linux.devices` for a node of the host."""
    try:
        status = os.stat(host_path)
    except (OSError, ValueError) as error:
        raise ServerError(
            f'error gathering device information while adding custom device "{host_path}": no such file or directory'
        ) from error
    kind = "c" if stat.S_ISCHR(status.st_mode) else "b" if stat.S_ISBLK(status.st_mode) else ""
    if not kind:
        raise ServerError(
            f'error gathering device information while adding custom device "{host_path}": not a device node'
        )
    return {
        "path": container_path,
        "type": kind,
        "major": os.major(status.st_rdev),
        "minor": os.minor(status.st_rdev),
        "fileMode": stat.S_IMODE(status.st_mode),
        "uid": status.st_uid,
        "gid": status.st_gid,
    }


def given(host: dict[str, Any]) -> list[tuple[dict[str, Any], str]]:
    """The nodes of `--device`, with what may be done with each; none for `--privileged`, which has them all."""
    asked = [] if host["Privileged"] else host["Devices"]
    return [(node, one.get("CgroupPermissions") or "rwm") for one in asked for node in _asked_for(one)]


def _asked_for(asked: dict[str, Any]) -> list[dict[str, Any]]:
    """The nodes that one `--device HOST[:CONTAINER]` means; of a directory, every node below it."""
    on_host = asked["PathOnHost"]
    inside = asked.get("PathInContainer") or on_host
    real = os.path.realpath(on_host)
    below = sorted(os.path.join(folder, name) for folder, _, names in os.walk(real) for name in names)
    found = [device_at(path, inside + path.removeprefix(real)) for path in below if _is_node(path)]
    return found or [device_at(on_host, inside)]


def _is_node(path: str) -> bool:
    try:
        mode = os.lstat(path).st_mode
    except FileNotFoundError:
        return False  # it has gone since the directory was read
    return stat.S_ISCHR(mode) or stat.S_ISBLK(mode)


def all_host_devices() -> list[dict[str, Any]]:
    """Every node under /dev: what `--privileged` shows."""
    found = []
    for directory, subdirectories, names in os.walk("/dev"):
        subdirectories[:] = sorted(
            name for name in subdirectories if os.path.join(directory, name) not in _NOT_FOR_CONTAINERS
        )
        for name in sorted(names):
            path = os.path.join(directory, name)
            if path != "/dev/console" and _is_node(path):
                found.append(device_at(path, path))
    return found


def refuse_requests(requests: list[dict[str, Any]]) -> None:
    """`--gpus` asks a vendor's driver to put devices in: there is none here, as in dockerd without nvidia's."""
    for request in requests:
        wanted = " ".join(f"[{' '.join(all_of)}]" for all_of in request.get("Capabilities") or [])
        driver = request.get("Driver") or ""
        raise ServerError(f'could not select device driver "{driver}" with capabilities: [{wanted}]')


def cgroup_rule(device: dict[str, Any], access: str) -> dict[str, Any]:
    """The entry of `linux.resources.devices` that lets the container use a node."""
    return {"allow": True, "type": device["type"], "major": device["major"], "minor": device["minor"], "access": access}
