"""cgroup v2: linux.resources as a list of (file, value) writes, in order.

Counterpart: runc's libcontainer/cgroups/fs2; kernel Documentation/admin-guide/cgroup-v2.rst. The spec's fields
are v1's, so some are converted: shares (2..262144) to weight (1..10000), "memory plus swap" to swap alone. Devices
have no file here: device_filter.py. What v2 has nothing like is refused by name, unless it is zero: callers fill in.
"""

from runtime.oci.cgroups.v1 import RDMA_NAMES
from runtime.oci.errors import ConfigError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

Write = tuple[str, str]


ONLY_ON_V1 = {
    "memory": ("kernelTCP", "swappiness", "disableOOMKiller"),
    "cpu": ("realtimeRuntime", "realtimePeriod"),
    "blockIO": ("leafWeight",),
    "network": ("classID", "priorities"),
}
LEFT_ALONE = (-1, (1 << 64) - 1)
"""Minus one, and what becomes of it in an unsigned field."""


def plan(resources: "dict[str, Any]") -> list[Write]:
    """The writes that bring the resources about; `unified` comes last and wins."""
    for section, fields in ONLY_ON_V1.items():
        for field in fields:
            value = resources.get(section, {}).get(field)
            if value and value not in LEFT_ALONE:
                raise ConfigError(f"linux.resources.{section}.{field}", "needs cgroup v1, and this host has v2")
    writes = [
        *_memory(resources.get("memory", {})),
        *_cpu(resources.get("cpu", {})),
        *_pids(resources.get("pids", {})),
        *_io(resources.get("blockIO", {})),
        *[(f"hugetlb.{entry['pageSize']}.max", str(entry["limit"])) for entry in resources.get("hugepageLimits", [])],
    ]
    for device, limits in resources.get("rdma", {}).items():
        words = [f"{short}={limits[field]}" for field, short in RDMA_NAMES if field in limits]
        writes.append(("rdma.max", " ".join([device, *words])))
    for name, value in resources.get("unified", {}).items():
        if "/" in name or not name:
            raise ConfigError(f"linux.resources.unified.{name}", "must be a file name of the cgroup")
        writes += [(name, line) for line in value.split("\n") if line]
    return writes


def check_usage(memory: "dict[str, Any]", used_bytes: int) -> None:
    """memory.checkBeforeUpdate: refuse a limit below what is in use, for which the kernel would kill. v1 refuses it."""
    for field in ("swap", "limit"):
        wanted = memory.get(field, 0)
        if memory.get("checkBeforeUpdate") and 0 < wanted <= used_bytes:
            raise ConfigError(f"linux.resources.memory.{field}", f"{wanted} is not above the {used_bytes} bytes in use")


def weight_of_shares(shares: int) -> int:
    """The range [2, 262144] laid linearly on [1, 10000], as every runtime and systemd do."""
    shares = min(max(shares, 2), 262144)
    return 1 + (shares - 2) * 9999 // 262142


def weight_of_block_io(weight: int) -> int:
    """The range [10, 1000] laid linearly on [1, 10000]."""
    return 1 + (weight - 10) * 9999 // 990


def _limit(value: int) -> str:
    return "max" if value < 0 else str(value)


def _memory(memory: "dict[str, Any]") -> list[Write]:
    writes: list[Write] = []
    limit, swap = memory.get("limit", 0), memory.get("swap", 0)
    if swap > 0 and limit <= 0:
        raise ConfigError("linux.resources.memory.swap", "on cgroup v2 a swap limit needs a memory limit too")
    if swap > 0 and swap < limit:
        raise ConfigError("linux.resources.memory.swap", "is memory and swap together: it cannot be below the limit")
    if swap:
        writes.append(("memory.swap.max", "max" if swap < 0 else str(swap - limit)))
    elif limit < 0:
        writes.append(("memory.swap.max", "max"))
    if limit:
        writes.append(("memory.max", _limit(limit)))
    if memory.get("reservation"):
        writes.append(("memory.low", _limit(memory["reservation"])))
    return writes


def _cpu(cpu: "dict[str, Any]") -> list[Write]:
    writes: list[Write] = []
    if cpu.get("idle") is not None:  # a null is not there any more, and 0 ends what 1 began
        writes.append(("cpu.idle", str(cpu["idle"])))
    if not cpu.get("idle") and cpu.get("shares"):
        writes.append(("cpu.weight", str(weight_of_shares(cpu["shares"]))))
    quota, period = cpu.get("quota", 0), cpu.get("period", 0)
    if quota or period:
        writes.append(("cpu.max", f"{quota if quota > 0 else 'max'} {period or 100000}"))
    if cpu.get("burst"):
        writes.append(("cpu.max.burst", str(cpu["burst"])))
    writes += [(f"cpuset.{field}", cpu[field]) for field in ("cpus", "mems") if cpu.get(field)]
    return writes


def _pids(pids: "dict[str, Any]") -> list[Write]:
    limit = pids.get("limit", 0)
    return [("pids.max", str(limit) if limit > 0 else "max")] if limit else []


def _io(block_io: "dict[str, Any]") -> list[Write]:
    writes: list[Write] = []
    if block_io.get("weight"):
        writes.append(("io.weight", f"default {weight_of_block_io(block_io['weight'])}"))
    for device in block_io.get("weightDevice", []):
        if device.get("weight"):
            weight = weight_of_block_io(device["weight"])
            writes.append(("io.weight", f"{device['major']}:{device['minor']} {weight}"))
    for field, key in (
        ("throttleReadBpsDevice", "rbps"),
        ("throttleWriteBpsDevice", "wbps"),
        ("throttleReadIOPSDevice", "riops"),
        ("throttleWriteIOPSDevice", "wiops"),
    ):
        writes += [("io.max", f"{t['major']}:{t['minor']} {key}={t['rate']}") for t in block_io.get(field, [])]
    return writes
