"""cgroups: what is found on a host, where a container's group goes, and which files its limits are written to."""

import struct
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.oci.cgroups import device_filter, group, probe, v1, v2
from runtime.oci.errors import ConfigError, OCIError

V1_MOUNTS = """\
30 25 0:26 / /sys/fs/cgroup ro,nosuid - tmpfs tmpfs ro,mode=755
31 30 0:27 / /sys/fs/cgroup/cpu,cpuacct rw,nosuid shared:9 - cgroup cgroup rw,cpu,cpuacct
32 30 0:28 / /sys/fs/cgroup/memory rw,nosuid shared:10 - cgroup cgroup rw,memory
33 30 0:29 / /sys/fs/cgroup/systemd rw,nosuid shared:11 - cgroup cgroup rw,xattr,name=systemd
""".splitlines()
UNIFIED_BESIDE = ["34 30 0:30 / /sys/fs/cgroup/unified rw,nosuid shared:12 - cgroup2 cgroup2 rw"]
UNIFIED = ["30 25 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate"]
OWN_V1 = ["3:cpu,cpuacct:/", "2:memory:/user/me", "1:name=systemd:/"]


@pytest.mark.parametrize(
    ("mounts", "own", "layout"),
    [
        (V1_MOUNTS, OWN_V1, "v1"),
        (V1_MOUNTS + UNIFIED_BESIDE, [*OWN_V1, "0::/"], "hybrid"),
        (UNIFIED, ["0::/user.slice/s.scope"], "v2"),
        ([], [], "none"),
    ],
)
def test_layout_is_told_by_the_mounts(mounts: list[str], own: list[str], layout: str) -> None:
    """Four kinds of hosts."""
    assert layout == probe.parse(mounts, own).layout


def test_absolute_path_counts_from_the_mount_point() -> None:
    """docker's /docker/ID, in every hierarchy; joined controllers share a directory."""
    found = probe.parse(V1_MOUNTS + UNIFIED_BESIDE, [*OWN_V1, "0::/"])

    assert {
        "cpu": "/sys/fs/cgroup/cpu,cpuacct/docker/x",
        "cpuacct": "/sys/fs/cgroup/cpu,cpuacct/docker/x",
        "memory": "/sys/fs/cgroup/memory/docker/x",
        "name=systemd": "/sys/fs/cgroup/systemd/docker/x",
        "": "/sys/fs/cgroup/unified/docker/x",
    } == probe.paths(found, "/docker/x", "id")


def test_path_that_is_not_given_is_below_our_own_group() -> None:
    """On v2 beside it: a group with processes may not give controllers to its children."""
    on_v1 = probe.parse(V1_MOUNTS, OWN_V1)
    on_v2 = probe.parse(UNIFIED, ["0::/user.slice/s.scope"])

    assert "/sys/fs/cgroup/memory/user/me/id" == probe.paths(on_v1, "", "id")["memory"]
    assert {"": "/sys/fs/cgroup/user.slice/id"} == probe.paths(on_v2, "", "id")


def test_path_does_not_climb_out_of_the_hierarchy() -> None:
    """ ".." in cgroupsPath is dropped."""
    found = probe.parse(UNIFIED, ["0::/"])

    assert {"": "/sys/fs/cgroup/a/b"} == probe.paths(found, "/../a/./../b", "id")


def test_group_is_found_below_a_mount_that_begins_at_a_group() -> None:
    """Inside a container without a cgroup namespace the mount's root is the container's group."""
    mounts = ["30 25 0:26 /docker/me /sys/fs/cgroup rw - cgroup2 cgroup2 rw"]

    found = probe.parse(mounts, ["0::/docker/me/sub"])

    assert {"": "/sub"} == found.own


RESOURCES: dict[str, Any] = {
    "memory": {"limit": 1000, "swap": 3000, "reservation": 500, "swappiness": 7},
    "cpu": {"shares": 1024, "quota": 50000, "period": 100000, "cpus": "0-1"},
    "pids": {"limit": 9},
    "blockIO": {"weight": 500, "throttleReadBpsDevice": [{"major": 8, "minor": 0, "rate": 77}]},
    "hugepageLimits": [{"pageSize": "2MB", "limit": 4}],
}


