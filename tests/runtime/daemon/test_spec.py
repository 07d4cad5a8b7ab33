"""HostConfig to config.json, field by field, without a host."""

from pathlib import Path
from typing import Any

import pytest

from runtime.daemon import host_config, mount_points, security_options, spec
from runtime.daemon.container import Container
from runtime.daemon.errors import InvalidParameterError
from runtime.daemon.rootfs_files import SnapshotMount
from runtime.daemon.spec import HostFacts, SpecInputs
from runtime.daemon.users import ProcessUser

RUNTIMES = {"r": "/r"}
ROOT = HostFacts(
    cgroup_v2=False,
    rootless=False,
    mapped_ids=2**32 - 1,
    init_binary="/usr/bin/docker-init",
    apparmor=False,
    limits=frozenset(),
)

NOBODY_ASKED = ProcessUser(0, 0, (0,))


def build(
    folder: Path,
    config: dict[str, Any] | None = None,
    host: dict[str, Any] | None = None,
    facts: HostFacts = ROOT,
    user: ProcessUser = NOBODY_ASKED,
) -> dict[str, Any]:
    """config.json for a container that was asked for like this."""
    full = host_config.complete(host or {}, "r", facts.cgroup_v2)
    host_config.verify(full, RUNTIMES)
    asked = {"Hostname": "h", "Env": ["PATH=/bin"], **(config or {})}
    container = Container(
        id="c" * 64,
        name="n",
        created_ns=1,
        image_id="sha256:0",
        image_name="i",
        path="sh",
        args=["-c", "x"],
        config=asked,
        host_config=full,
        networking={},
        mount_points=[],
        rootfs=[SnapshotMount("bind", "/r", ())],
        snapshotter="native",
        directory=str(folder),
    )
    inputs = SpecInputs(facts, user, "/docker/c", mount_points.parse(asked, full), {"/etc/hosts": "/f/hosts"})
    return spec.build(container, inputs)


def mount_at(document: dict[str, Any], destination: str) -> dict[str, Any]:
    found: list[dict[str, Any]] = [m for m in document["mounts"] if m["destination"] == destination]
    assert len(found) == 1
    return found[0]


async def test_spec_of_a_plain_container_is_dockers(tmp_path: Path) -> None:
    """Nothing asked for: new namespaces, docker's capabilities, its filter, its mounts, no limits."""
    document = build(tmp_path)

    assert ["mount", "network", "uts", "pid", "ipc"] == [n["type"] for n in document["linux"]["namespaces"]]
    assert ["sh", "-c", "x"] == document["process"]["args"]
    assert 14 == len(document["process"]["capabilities"]["bounding"])
    assert "SCMP_ACT_ERRNO" == document["linux"]["seccomp"]["defaultAction"]
    assert {"devices"} == set(document["linux"]["resources"])
    assert "/docker/c" == document["linux"]["cgroupsPath"]
    assert "/f/hosts" == mount_at(document, "/etc/hosts")["source"]


async def test_spec_limits_become_resources(tmp_path: Path) -> None:
    """--memory, --cpus and --pids-limit in the specification's words; swap is twice the memory."""
    document = build(tmp_path, host={"Memory": 64 << 20, "NanoCpus": 500_000_000, "PidsLimit": 20})

    resources = document["linux"]["resources"]
    assert {"limit": 64 << 20, "swap": 128 << 20} == resources["memory"]
    assert {"period": 100_000, "quota": 50_000} == resources["cpu"]
    assert {"limit": 20} == resources["pids"]


async def test_spec_of_a_privileged_container_hides_nothing(tmp_path: Path) -> None:
    """--privileged: no filter, no hidden paths, all devices, writable sysfs and cgroup."""
    document = build(tmp_path, host={"Privileged": True})

    assert "seccomp" not in document["linux"]
    assert "maskedPaths" not in document["linux"]
    assert [{"allow": True, "access": "rwm"}] == document["linux"]["resources"]["devices"]
    assert "/dev/null" in {device["path"] for device in document["linux"]["devices"]}
    assert "ro" not in mount_at(document, "/sys")["options"]
    assert "ro" not in mount_at(document, "/sys/fs/cgroup")["options"]


@pytest.mark.parametrize(
    ("options", "privileged", "here", "profile"),
    [
        (["apparmor=mine"], False, True, "mine"),
        (["apparmor:unconfined"], False, True, "unconfined"),
        (["apparmor=mine"], False, False, ""),
        ([], True, True, "unconfined"),
        ([], False, True, ""),
    ],
)
def test_apparmor_profile_is_passed_on_where_there_is_apparmor(
    options: list[str], privileged: bool, here: bool, profile: str
) -> None:
    """Left alone elsewhere, as in dockerd; nothing is asked for where the user asks for none."""
    host = host_config.complete({"SecurityOpt": options, "Privileged": privileged}, "r", cgroup_v2=False)

    assert profile == security_options.apparmor_profile(host, here)


def test_confinement_is_written_where_the_runtime_looks() -> None:
    """`process.apparmorProfile` and `process.noNewPrivileges`."""
    process: dict[str, Any] = {}
    host = host_config.complete({"SecurityOpt": ["no-new-privileges"]}, "r", cgroup_v2=False)

    security_options.confine(process, host, "mine")

    assert {"noNewPrivileges": True, "apparmorProfile": "mine"} == process


