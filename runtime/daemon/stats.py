"""`docker stats`: what a container uses, in the Engine API's words (moby: daemon/stats_unix.go, stats/collector.go).

    daemon -> containerd   Tasks.Metrics {filters: ["id==ID"]}         containerd asks the shim, which reads the cgroup
    containerd -> daemon   Metric{data: Any{io.containerd.cgroups.v1.Metrics}}     or v2: which one the host has

The network's numbers come from the container's own network namespace, the host's CPU time from /proc/stat. A share of
the CPU is for the client to compute, out of two samples; so the second is sent with the first inside (`precpu_stats`).
"""

import os
import time
from typing import Any

from google.protobuf.message import Message

from runtime.api.containerd import cgroups_v1_pb2, cgroups_v2_pb2
from runtime.daemon.container import Container
from runtime.daemon.timestamps import ZERO, rfc3339

_BLKIO = ("service_bytes", "serviced", "queue", "service_time", "wait_time", "merged", "time")
_V1_NAMES = {
    "pg_pg_": "pgpg",
    "pg_fault": "pgfault",
    "pg_maj_fault": "pgmajfault",
    "hierarchical_swap": "hierarchical_memsw",
}
"""Parts of the message's field names that memory.stat spells otherwise."""
_NETWORK_COLUMNS = "rx_bytes rx_packets rx_errors rx_dropped - - - - tx_bytes tx_packets tx_errors tx_dropped".split()
"""What /proc/net/dev has behind an interface's name (proc(5)); - is not told to clients."""
_NANOSECONDS_PER_TICK = 10**9 // os.sysconf("SC_CLK_TCK")


def nothing(container: Container) -> dict[str, Any]:
    """What is said of a container that does not run."""
    throttling = {"periods": 0, "throttled_periods": 0, "throttled_time": 0}
    usage = {"total_usage": 0, "usage_in_kernelmode": 0, "usage_in_usermode": 0}
    return {
        "read": ZERO,
        "preread": ZERO,
        "pids_stats": {},
        "blkio_stats": {f"io_{name}_recursive": None for name in _BLKIO} | {"sectors_recursive": None},
        "num_procs": 0,
        "storage_stats": {},
        "cpu_stats": {"cpu_usage": usage, "throttling_data": throttling},
        "precpu_stats": {"cpu_usage": usage, "throttling_data": throttling},
        "memory_stats": {},
        "name": f"/{container.name}",
        "id": container.id,
    }


def sample(container: Container, kind: str, metrics: bytes, before: dict[str, Any] | None) -> dict[str, Any]:
    """One object of GET /containers/ID/stats.

    Args:
        container: it runs.
        kind: the message's name, as containerd gave it.
        metrics: the message.
        before: the sample before this one.

    """
    empty = nothing(container)
    if "cgroups.v2" in kind:
        shaped = _from_v2(cgroups_v2_pb2.Metrics.FromString(metrics))
    else:
        shaped = _from_v1(cgroups_v1_pb2.Metrics.FromString(metrics))
    shaped["blkio_stats"] = {key: shaped["blkio_stats"].get(key, []) for key in empty["blkio_stats"]}
    shaped["cpu_stats"] |= {"system_cpu_usage": _host_cpu_ns(), "online_cpus": os.sysconf("SC_NPROCESSORS_ONLN")}
    shaped["memory_stats"]["limit"] = min(shaped["memory_stats"]["limit"], _host_memory_bytes())
    view = empty | shaped | {"read": rfc3339(time.time_ns())}
    if before is not None:
        view |= {"preread": before["read"], "precpu_stats": before["cpu_stats"]}
    if container.endpoints and (networks := _network_counters(container.state.pid)):
        view["networks"] = networks
    return view


