"""The parts of the shim that only turn words into other words."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.api.containerd.task_shim_pb2 import DeleteResponse
from runtime.shim import metrics
from runtime.shim.address import SUN_PATH_BYTES, socket_path
from runtime.shim.cgroup import Cgroup, resolve
from runtime.shim.delete import delete_response
from runtime.shim.rootfs import MS_BIND, MS_NOSUID, MS_RDONLY, MS_REC, MS_REMOUNT, Mount, plan

HYBRID = """\
30 24 0:26 / /sys/fs/cgroup ro - tmpfs tmpfs ro,mode=755
31 30 0:27 / /sys/fs/cgroup/unified rw shared:3 - cgroup2 cgroup2 rw
33 30 0:29 / /sys/fs/cgroup/memory rw shared:5 - cgroup cgroup rw,memory
34 30 0:30 / /sys/fs/cgroup/cpu,cpuacct rw shared:6 - cgroup cgroup rw,cpu,cpuacct
"""
V2 = "30 24 0:26 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate\n"


@given(pid=st.integers(0, 2**32 - 1), status=st.integers(0, 255), moment=st.integers(1, 2**62))
def test_delete_response_is_protobuf(pid: int, status: int, moment: int) -> None:
    """What is encoded by hand is what the real message decodes."""
    answer = DeleteResponse.FromString(delete_response(pid, status, moment))

    assert (answer.pid, answer.exit_status) == (pid, status)
    assert answer.exited_at.seconds * 1_000_000_000 + answer.exited_at.nanos == moment


def test_socket_is_beside_containerd_s() -> None:
    """Each shim has a name of its own, the same each time it is asked for."""
    one = socket_path("/run/containerd/containerd.sock", "moby", "one")

    assert one.startswith("/run/containerd/s/")
    assert one == socket_path("/run/containerd/containerd.sock", "moby", "one")
    assert one != socket_path("/run/containerd/containerd.sock", "moby", "two")
    assert one != socket_path("/run/containerd/containerd.sock", "default", "one")


def test_socket_moves_where_its_name_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    """A containerd deep in the tree still has shims that can be dialled."""
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)

    path = socket_path(f"/tmp/{'deep/' * 30}c.sock", "moby", "one")

    assert path.startswith("/tmp/s/")
    assert len(path) <= SUN_PATH_BYTES


def test_overlay_options_become_data() -> None:
    """What is no flag is for the filesystem to read."""
    mount = Mount("overlay", "overlay", ("nosuid", "index=off", "workdir=/w", "upperdir=/u", "lowerdir=/b:/a"))

    assert plan(mount) == [(MS_NOSUID, "index=off,workdir=/w,upperdir=/u,lowerdir=/b:/a")]


def test_read_only_bind_takes_two_calls() -> None:
    """The kernel ignores MS_RDONLY on the bind itself."""
    flags = MS_BIND | MS_REC | MS_RDONLY

    assert plan(Mount("bind", "/a", ("rbind", "ro"))) == [(flags, ""), (flags | MS_REMOUNT, "")]
    assert plan(Mount("bind", "/a", ("rbind", "rw"))) == [(MS_BIND | MS_REC, "")]


def test_cgroup_of_a_hybrid_host() -> None:
    """Each v1 controller has its directory, and the unified hierarchy one more."""
    found = resolve(
        "5:memory:/docker/ab\n4:cpu,cpuacct:/docker/ab\n3:pids:/x\n1:name=systemd:/\n0::/docker/ab\n", HYBRID
    )

    assert found == Cgroup(
        {
            "memory": "/sys/fs/cgroup/memory/docker/ab",
            "cpu": "/sys/fs/cgroup/cpu,cpuacct/docker/ab",
            "cpuacct": "/sys/fs/cgroup/cpu,cpuacct/docker/ab",
        },
        "/sys/fs/cgroup/unified/docker/ab",
    )


def test_cgroup_of_a_v2_host() -> None:
    """There is one directory."""
    assert resolve("0::/docker/ab\n", V2) == Cgroup({}, "/sys/fs/cgroup/docker/ab")


def test_cgroup_seen_from_inside_a_container() -> None:
    """Where only a part of the hierarchy is mounted, the path begins at that part."""
    mountinfo = V2.replace(" / /sys", " /outer /sys")

    assert resolve("0::/outer/docker/ab\n", mountinfo).v2 == "/sys/fs/cgroup/docker/ab"


def test_metrics_of_v1_are_read_from_its_files(tmp_path: Path) -> None:
    """Names that differ are translated; keys and files that are not known or not there do no harm."""
    for name, text in {
        "memory.stat": "cache 5\nswap 9\npgpgin 7\ntotal_rss 11\nhierarchical_memsw_limit 13\nnovelty 1\n",
        "memory.usage_in_bytes": "4096\n",
        "memory.limit_in_bytes": "8192\n",
        "memory.oom_control": "oom_kill_disable 0\nunder_oom 0\noom_kill 2\n",
        "pids.current": "3\n",
        "pids.max": "max\n",
        "cpuacct.usage": "1000\n",
        "cpuacct.usage_percpu": "400 600 \n",
        "cpuacct.stat": "user 1\nsystem 2\n",
        "blkio.throttle.io_service_bytes_recursive": "8:0 Read 512\n8:0 Write 0\nTotal 512\n",
    }.items():
        (tmp_path / name).write_text(text)

    found = metrics.read_v1(Cgroup(dict.fromkeys(("memory", "pids", "cpuacct", "cpu", "blkio"), str(tmp_path)), ""))

    assert (found.memory.cache, found.memory.pg_pg_in, found.memory.total_rss) == (5, 7, 11)
    assert found.memory.hierarchical_swap_limit == 13
    assert (found.memory.usage.usage, found.memory.usage.limit, found.memory_oom_control.oom_kill) == (4096, 8192, 2)
    assert (found.pids.current, found.pids.limit) == (3, 0)
    assert (found.cpu.usage.total, list(found.cpu.usage.per_cpu)) == (1000, [400, 600])
    assert (found.cpu.usage.user, found.cpu.usage.kernel) == (10_000_000, 20_000_000)
    assert [(entry.op, entry.major, entry.value) for entry in found.blkio.io_service_bytes_recursive] == [
        ("Read", 8, 512),
        ("Write", 8, 0),
    ]


def test_metrics_of_v2_are_read_from_its_files(tmp_path: Path) -> None:
    """`max` is the largest number, as the real shim has it."""
    for name, text in {
        "memory.stat": "anon 5\nfile 6\nzswap 1\n",
        "memory.current": "4096\n",
        "memory.max": "max\n",
        "memory.events": "low 0\nhigh 0\nmax 4\noom 1\noom_kill 1\noom_group_kill 0\n",
        "cpu.stat": "usage_usec 10\nuser_usec 4\nsystem_usec 6\nnr_periods 1\n",
        "pids.current": "2\n",
        "pids.max": "50\n",
        "io.stat": "8:0 rbytes=512 wbytes=0 rios=1 wios=0 dbytes=0 dios=0\n",
    }.items():
        (tmp_path / name).write_text(text)

    found = metrics.read_v2(str(tmp_path))

    assert (found.memory.anon, found.memory.file, found.memory.usage, found.memory.usage_limit) == (
        5,
        6,
        4096,
        2**64 - 1,
    )
    assert (found.memory_events.max, found.memory_events.oom_kill) == (4, 1)
    assert (found.cpu.usage_usec, found.cpu.nr_periods, found.pids.current, found.pids.limit) == (10, 1, 2, 50)
    assert (found.io.usage[0].major, found.io.usage[0].rbytes, found.io.usage[0].rios) == (8, 512, 1)
