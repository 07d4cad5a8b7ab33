"""Which limits a container will not have: what an ordinary user's daemon finds out before it promises any.

In a user namespace the OCI runtime goes without a cgroup that it may not make, and the container runs without limits
(runtime/oci/parent.py). So the same is tried here: a group beside the container's, in every hierarchy, and for cgroup
v2 the right to move a process into it. cgroups(7), "Delegation".
"""

import os
from collections.abc import Iterable
from typing import Any

_FLAGS = {
    "Memory": "--memory",
    "MemoryReservation": "--memory-reservation",
    "MemorySwappiness": "--memory-swappiness",
    "OomKillDisable": "--oom-kill-disable",
    "NanoCpus": "--cpus",
    "CpuShares": "--cpu-shares",
    "CpuPeriod": "--cpu-period",
    "CpuQuota": "--cpu-quota",
    "CpusetCpus": "--cpuset-cpus",
    "CpusetMems": "--cpuset-mems",
    "CpuRealtimePeriod": "--cpu-rt-period",
    "CpuRealtimeRuntime": "--cpu-rt-runtime",
    "KernelMemory": "--kernel-memory",
    "PidsLimit": "--pids-limit",
    "BlkioWeight": "--blkio-weight",
    "BlkioWeightDevice": "--blkio-weight-device",
    "BlkioDeviceReadBps": "--device-read-bps",
    "BlkioDeviceWriteBps": "--device-write-bps",
    "BlkioDeviceReadIOps": "--device-read-iops",
    "BlkioDeviceWriteIOps": "--device-write-iops",
}
"""Field of HostConfig -> flag. MemorySwap comes with Memory and goes with it."""


def warnings(host: dict[str, Any], cgroup_parent: str) -> list[str]:
    """One sentence that names every limit of a container which is given up; nothing where they are all set."""
    asked = [flag for field, flag in _FLAGS.items() if host[field] not in (None, 0, "", False, -1, [])]
    if not asked:
        return []
    with open("/proc/self/mountinfo", encoding="utf-8") as mountinfo:
        refusal = why_not(cgroup_mounts(mountinfo), cgroup_parent)
    if not refusal:
        return []
    return [f"Running rootless: {', '.join(asked)} given up, no limit is set: {refusal}"]


def cgroup_mounts(mountinfo: Iterable[str]) -> dict[str, str]:
    """Mount point -> `cgroup` or `cgroup2`, from the lines of proc_pid_mountinfo(5)."""
    found = {}
    for line in mountinfo:
        left, _, right = line.partition(" - ")
        kind = right.split(" ", 1)[0]
        if kind in ("cgroup", "cgroup2"):
            found[left.split(" ")[4]] = kind
    return found


def why_not(mounts: dict[str, str], cgroup_parent: str) -> str:
    """Why a container's group cannot be made in one of the hierarchies, or not be entered; empty where it can."""
    if not mounts:
        return "no cgroup hierarchy is mounted"
    for mount, kind in mounts.items():
        parent = f"{mount}/{cgroup_parent.strip('/')}"
        trial = f"{parent}/trial-{os.getpid()}"
        try:
            os.makedirs(trial)
        except OSError as error:
            return f"{mount} is not delegated to this user ({(error.strerror or '').lower()})"
        finally:
            _remove(trial, parent)
        # To move a process takes the right to write where the way from its old group to its new one turns.
        if kind == "cgroup2" and not os.access(f"{mount}/cgroup.procs", os.W_OK):
            return f"{mount} is not delegated to this user (cgroup.procs cannot be written)"
    return ""


def _remove(*folders: str) -> None:
    for folder in folders:
        try:
            os.rmdir(folder)
        except OSError:
            return  # it was not made, or another container's group is in it
