"""cgroup metrics in the words of the Engine API: pure, from messages as containerd sends them."""

import json
import os
from pathlib import Path

from runtime.api.containerd import cgroups_v1_pb2, cgroups_v2_pb2
from runtime.daemon import stats
from runtime.daemon.container import Container, Endpoint, State

V1, V2 = "io.containerd.cgroups.v1.Metrics", "io.containerd.cgroups.v2.Metrics"


def running(folder: Path) -> Container:
    """A container whose first process is this test."""
    return Container(
        id="c" * 64,
        name="c1",
        created_ns=0,
        image_id="",
        image_name="hostbox",
        path="true",
        args=[],
        config={},
        host_config={},
        networking={},
        mount_points=[],
        rootfs=[],
        snapshotter="overlayfs",
        directory=str(folder),
        state=State(running=True, pid=os.getpid()),
    )


async def test_stats_of_cgroup_v1_have_the_names_of_its_files(tmp_path: Path) -> None:
    """memory.stat's keys, CPU time by processor, and the limit that memory.limit_in_bytes has."""
    metrics = cgroups_v1_pb2.Metrics()
    metrics.pids.current, metrics.pids.limit = 3, 2**64 - 1
    metrics.cpu.usage.total, metrics.cpu.throttling.periods = 77, 5
    metrics.cpu.usage.per_cpu.extend((70, 7))
    metrics.memory.usage.usage, metrics.memory.usage.limit = 4096, 1 << 20
    metrics.memory.pg_pg_in, metrics.memory.total_pg_maj_fault, metrics.memory.hierarchical_swap_limit = 1, 2, 3
    metrics.blkio.io_serviced_recursive.add(op="Read", major=8, minor=1, value=9)

    view = stats.sample(running(tmp_path), V1, metrics.SerializeToString(), None)

    memory = view["memory_stats"]
    assert {"current": 3} == view["pids_stats"]
    assert ([70, 7], 5) == (
        view["cpu_stats"]["cpu_usage"]["percpu_usage"],
        view["cpu_stats"]["throttling_data"]["periods"],
    )
    assert (4096, 1 << 20) == (memory["usage"], memory["limit"])
    assert (1, 2, 3) == tuple(
        memory["stats"][key] for key in ("pgpgin", "total_pgmajfault", "hierarchical_memsw_limit")
    )
    assert [{"major": 8, "minor": 1, "op": "Read", "value": 9}] == view["blkio_stats"]["io_serviced_recursive"]
    assert [] == view["blkio_stats"]["sectors_recursive"]


async def test_stats_of_cgroup_v2_are_in_nanoseconds_and_within_the_host_s_memory(tmp_path: Path) -> None:
    """usage_usec becomes nanoseconds, `max` the memory of the host, out of memory the failure count."""
    metrics = cgroups_v2_pb2.Metrics()
    metrics.cpu.usage_usec, metrics.cpu.throttled_usec = 5, 6
    metrics.memory.usage, metrics.memory.usage_limit, metrics.memory.anon = 10, 2**64 - 1, 7
    metrics.memory_events.oom = 2
    metrics.io.usage.add(major=8, minor=0, rbytes=11, wbytes=12)

    view = stats.sample(running(tmp_path), V2, metrics.SerializeToString(), None)

    memory, cpu = view["memory_stats"], view["cpu_stats"]
    assert (5000, 6000) == (cpu["cpu_usage"]["total_usage"], cpu["throttling_data"]["throttled_time"])
    assert os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") == memory["limit"]
    assert (7, 2, None) == (memory["stats"]["anon"], memory["failcnt"], memory["stats"].get("usage"))
    assert [("read", 11), ("write", 12)] == [
        (entry["op"], entry["value"]) for entry in view["blkio_stats"]["io_service_bytes_recursive"]
    ]


async def test_stats_hold_the_sample_before_and_the_network_only_where_there_is_one(tmp_path: Path) -> None:
    """A client computes the share of the CPU from both; the loopback's bytes are nobody's traffic."""
    container, metrics = running(tmp_path), cgroups_v2_pb2.Metrics().SerializeToString()
    first = stats.sample(container, V2, metrics, None)
    container.endpoints = [Endpoint("bridge")]

    second = stats.sample(container, V2, metrics, first)

    assert (first["read"], first["cpu_stats"]) == (second["preread"], second["precpu_stats"])
    assert "networks" not in first
    assert "lo" not in second.get("networks", {})


async def test_stats_of_a_stopped_container_are_the_same_object_without_numbers(tmp_path: Path) -> None:
    """What the CLI shows as zeros."""
    container = running(tmp_path)

    view = stats.nothing(container)

    assert stats.sample(container, V2, b"", None).keys() == view.keys()
    assert ("/c1", "0001-01-01T00:00:00Z", {}) == (view["name"], view["read"], view["memory_stats"])
    assert json.dumps(view)
