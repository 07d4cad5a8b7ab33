"""config.json: a wrong one is refused before anything is made, in a sentence that names the field."""

import copy
import json
import struct
from pathlib import Path
from typing import Any

import pytest

from runtime.oci import bundle, capabilities, id_maps, namespaces, process_object, rlimits, scheduling, sysctl
from runtime.oci.commands.spec import default_spec, make_rootless
from runtime.oci.errors import ConfigError, OCIError

ID_MAP = [{"containerID": 0, "hostID": 1, "size": 1}]


@pytest.fixture
def config(tmp_path: Path) -> dict[str, Any]:
    """What `spec` writes, beside an empty root."""
    (tmp_path / "rootfs").mkdir()
    return default_spec()


def changed(config: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    """A copy with one field set; a dotted path."""
    copied = copy.deepcopy(config)
    *parents, last = path.split(".")
    place: Any = copied
    for name in parents:
        place = place.setdefault(name, {}) if isinstance(place, dict) else place[int(name)]
    place[last] = value
    return copied


def test_default_spec_is_accepted(config: dict[str, Any], tmp_path: Path) -> None:
    """With and without a user namespace."""
    rootless = copy.deepcopy(config)
    make_rootless(rootless, 1000, 1000)

    assert str(tmp_path / "rootfs") == bundle.check(config, str(tmp_path))["root"]["path"]
    assert "user" in namespaces.plan(bundle.check(rootless, str(tmp_path))).make


@pytest.mark.parametrize(
    ("path", "value", "sentence"),
    [
        ("ociVersion", "2.0.0", 'config.json: ociVersion: "2.0.0" is not supported'),
        ("ociVersion", "1.x", 'config.json: ociVersion: "1.x" is not supported: this runtime speaks 1.0.0 and later'),
        ("ociVersion", "1.02.0", 'config.json: ociVersion: "1.02.0" is not supported'),
        ("ociVersion", "1.2", 'config.json: ociVersion: "1.2" is not supported'),
        *[
            ("ociVersion", wrong, f'config.json: ociVersion: "{wrong}" is not supported')
            for wrong in ("", "1", "1.3.0.0", "v1.3.0", "1.3.-1", "1.3.0-", "1.3.0+", "1.3.0-01", "1.3.0-a..b")
        ],
        ("ociVersion", "10.0.0", 'config.json: ociVersion: "10.0.0" is not supported'),
        ("ociVersion", "1.\u0663.0", 'config.json: ociVersion: "1.\u0663.0" is not supported'),
        ("ociVersion", "0.9.0", 'config.json: ociVersion: "0.9.0" is not supported'),
        ("ociVersion", None, "config.json: ociVersion: is required"),
        ("process.args", [], "config.json: process.args: must not be empty"),
        ("process.args", "sh", "config.json: process.args: expected an array, got a string"),
        ("process.args", ["sh", 1], "config.json: process.args[1]: expected a string, got a number"),
        ("process.cwd", "tmp", 'config.json: process.cwd: "tmp" must be absolute'),
        ("process.env", ["A"], 'config.json: process.env[0]: "A" is not NAME=VALUE'),
        ("process.user", {"uid": True}, "config.json: process.user.uid: expected a number, got true or false"),
        ("process.user", {"uid": -1}, "config.json: process.user.uid: -1 is not in range 0 to 2147483647"),
        ("process.user", {"gid": 1 << 31}, "config.json: process.user.gid: 2147483648 is not in range"),
        ("process.user", {"additionalGids": [1, -1]}, "config.json: process.user.additionalGids[1]: -1 is not in"),
        (
            "hooks",
            {"poststop": [{"path": "/x", "timeout": 0}]},
            "config.json: hooks.poststop[0].timeout: 0 must be greater than zero",
        ),
        (
            "hooks",
            {"prestart": [{"path": "/x"}, {"path": "/x", "timeout": -5}]},
            "config.json: hooks.prestart[1].timeout: -5 must be greater than zero",
        ),
        ("root.path", "nosuch", "config.json: root.path:"),
        ("root.path", "/", "config.json: root.path: must not be the host's /"),
        ("mounts", [{"type": "tmpfs"}], "config.json: mounts[0].destination: is required"),
        ("hooks", {"prestart": [{"args": ["x"]}]}, "config.json: hooks.prestart[0].path: is required"),
        ("linux.namespaces", [{"type": "mount"}, {"type": "dream"}], "linux.namespaces[1].type: unknown namespace"),
        (
            "linux.namespaces",
            [{"type": "mount"}, {"type": "mount"}],
            'linux.namespaces[1]: namespace "mount" is listed',
        ),
        ("linux.namespaces", [{"type": "mount", "path": "x"}], 'linux.namespaces[0].path: "x" must be absolute'),
        ("linux.namespaces", [{"type": "uts"}], "linux.maskedPaths: needs a mount namespace"),
        ("linux.namespaces", [{"type": "mount"}], "config.json: hostname: needs a uts namespace"),
        ("linux.devices", [{"type": "x", "path": "/dev/x"}], 'linux.devices[0].type: "x" is not one of b, c, p, u'),
        ("process.scheduler", {"nice": 1}, "config.json: process.scheduler.policy: is required"),
        (
            "process.scheduler",
            {"policy": "SCHED_FUN"},
            'scheduler.policy: "SCHED_FUN" is not one of SCHED_OTHER',
        ),
        ("process.scheduler", {"policy": "SCHED_OTHER", "nice": 20}, "scheduler.nice: 20 is not between -20 and 19"),
        (
            "process.scheduler",
            {"policy": "SCHED_IDLE", "priority": 1},
            "scheduler.priority: is for SCHED_FIFO and",
        ),
        ("process.scheduler", {"policy": "SCHED_RR"}, "process.scheduler.priority: 0 is not between 1 and 99"),
        ("process.scheduler", {"policy": "SCHED_OTHER", "period": 9}, "scheduler.period: is for SCHED_DEADLINE, not"),
        (
            "process.scheduler",
            {"policy": "SCHED_DEADLINE", "runtime": -1},
            "scheduler.runtime: -1 is no number of",
        ),
        (
            "process.scheduler",
            {"policy": "SCHED_OTHER", "flags": ["X"]},
            'scheduler.flags[0]: "X" is not one of SCHED_',
        ),
        ("process.ioPriority", {"class": "IOPRIO_CLASS_RT"}, "process.ioPriority.priority: is required"),
        ("process.ioPriority", {"class": "BE", "priority": 1}, 'process.ioPriority.class: "BE" is not one of IOPRIO_'),
        ("process.ioPriority", {"class": "IOPRIO_CLASS_RT", "priority": 8}, "priority: 8 is not between 0 and 7"),
        ("process.execCPUAffinity", {"final": "0"}, "process.execCPUAffinity: is not supported by this runtime"),
        ("mounts", [{"destination": "/a", "uidMappings": ID_MAP}], "mounts[0].uidMappings: id-mapped mounts are not"),
        ("mounts", [{"destination": "/a", "gidMappings": ID_MAP}], "mounts[0].gidMappings: id-mapped mounts are not"),
        ("linux.netDevices", {"eth0": {}}, "linux.netDevices: is not supported by this runtime"),
        ("linux.memoryPolicy", {"mode": "MPOL_BIND"}, "linux.memoryPolicy: is not supported by this runtime"),
        ("linux.intelRdt", {"closID": "a"}, "linux.intelRdt: is not supported by this runtime"),
        ("linux.mountLabel", "a", "linux.mountLabel: is not supported by this runtime"),
        ("linux.personality", {"domain": "LINUX", "flags": ["X"]}, "linux.personality.flags: are not supported"),
        ("linux.timeOffsets", {"monotonic": {"secs": 1}}, "linux.timeOffsets: needs a time namespace"),
        ("linux.cgroupsPath", "a:b:c", "linux.cgroupsPath: slice:prefix:name is systemd's form"),
        ("linux.rootfsPropagation", "sideways", 'linux.rootfsPropagation: "sideways" is not one of'),
        ("linux.resources", {"memory": {"limit": "1g"}}, "linux.resources.memory.limit: expected a number"),
    ],
)
def test_wrong_field_is_named(config: dict[str, Any], tmp_path: Path, path: str, value: Any, sentence: str) -> None:
    """One sentence, with the field in it."""
    with pytest.raises(ConfigError) as refused:
        bundle.check(changed(config, path, value), str(tmp_path))

    assert sentence in str(refused.value)


@pytest.mark.parametrize(
    "version",
    ["1.0.0", "1.0.2-dev", "1.1.0+dev", "1.1.0-rc.1", "1.2.9", "1.3.0", "1.3.0-0.a-b+01.x", "1.10.0", "1.999.0"],
)
def test_every_minor_version_of_1_is_spoken(config: dict[str, Any], tmp_path: Path, version: str) -> None:
    """As real callers write them: containerd 1.6 says 1.0.2-dev, podman 4 1.1.0+dev, newer Go modules 1.3.0."""
    assert bundle.check(changed(config, "ociVersion", version), str(tmp_path))


def test_unknown_fields_and_nulls_are_ignored(config: dict[str, Any], tmp_path: Path) -> None:
    """The spec asks for the first; Go programs write the second."""
    config = changed(changed(config, "process.apparmorProfile", None), "linux.novelty", {"a": 1})

    assert "apparmorProfile" not in bundle.check(config, str(tmp_path))["process"]


@pytest.mark.parametrize("content", ["", "{", "[1]", '"text"'])
def test_file_that_is_no_configuration_is_refused(tmp_path: Path, content: str) -> None:
    """Not JSON, or JSON that is no object."""
    (tmp_path / "config.json").write_text(content)

    with pytest.raises(OCIError, match=r"config\.json"):
        bundle.load(str(tmp_path))


def test_missing_file_is_named(tmp_path: Path) -> None:
    """The path that was looked for."""
    with pytest.raises(OCIError, match=r"config\.json not found"):
        bundle.load(str(tmp_path))


def test_process_file_is_checked_like_the_configuration(tmp_path: Path) -> None:
    """`exec --process`."""
    (tmp_path / "process.json").write_text(json.dumps({"args": ["sh"], "cwd": 1}))

    with pytest.raises(ConfigError, match=r"process\.cwd: expected a string"):
        process_object.load(str(tmp_path / "process.json"))


def test_capabilities_are_cut_to_what_we_hold_and_the_rest_is_named() -> None:
    """Unknown names and rights we lack are warnings, as the spec wants; the kernel's rules between sets are kept."""
    chown, kill = 1 << 0, 1 << 5
    names = ["CAP_CHOWN", "CAP_SYS_ADMIN", "CAP_FLY"]
    configured = {
        "bounding": names,
        "permitted": names,
        "effective": ["CAP_CHOWN", "CAP_KILL"],
        "ambient": ["CAP_CHOWN"],
    }

    sets, left_out = capabilities.plan(configured, chown | kill)

    assert (chown, chown, chown, 0, 0) == (
        sets.bounding,
        sets.permitted,
        sets.effective,
        sets.inheritable,
        sets.ambient,
    )
    assert ["CAP_FLY", "CAP_SYS_ADMIN"] == sorted(text.split(":")[0] for text in left_out)


def test_capability_numbers_are_the_kernels() -> None:
    """The table is positional: the last and some in the middle."""
    numbers = capabilities.NUMBERS

    assert (0, 12, 21, 27, 40) == tuple(
        numbers[f"CAP_{name}"] for name in ("CHOWN", "NET_ADMIN", "SYS_ADMIN", "MKNOD", "CHECKPOINT_RESTORE")
    )


@pytest.mark.parametrize(
    ("limits", "sentence"),
    [
        (
            [{"type": "RLIMIT_FUN", "soft": 1, "hard": 1}],
            'process.rlimits[0].type: unknown resource limit "RLIMIT_FUN"',
        ),
        ([{"type": "RLIMIT_CPU", "soft": 2, "hard": 1}], "process.rlimits[0]: soft 2 is above hard 1"),
        ([{"type": "RLIMIT_CPU", "soft": 1, "hard": 1}] * 2, 'process.rlimits[1].type: "RLIMIT_CPU" is listed twice'),
    ],
)
def test_wrong_rlimits_are_named(limits: list[dict[str, Any]], sentence: str) -> None:
    """Before any is set."""
    with pytest.raises(ConfigError) as refused:
        rlimits.plan(limits)

    assert sentence in str(refused.value)


def test_scheduling_is_planned_as_the_calls_want_it() -> None:
    """struct sched_attr of sched_setattr(2), and class and priority in one number for ioprio_set(2)."""
    scheduler = {
        "policy": "SCHED_DEADLINE",
        "flags": ["SCHED_FLAG_RESET_ON_FORK", "SCHED_FLAG_DL_OVERRUN"],
        "nice": -3,
        "runtime": 1,
        "deadline": 2,
        "period": 3,
    }

    planned = scheduling.plan({"scheduler": scheduler, "ioPriority": {"class": "IOPRIO_CLASS_BE", "priority": 7}})

    assert struct.pack("=IIQiIQQQQ", 56, 6, 5, -3, 0, 1, 2, 3, 0) == planned.attributes
    assert 2 << 13 | 7 == planned.io_priority
    assert (None, None) == (scheduling.plan({}).attributes, scheduling.plan({}).io_priority)


def test_largest_number_means_no_limit() -> None:
    """RLIM_INFINITY comes as 2**64 - 1."""
    ((_, soft, hard),) = rlimits.plan([{"type": "RLIMIT_CORE", "soft": 0, "hard": (1 << 64) - 1}])

    assert (0, -1) == (soft, hard)


def test_sysctl_takes_only_what_belongs_to_the_containers_namespaces() -> None:
    """Both spellings; a parameter of the host, or of a shared namespace, is refused."""
    plan = namespaces.Plan({"network"}, {})

    sysctl.check({"net.ipv4.ip_forward": "1", "net/ipv4/conf/eth0.1/mtu": "1"}, plan)
    assert "/proc/sys/net/ipv4/conf/eth0.1/mtu" == sysctl.path("net/ipv4/conf/eth0.1/mtu")
    for name in ("kernel.shmmax", "vm.swappiness", "net/../vm/swappiness"):
        with pytest.raises(ConfigError, match="sysctl"):
            sysctl.check({name: "1"}, plan)


def test_id_maps_are_lines_and_answer_who_root_is() -> None:
    """As /proc/PID/uid_map wants them."""
    mappings = [{"containerID": 0, "hostID": 1000, "size": 1}, {"containerID": 1, "hostID": 100000, "size": 65536}]

    assert ["0 1000 1", "1 100000 65536"] == id_maps.lines(mappings, "linux.uidMappings")
    assert [1000, 100004, -1] == [id_maps.host_id(mappings, inside) for inside in (0, 5, 70000)]
    with pytest.raises(ConfigError, match="uidMappings"):
        id_maps.lines([], "linux.uidMappings")