async def test_spec_host_modes_leave_namespaces_out(tmp_path: Path) -> None:
    """--network, --pid, --ipc and --uts host: no entry, no hostname, the host's /dev/shm."""
    document = build(tmp_path, host={"NetworkMode": "host", "PidMode": "host", "IpcMode": "host", "UTSMode": "host"})

    assert ["mount"] == [n["type"] for n in document["linux"]["namespaces"]]
    assert "hostname" not in document
    assert "/dev/shm" == mount_at(document, "/dev/shm")["source"]
    assert {} == document["linux"]["sysctl"]


async def test_spec_of_another_user_has_empty_effective_sets(tmp_path: Path) -> None:
    """Not root: the bounding set says what could be gained, nothing is held."""
    document = build(tmp_path, user=ProcessUser(1000, 1000, (1000,)))

    assert [] == document["process"]["capabilities"]["effective"]
    assert 14 == len(document["process"]["capabilities"]["bounding"])


@pytest.mark.parametrize(("mapped", "has_group"), [(1, False), (65536, True)])
async def test_spec_in_a_user_namespace_gives_up_what_it_must(tmp_path: Path, mapped: int, has_group: bool) -> None:
    """Rootless: no device rules, no ping range, tty's group only where it is mapped."""
    facts = HostFacts(
        cgroup_v2=True, rootless=True, mapped_ids=mapped, init_binary="", apparmor=False, limits=frozenset()
    )

    document = build(tmp_path, facts=facts)

    assert "devices" not in document["linux"]["resources"]
    assert "net.ipv4.ping_group_range" not in document["linux"]["sysctl"]
    assert has_group is ("gid=5" in mount_at(document, "/dev/pts")["options"])
    assert "cgroup" in {n["type"] for n in document["linux"]["namespaces"]}


async def test_spec_capabilities_follow_add_and_drop(tmp_path: Path) -> None:
    """ALL dropped and one added leaves one, and brings its system calls into the filter."""
    document = build(tmp_path, host={"CapDrop": ["ALL"], "CapAdd": ["sys_time"]})

    assert ["CAP_SYS_TIME"] == document["process"]["capabilities"]["bounding"]
    allowed = document["linux"]["seccomp"]["syscalls"][0]["names"]
    assert "clock_settime" in allowed
    assert "chroot" not in allowed


async def test_spec_mount_of_the_users_replaces_a_default_one(tmp_path: Path) -> None:
    """-v on /dev/shm: one mount there, the user's."""
    document = build(tmp_path, host={"Binds": ["/x:/dev/shm:ro"]})

    assert {"source": "/x", "type": "bind", "options": ["rbind", "ro", "rprivate"]} == {
        key: value for key, value in mount_at(document, "/dev/shm").items() if key != "destination"
    }


async def test_spec_environment_lets_the_user_win(tmp_path: Path) -> None:
    """PATH and HOSTNAME are there; what the user says replaces them; a bare name removes."""
    document = build(tmp_path, config={"Env": ["HOSTNAME=mine", "A=1", "PATH"], "Tty": True})

    assert ["HOSTNAME=mine", "TERM=xterm", "A=1"] == document["process"]["env"]


@pytest.mark.parametrize(
    ("host", "words"),
    [
        ({"Memory": 1}, "Minimum memory limit allowed is 6MB"),
        ({"MemorySwap": 9 << 20}, "You should always set the Memory limit"),
        ({"NanoCpus": 1}, "Range of CPUs is from 0.01"),
        ({"Runtime": "x"}, "Unknown runtime specified x"),
        ({"PidMode": "nosuch"}, "invalid PID mode: nosuch"),
        ({"OomScoreAdj": 2000}, "range for oom score adj"),
        ({"Memory": "much"}, "cannot unmarshal string into Go struct field HostConfig.HostConfig.Memory of type int64"),
        ({"Binds": "x"}, "cannot unmarshal string .* of type .]string"),
        ({"AutoRemove": True, "RestartPolicy": {"Name": "always"}}, "can't create 'AutoRemove'"),
        ({"Binds": ["/a:/b:odd"]}, "invalid mode: odd"),
        ({"Binds": ["/a:/"]}, "destination can't be '/'"),
        ({"Tmpfs": {"rel": ""}}, "mount path must be absolute"),
        ({"SecurityOpt": ["seccomp={"]}, "Decoding seccomp profile failed"),
        ({"DeviceCgroupRules": ["odd"]}, "invalid device cgroup rule"),
    ],
)
async def test_host_config_that_cannot_be_meant_is_refused(tmp_path: Path, host: dict[str, Any], words: str) -> None:
    """A sentence, not a traceback."""
    with pytest.raises(InvalidParameterError, match=words):
        build(tmp_path, host=host)


async def test_spec_shm_size_of_zero_means_the_default(tmp_path: Path) -> None:
    """The docker CLI sends ShmSize 0 where nobody asked; a tmpfs of size=0 would have no limit."""
    document = build(tmp_path, host={"ShmSize": 0})

    assert "size=67108864" in mount_at(document, "/dev/shm")["options"]
