"""Reads what a container has used out of its cgroup files.

Real counterpart: github.com/containerd/cgroups (Stat), called by runtime/v2/runc/task/service.go; kernel
Documentation/admin-guide/cgroup-v1/ and cgroup-v2.rst.

The files are the truth, and the message has fields of nearly the same names: most of this module is a table from file
to field. A file that is missing (a controller that is off, a kernel built without) leaves its fields at zero.

Left out on purpose: rdma, hugetlb and network (dockerd reads the network's numbers itself).
"""

import os

from google.protobuf.any_pb2 import Any
from google.protobuf.message import Message

from runtime.api.containerd import cgroups_v1_pb2 as v1
from runtime.api.containerd import cgroups_v2_pb2 as v2
from runtime.shim.cgroup import Cgroup, locate

NANOSECONDS_PER_TICK = 1_000_000_000 // os.sysconf("SC_CLK_TCK")
UNLIMITED = (1 << 64) - 1

V1_NAMES = {"pgpgin": "pg_pg_in", "pgpgout": "pg_pg_out", "pgfault": "pg_fault", "pgmajfault": "pg_maj_fault"}
"""memory.stat keys whose field is spelt otherwise."""
V1_LIMITS = {"hierarchical_memsw_limit": "hierarchical_swap_limit"}


def read_metrics(pid: int) -> Any:
    """Return the Metrics message of the hierarchy that controls memory, packed as containerd packs it."""
    cgroup = locate(pid)
    metrics: Message = read_v1(cgroup) if cgroup.v1.get("memory") or not cgroup.v2 else read_v2(cgroup.v2)
    return Any(type_url=metrics.DESCRIPTOR.full_name, value=metrics.SerializeToString())


def read_v1(cgroup: Cgroup) -> v1.Metrics:
    """Read one directory for each controller."""
    metrics = v1.Metrics()
    pids, memory = cgroup.v1.get("pids", ""), cgroup.v1.get("memory", "")
    cpuacct, cpu, blkio = (cgroup.v1.get(name, "") for name in ("cpuacct", "cpu", "blkio"))
    metrics.pids.current = _number(pids, "pids.current")
    metrics.pids.limit = _number(pids, "pids.max")
    usage = metrics.cpu.usage
    usage.total = _number(cpuacct, "cpuacct.usage")
    usage.per_cpu.extend(int(word) for word in _text(cpuacct, "cpuacct.usage_percpu").split())
    ticks = _pairs(cpuacct, "cpuacct.stat")
    usage.user = ticks.get("user", 0) * NANOSECONDS_PER_TICK
    usage.kernel = ticks.get("system", 0) * NANOSECONDS_PER_TICK
    throttled = _pairs(cpu, "cpu.stat")
    metrics.cpu.throttling.periods = throttled.get("nr_periods", 0)
    metrics.cpu.throttling.throttled_periods = throttled.get("nr_throttled", 0)
    metrics.cpu.throttling.throttled_time = throttled.get("throttled_time", 0)
    _fill_v1_memory(metrics, memory)
    for field, file in (
        (metrics.blkio.io_service_bytes_recursive, "blkio.throttle.io_service_bytes_recursive"),
        (metrics.blkio.io_serviced_recursive, "blkio.throttle.io_serviced_recursive"),
    ):
        for line in _text(blkio, file).splitlines():
            words = line.split()
            if len(words) == 3:  # the last line is a total, without a device
                major, _, minor = words[0].partition(":")
                field.add(op=words[1], major=int(major), minor=int(minor), value=int(words[2]))
    return metrics


def _fill_v1_memory(metrics: v1.Metrics, directory: str) -> None:
    for key, value in _pairs(directory, "memory.stat").items():
        total = "total_" if key.startswith("total_") else ""
        short = key.removeprefix("total_")
        _set(metrics.memory, V1_LIMITS.get(key) or total + V1_NAMES.get(short, short), value)
    for entry, prefix in (
        (metrics.memory.usage, "memory"),
        (metrics.memory.swap, "memory.memsw"),
        (metrics.memory.kernel, "memory.kmem"),
        (metrics.memory.kernel_tcp, "memory.kmem.tcp"),
    ):
        entry.limit = _number(directory, f"{prefix}.limit_in_bytes")
        entry.usage = _number(directory, f"{prefix}.usage_in_bytes")
        entry.max = _number(directory, f"{prefix}.max_usage_in_bytes")
        entry.failcnt = _number(directory, f"{prefix}.failcnt")
    for key, value in _pairs(directory, "memory.oom_control").items():
        _set(metrics.memory_oom_control, key, value)


def read_v2(directory: str) -> v2.Metrics:
    """Read the one directory of the unified hierarchy."""
    metrics = v2.Metrics()
    metrics.pids.current = _number(directory, "pids.current")
    metrics.pids.limit = _number(directory, "pids.max")
    for key, value in _pairs(directory, "cpu.stat").items():
        _set(metrics.cpu, key, value)
    memory = metrics.memory
    for key, value in _pairs(directory, "memory.stat").items():
        _set(memory, key, value)
    memory.usage = _number(directory, "memory.current")
    memory.usage_limit = _number(directory, "memory.max", unlimited=UNLIMITED)
    memory.swap_usage = _number(directory, "memory.swap.current")
    memory.swap_limit = _number(directory, "memory.swap.max", unlimited=UNLIMITED)
    for key, value in _pairs(directory, "memory.events").items():
        _set(metrics.memory_events, key, value)
    for line in _text(directory, "io.stat").splitlines():
        device, *fields = line.split()
        major, _, minor = device.partition(":")
        entry = metrics.io.usage.add(major=int(major), minor=int(minor))
        for field in fields:
            key, _, number = field.partition("=")
            _set(entry, key, int(number))
    return metrics


def _set(message: Message, field: str, value: int) -> None:
    """Set a number if the message has one of that name: the kernel has keys that the message never heard of."""
    known = message.DESCRIPTOR.fields_by_name.get(field)
    if known is not None and known.message_type is None:  # v1's "swap" is a count, the message's is an entry
        setattr(message, field, value)


def _text(directory: str, file: str) -> str:
    if not directory:
        return ""
    try:
        with open(f"{directory}/{file}", encoding="ascii") as opened:
            return opened.read()
    except OSError:
        return ""  # EOPNOTSUPP where a controller is off by a boot option, ENOENT where it is not there at all


def _number(directory: str, file: str, unlimited: int = 0) -> int:
    text = _text(directory, file).strip()
    if text == "max":
        return unlimited
    return int(text) if text.isdigit() else 0


def _pairs(directory: str, file: str) -> dict[str, int]:
    pairs = {}
    for line in _text(directory, file).splitlines():
        key, _, value = line.partition(" ")
        if value.strip().isdigit():
            pairs[key] = int(value)
    return pairs