def test_v1_writes_are_in_the_order_the_kernel_wants() -> None:
    """The period before the quota, memory before memory and swap."""
    assert [
        ("memory", "memory.limit_in_bytes", "1000"),
        ("memory", "memory.memsw.limit_in_bytes", "3000"),
        ("memory", "memory.soft_limit_in_bytes", "500"),
        ("memory", "memory.swappiness", "7"),
        ("cpu", "cpu.shares", "1024"),
        ("cpu", "cpu.cfs_period_us", "100000"),
        ("cpu", "cpu.cfs_quota_us", "50000"),
        ("cpuset", "cpuset.cpus", "0-1"),
        ("pids", "pids.max", "9"),
        ("blkio", "blkio.weight", "500"),
        ("blkio", "blkio.throttle.read_bps_device", "8:0 77"),
        ("hugetlb", "hugetlb.2MB.limit_in_bytes", "4"),
    ] == v1.plan(RESOURCES)


def test_v2_converts_the_fields_that_v1_gave_the_spec() -> None:
    """Shares to weight, memory and swap to swap alone, quota and period to one line."""
    assert [
        ("memory.swap.max", "2000"),
        ("memory.max", "1000"),
        ("memory.low", "500"),
        ("cpu.weight", "39"),
        ("cpu.max", "50000 100000"),
        ("cpuset.cpus", "0-1"),
        ("pids.max", "9"),
        ("io.weight", "default 4950"),
        ("io.max", "8:0 rbps=77"),
        ("hugetlb.2MB.max", "4"),
    ] == v2.plan(RESOURCES | {"memory": {**RESOURCES["memory"], "swappiness": -1}})


@pytest.mark.parametrize(
    ("section", "field", "value"),
    [
        ("memory", "kernelTCP", 4096),
        ("memory", "swappiness", 7),
        ("memory", "disableOOMKiller", True),
        ("cpu", "realtimeRuntime", 1000),
        ("cpu", "realtimePeriod", 1000),
        ("blockIO", "leafWeight", 10),
        ("network", "classID", 1),
        ("network", "priorities", [{"name": "lo", "priority": 1}]),
    ],
)
def test_v2_refuses_what_it_has_nothing_like(section: str, field: str, value: Any) -> None:
    """By name, and only where it is asked for: callers fill in zeros, and -1 for swappiness."""
    with pytest.raises(ConfigError, match=rf"linux\.resources\.{section}\.{field}: needs cgroup v1"):
        v2.plan({section: {field: value}})
    assert [] == v2.plan({section: {field: type(value)()}})
    assert [] == v2.plan({"memory": {"swappiness": (1 << 64) - 1}})


def test_idle_group_is_made_busy_again() -> None:
    """0 is a value of cpu.idle, and not "not set"."""
    assert [("cpu", "cpu.idle", "0")] == v1.plan({"cpu": {"idle": 0}})
    assert [("cpu.idle", "0"), ("cpu.weight", "39")] == v2.plan({"cpu": {"idle": 0, "shares": 1024}})
    assert [("cpu.idle", "1")] == v2.plan({"cpu": {"idle": 1, "shares": 1024}})


@pytest.mark.parametrize("controller", ["cpu", ""])
def test_kernel_without_idle_groups_has_none_to_end(tmp_path: Path, controller: str) -> None:
    """Before 5.15 the file is missing: a 0 means nothing there, and a 1 cannot be had. A file is never made."""
    container = group.Group({controller: str(tmp_path)})

    container.limit({"cpu": {"idle": 0}})
    with pytest.raises(OCIError, match=r"cannot write '1' to .*/cpu\.idle"):
        container.limit({"cpu": {"idle": 1}})
    group.Group({"memory": str(tmp_path)}).limit({"cpu": {"idle": 0}})
    assert [] == list(tmp_path.iterdir())


def test_limit_below_what_is_used_is_refused_where_that_is_to_be_checked(tmp_path: Path) -> None:
    """memory.checkBeforeUpdate, which only v2 needs."""
    (tmp_path / "memory.current").write_text("5000\n")
    container = group.Group({"": str(tmp_path)})

    for field, sentence in (("limit", "limit: 5000 is not above the 5000"), ("swap", "swap: 5000 is not above")):
        with pytest.raises(ConfigError, match=sentence):
            container.limit({"memory": {"limit": 5000, field: 5000, "checkBeforeUpdate": True}})
    v2.check_usage({"limit": 5001, "swap": -1, "checkBeforeUpdate": True}, 5000)
    v2.check_usage({"limit": 1}, 5000)


@pytest.mark.parametrize("plan", [v1.plan, v2.plan])
def test_zero_means_not_set(plan: Any) -> None:
    """Docker fills the whole structure with zeros."""
    zeros = {
        "memory": {"limit": 0, "swap": 0, "reservation": 0},
        "cpu": {"shares": 0, "quota": 0, "period": 0, "cpus": ""},
        "pids": {"limit": 0},
        "blockIO": {"weight": 0},
    }

    assert [] == plan(zeros)


