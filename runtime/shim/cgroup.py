"""Finds the cgroup directories of a process, on v1, v2 and hybrid hosts.

Real counterpart: github.com/containerd/cgroups (PidPath, NestedGroupPath); cgroups(7) "/proc/[pid]/cgroup",
proc(5) mountinfo.

    /proc/PID/cgroup          4:memory:/docker/ab12      0::/docker/ab12          which group, by hierarchy
    /proc/self/mountinfo      /sys/fs/cgroup/memory      /sys/fs/cgroup           where that hierarchy is mounted
"""

from typing import NamedTuple


class Cgroup(NamedTuple):
    """Directories of one process's cgroups."""

    v1: dict[str, str]
    """By controller; empty where there is no v1 hierarchy."""
    v2: str
    """In the unified hierarchy; empty where that is not mounted."""


def locate(pid: int) -> Cgroup:
    """Return where the cgroups of a process are; OSError if it is gone."""
    with open(f"/proc/{pid}/cgroup", encoding="utf-8") as file:
        groups = file.read()
    with open("/proc/self/mountinfo", encoding="utf-8") as file:
        mountinfo = file.read()
    return resolve(groups, mountinfo)


def resolve(groups: str, mountinfo: str) -> Cgroup:
    """Join the two files; pure, for the tests."""
    v1: dict[str, str] = {}
    v2 = ""
    mounts = _mount_points(mountinfo)
    for line in groups.splitlines():
        _number, controllers, path = line.split(":", 2)
        for controller in controllers.split(","):
            if controller not in mounts:
                continue
            root, point = mounts[controller]
            directory = point + _below(root, path)
            if controller:
                v1[controller] = directory
            else:
                v2 = directory
    return Cgroup(v1, v2)


def _below(root: str, path: str) -> str:
    """Return the path as seen through a mount of `root`: inside a container not all of the hierarchy is mounted."""
    if root != "/" and (path == root or path.startswith(root + "/")):
        path = path[len(root) :]
    return path.rstrip("/")


def _mount_points(mountinfo: str) -> dict[str, tuple[str, str]]:
    """Return (root, mount point) by v1 controller, and of the unified hierarchy by the empty name."""
    mounts: dict[str, tuple[str, str]] = {}
    for line in mountinfo.splitlines():
        head, _, tail = line.partition(" - ")
        fields, tail_fields = head.split(" "), tail.split(" ")
        if len(fields) < 5 or len(tail_fields) < 3:
            continue
        root, point = fields[3], fields[4]
        if tail_fields[0] == "cgroup2":
            mounts.setdefault("", (root, point))
        elif tail_fields[0] == "cgroup":
            for option in tail_fields[2].split(","):
                if option not in ("rw", "ro"):
                    mounts.setdefault(option, (root, point))
    return mounts