def _from_v1(metrics: Any) -> dict[str, Any]:
    usage, throttling, memory = metrics.cpu.usage, metrics.cpu.throttling, metrics.memory
    return {
        "pids_stats": _without_zeros(current=metrics.pids.current, limit=metrics.pids.limit),
        "cpu_stats": {
            "cpu_usage": {
                "total_usage": usage.total,
                "percpu_usage": list(usage.per_cpu),
                "usage_in_kernelmode": usage.kernel,
                "usage_in_usermode": usage.user,
            },
            "throttling_data": {
                "periods": throttling.periods,
                "throttled_periods": throttling.throttled_periods,
                "throttled_time": throttling.throttled_time,
            },
        },
        "memory_stats": _without_zeros(usage=memory.usage.usage, max_usage=memory.usage.max)
        | {"stats": _numbers(memory)}
        | _without_zeros(failcnt=memory.usage.failcnt)
        | {"limit": memory.usage.limit},
        "blkio_stats": {
            name: [
                {"major": entry.major, "minor": entry.minor, "op": entry.op, "value": entry.value}
                for entry in getattr(metrics.blkio, name)
            ]
            for name in ("io_service_bytes_recursive", "io_serviced_recursive")
        },
    }


def _from_v2(metrics: Any) -> dict[str, Any]:
    cpu, memory = metrics.cpu, metrics.memory
    numbers = _numbers(memory)
    apart = {key: numbers.pop(key) for key in ("usage", "usage_limit", "swap_usage", "swap_limit")}
    return {
        "pids_stats": _without_zeros(current=metrics.pids.current, limit=metrics.pids.limit),
        "cpu_stats": {
            "cpu_usage": {
                "total_usage": cpu.usage_usec * 1000,
                "usage_in_kernelmode": cpu.system_usec * 1000,
                "usage_in_usermode": cpu.user_usec * 1000,
            },
            "throttling_data": {
                "periods": cpu.nr_periods,
                "throttled_periods": cpu.nr_throttled,
                "throttled_time": cpu.throttled_usec * 1000,
            },
        },
        "memory_stats": _without_zeros(usage=apart["usage"])
        | {"stats": numbers}
        | _without_zeros(failcnt=metrics.memory_events.oom)
        | {"limit": apart["usage_limit"]},
        "blkio_stats": {
            "io_service_bytes_recursive": [
                {"major": entry.major, "minor": entry.minor, "op": op, "value": value}
                for entry in metrics.io.usage
                for op, value in (("read", entry.rbytes), ("write", entry.wbytes))
            ]
        },
    }


def _numbers(message: Message) -> dict[str, int]:
    """Every plain number of a message, under the name that its cgroup file gives it."""
    found = {}
    for field in message.DESCRIPTOR.fields:
        if field.message_type is None:
            name = field.name
            for ours, theirs in _V1_NAMES.items():
                name = name.replace(ours, theirs)
            found[name] = getattr(message, field.name)
    return dict(sorted(found.items()))


def _without_zeros(**numbers: int) -> dict[str, int]:
    """What Go calls omitempty; no limit is a limit of 2^64 - 1 in one hierarchy and 0 in the other."""
    return {key: number for key, number in numbers.items() if number and number != 2**64 - 1}


def _host_cpu_ns() -> int:
    with open("/proc/stat", encoding="ascii") as file:
        fields = file.readline().split()
    return sum(int(ticks) for ticks in fields[1:8]) * _NANOSECONDS_PER_TICK


def _host_memory_bytes() -> int:
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def _network_counters(pid: int) -> dict[str, dict[str, int]]:
    """Interface by interface, from inside; nothing when the process has just ended."""
    counters = {}
    try:
        with open(f"/proc/{pid}/net/dev", encoding="ascii") as file:
            lines = file.readlines()[2:]
    except OSError:
        return {}
    for line in lines:
        name, _, numbers = line.strip().partition(":")
        pairs = zip(_NETWORK_COLUMNS, numbers.split(), strict=False)
        if name != "lo":
            counters[name] = {column: int(number) for column, number in pairs if column != "-"}
    return counters