@pytest.mark.parametrize(("plan", "name"), [(v1.plan, ("pids", "pids.max", "max")), (v2.plan, ("pids.max", "max"))])
def test_minus_one_means_unlimited(plan: Any, name: Any) -> None:
    """-1 takes a limit away."""
    assert [name] == plan({"pids": {"limit": -1}})


def test_weight_covers_its_whole_range() -> None:
    """The ends of one range are the ends of the other."""
    assert (1, 10000) == (v2.weight_of_shares(2), v2.weight_of_shares(262144))
    assert (1, 10000) == (v2.weight_of_block_io(10), v2.weight_of_block_io(1000))


def test_unified_is_written_as_it_stands_and_only_on_v2() -> None:
    """linux.resources.unified is the way to any file that the spec has no field for."""
    assert [("memory.high", "5")] == v2.plan({"unified": {"memory.high": "5"}})
    with pytest.raises(ConfigError, match="unified"):
        v1.plan({"unified": {"memory.high": "5"}})
    with pytest.raises(ConfigError, match="unified"):
        v2.plan({"unified": {"../memory.high": "5"}})


def test_v1_device_rules_are_written_in_order_and_the_default_devices_stay_open() -> None:
    """deny everything, allow one, and then what every container has."""
    rules = [{"allow": False, "access": "rwm"}, {"allow": True, "type": "c", "major": 10, "minor": 229, "access": "rw"}]

    writes = v1.devices(rules)

    assert ("devices", "devices.deny", "a") == writes[0]
    assert ("devices", "devices.allow", "c 10:229 rw") == writes[1]
    assert ("devices", "devices.allow", "c 1:3 rwm") in writes[2:]


def run_device_filter(rules: list[dict[str, Any]], kind: int, access: int, major: int, minor: int) -> bool:
    """Interpret the program as the kernel would."""
    code = device_filter.assemble(device_filter.instructions(rules))
    context = struct.pack("=III", access << 16 | kind, major, minor)
    registers = [0] * 11
    position = 0
    instructions = list(struct.iter_unpack("=BBhi", code))
    while True:
        opcode, pair, offset, constant = instructions[position]
        left, right = pair & 15, pair >> 4
        position += 1
        if opcode == device_filter.EXIT:
            return bool(registers[0])
        if opcode == device_filter.LOAD_WORD:
            (registers[left],) = struct.unpack_from("=I", context, offset)
        elif opcode == device_filter.MOVE:
            registers[left] = registers[right]
        elif opcode == device_filter.MOVE_CONSTANT:
            registers[left] = constant
        elif opcode == device_filter.SHIFT_RIGHT:
            registers[left] >>= constant
        elif opcode == device_filter.AND:
            registers[left] &= constant & 0xFFFFFFFF
        elif (registers[left] == constant & 0xFFFFFFFF) is (opcode == device_filter.JUMP_EQUAL):
            position += offset


RULE = st.fixed_dictionaries(
    {"allow": st.booleans(), "type": st.sampled_from("abc"), "access": st.sampled_from(["r", "w", "rw", "rwm", "m"])},
    optional={"major": st.sampled_from([-1, 7, 8]), "minor": st.sampled_from([-1, 0, 1])},
)


@given(
    st.lists(RULE, max_size=5),
    st.sampled_from([1, 2]),
    st.sampled_from([2, 4, 6]),
    st.sampled_from([7, 8]),
    st.integers(0, 2),
)
def test_device_filter_answers_as_the_last_matching_rule(
    rules: list[dict[str, Any]], kind: int, access: int, major: int, minor: int
) -> None:
    """A later rule wins; nothing that matches means no."""

    def matches(rule: dict[str, Any]) -> bool:
        letters = sum(device_filter.ACCESS[letter] for letter in rule["access"])
        covered = not access & ~letters if rule["allow"] else bool(access & letters)
        numbers = ((rule.get("major", -1), major), (rule.get("minor", -1), minor))
        right_type = rule["type"] == "a" or {"b": 1, "c": 2}[rule["type"]] == kind
        return covered and right_type and all(want in (-1, got) for want, got in numbers)

    deciding = next((rule for rule in reversed(rules) if matches(rule)), {"allow": False})

    assert deciding["allow"] == run_device_filter(rules, kind, access, major, minor)


def test_device_filter_always_lets_the_default_devices_through() -> None:
    """Whatever config.json denies: /dev/null has to open."""
    assert run_device_filter([{"allow": False}], 2, 6, 1, 3)
    assert not run_device_filter([{"allow": False}], 2, 6, 1, 1)
