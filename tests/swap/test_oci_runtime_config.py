"""What config.json asks for is what the process finds: runc and crun first, then ours, one body."""

import os
import stat
from pathlib import Path
from typing import Any

import pytest

from tests.oci_bundle import CGROUP_PARENT, Box

pytestmark = [pytest.mark.root, pytest.mark.swap, pytest.mark.slow]


def status_of(box: Box, *fields: str) -> dict[str, str]:
    """Some fields of the container process's /proc/self/status."""
    lines = [line.split(":", 1) for line in box.run("cat", "/proc/self/status").splitlines()]
    return {name: value.strip() for name, value in lines if name in fields}


def test_process_has_user_groups_umask_directory_and_environment(box: Box) -> None:
    """The plain fields of the process object."""
    user = {"uid": 11, "gid": 12, "additionalGids": [13, 14], "umask": 0o027}
    box.config["process"] |= {"user": user, "cwd": "/made/for/it", "env": ["PATH=/bin", "A=b c", "HOME=/h"]}

    lines = box.shell("id -u; id -g; id -G; umask; pwd; echo $A; echo $HOME")

    assert ["11", "12"] == lines[:2]
    assert {"12", "13", "14"} == set(lines[2].split())
    assert ["0027", "/made/for/it", "b c", "/h"] == lines[3:]


def test_capabilities_are_exactly_the_five_sets(box: Box) -> None:
    """A user that is not root keeps what is ambient; the bounding set is what bounding lists."""
    box.config["process"]["user"] = {"uid": 1000, "gid": 1000}
    box.config["process"]["capabilities"] = {
        "bounding": ["CAP_CHOWN", "CAP_KILL", "CAP_NET_RAW"],
        "effective": ["CAP_CHOWN", "CAP_KILL"],
        "permitted": ["CAP_CHOWN", "CAP_KILL"],
        "inheritable": ["CAP_CHOWN", "CAP_KILL"],
        "ambient": ["CAP_CHOWN"],
    }

    sets = {
        name: int(value, 16) for name, value in status_of(box, "CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb").items()
    }

    chown, kill, net_raw = 1 << 0, 1 << 5, 1 << 13
    assert {
        "CapBnd": chown | kill | net_raw,
        "CapInh": chown | kill,
        "CapAmb": chown,
        "CapPrm": chown,
        "CapEff": chown,
    } == sets


def test_root_gets_the_bounding_set_at_execve(box: Box) -> None:
    """Root's permitted set after execve is the bounding one."""
    box.config["process"]["capabilities"] = {name: ["CAP_CHOWN"] for name in ("bounding", "effective", "permitted")}

    assert {"CapPrm": f"{1:016x}", "CapBnd": f"{1:016x}"} == status_of(box, "CapPrm", "CapBnd")


def test_no_new_privileges_is_set_when_asked(box: Box) -> None:
    """The flag shows in /proc/self/status."""
    box.config["process"]["noNewPrivileges"] = True

    assert {"NoNewPrivs": "1"} == status_of(box, "NoNewPrivs")


def test_rlimits_and_oom_score_are_set(box: Box) -> None:
    """Lower limits than ours, and a higher score, need no special right."""
    box.config["process"]["rlimits"] = [{"type": "RLIMIT_NOFILE", "soft": 100, "hard": 200}]
    box.config["process"]["oomScoreAdj"] = 321

    assert ["100", "200", "321"] == box.shell("ulimit -Sn; ulimit -Hn; cat /proc/self/oom_score_adj")


def test_sysctl_changes_the_containers_own_namespace(box: Box) -> None:
    """A network and an IPC parameter; the host's stay."""
    host = Path("/proc/sys/kernel/msgmax").read_text()
    box.config["linux"]["sysctl"] = {"net.ipv4.ip_forward": "1", "kernel.msgmax": "12345"}

    assert ["1", "12345"] == box.shell("cat /proc/sys/net/ipv4/ip_forward /proc/sys/kernel/msgmax")
    assert host == Path("/proc/sys/kernel/msgmax").read_text()


def test_sysctl_of_the_host_is_refused(box: Box) -> None:
    """vm.overcommit_memory belongs to no namespace."""
    box.config["linux"]["sysctl"] = {"vm.overcommit_memory": "1"}

    assert box.create("true", status=None).returncode != 0


def test_default_devices_and_links_are_there(box: Box) -> None:
    """The devices of config-linux.md, their numbers, and the links."""
    lines = box.shell(
        "for d in null zero full random urandom tty; do stat -c '%n %t:%T %a' /dev/$d; done;"
        "for l in fd stdin stdout stderr ptmx; do readlink /dev/$l; done"
    )

    assert ["/dev/null 1:3 666", "/dev/zero 1:5 666", "/dev/full 1:7 666"] == lines[:3]
    assert ["/dev/random 1:8 666", "/dev/urandom 1:9 666", "/dev/tty 5:0 666"] == lines[3:6]
    assert ["/proc/self/fd", "/proc/self/fd/0", "/proc/self/fd/1", "/proc/self/fd/2", "pts/ptmx"] == lines[6:]


def test_devices_are_made_but_the_cgroup_decides_who_opens_them(box: Box) -> None:
    """linux.devices makes the node; linux.resources.devices lets it be opened or not."""
    box.config["linux"]["devices"] = [
        {"type": "c", "path": "/dev/kmsg-allowed", "major": 1, "minor": 11, "fileMode": 0o666, "uid": 3, "gid": 4},
        {"type": "c", "path": "/dev/mem-denied", "major": 1, "minor": 1, "fileMode": 0o666},
    ]
    for names in box.config["process"]["capabilities"].values():
        names.append("CAP_SYSLOG")  # the kernel log wants it where kernel.dmesg_restrict is set
    rules = box.config["linux"]["resources"]["devices"]
    rules.append({"allow": True, "type": "c", "major": 1, "minor": 11, "access": "r"})

    lines = box.shell(
        "stat -c '%a %u:%g %t:%T' /dev/kmsg-allowed; (: < /dev/kmsg-allowed) && echo opened;"
        "(: < /dev/mem-denied) 2>/dev/null || echo denied"
    )

    assert ["666 3:4 1:b", "opened", "denied"] == lines


def test_root_and_bind_mounts_are_read_only_where_asked(box: Box) -> None:
    """root.readonly, a read-only bind and a writable tmpfs side by side."""
    shared = box.directory / "shared"
    shared.mkdir()
    (shared / "file").write_text("from the host")
    box.config["root"]["readonly"] = True
    box.config["mounts"] += [
        {"destination": "/data", "type": "bind", "source": str(shared), "options": ["rbind", "ro"]},
        {"destination": "/tmp", "type": "tmpfs", "source": "tmpfs", "options": ["size=64k", "mode=1777", "noexec"]},
    ]

    lines = box.shell(
        "cat /data/file; echo; for d in / /data /tmp; do touch $d/x 2>/dev/null && echo yes || echo no; done;"
        "grep ' /tmp ' /proc/self/mounts"
    )

    assert ["from the host", "no", "no", "yes"] == lines[:4]
    assert {"noexec", "size=64k"} <= set(lines[4].split()[3].split(","))


def test_bind_mount_of_a_file_makes_its_target(box: Box) -> None:
    """A file is mounted on a file, and the missing path is made."""
    source = box.directory / "hosts"
    source.write_text("127.0.0.1 box\n")
    box.config["mounts"].append(
        {"destination": "/new/etc/hosts", "type": "bind", "source": str(source), "options": ["bind"]}
    )

    assert ["127.0.0.1 box"] == box.shell("cat /new/etc/hosts")


def test_mount_target_through_a_link_stays_in_the_root(box: Box) -> None:
    """A link in the image that points at a path of the host is resolved inside the container."""
    outside = box.directory / "outside"
    outside.mkdir()
    (box.rootfs / "evil").symlink_to(outside)
    box.config["mounts"].append({"destination": "/evil/here", "type": "tmpfs", "source": "tmpfs"})

    box.run("true", status=None)

    assert [] == list(outside.iterdir())


def test_proc_on_a_link_is_refused(box: Box) -> None:
    """The image must not be able to fake /proc by putting the real one elsewhere."""
    (box.rootfs / "proc").rmdir()
    (box.rootfs / "proc").symlink_to("/tmp")

    done = box.create("true", status=None)

    assert done.returncode != 0 or box.name == "crun"


def test_paths_are_masked_and_read_only(box: Box) -> None:
    """A masked file reads empty, a masked directory is empty, a read-only path takes no write."""
    (box.rootfs / "data/secret").write_text("secret")
    (box.rootfs / "data/directory").mkdir()
    (box.rootfs / "data/directory/secret").write_text("secret")
    box.config["linux"] |= {
        "maskedPaths": ["/data/secret", "/data/directory", "/data/missing"],
        "readonlyPaths": ["/proc/sys", "/tmp", "/data/missing"],
    }

    lines = box.shell(
        "cat /data/secret; ls /data/directory; touch /tmp/x 2>/dev/null || echo no;"
        "echo 1 > /proc/sys/net/ipv4/ip_forward || echo no"
    )

    assert ["no", "no"] == lines


@pytest.mark.parametrize(("propagation", "optional"), [("rprivate", ""), ("rslave", "master:"), ("rshared", "shared:")])
def test_root_propagation_is_as_asked(box: Box, propagation: str, optional: str) -> None:
    """linux.rootfsPropagation shows in /proc/self/mountinfo."""
    box.config["linux"]["rootfsPropagation"] = propagation

    root = next(line for line in box.shell("cat /proc/self/mountinfo") if line.split()[4] == "/")
    tags = root.split(" - ")[0].split()[6:]

    if box.name == "runc" and propagation == "rshared":
        return  # runc makes the root private again to pivot
    if optional != "master:" or tags:  # the host's own mount may be private: then there is no master to follow
        assert [optional] == [tag[: tag.index(":") + 1] for tag in tags] or (not optional and not tags)


@pytest.mark.parametrize("box", ["crun", "glassbottom-oci"], indirect=True)  # runc 1.1 fails: invalid argument
def test_root_may_be_unbindable(box: Box) -> None:
    """The runtime itself has to bind it before it is."""
    box.config["linux"]["rootfsPropagation"] = "unbindable"

    assert ["unbindable"] == propagation_in(box)["/"]


@pytest.mark.parametrize("box", ["crun", "glassbottom-oci"], indirect=True)
def test_unbindable_root_has_read_only_and_masked_paths(box: Box) -> None:
    """Both are binds of what lies on the root: /tmp on itself, and a /dev/null that is the image's own."""
    del box.config["mounts"][1:3]
    os.mknod(box.rootfs / "dev/null", 0o20666, os.makedev(1, 3))
    (box.rootfs / "data/secret").write_text("secret")
    box.config["linux"] |= {
        "rootfsPropagation": "unbindable",
        "maskedPaths": ["/data/secret"],
        "readonlyPaths": ["/tmp"],
    }

    lines = box.shell("cat /data/secret /proc/self/mountinfo; touch /tmp/x 2>/dev/null || echo no")

    mounts = {line.split()[4]: line.split()[6] for line in lines[:-1]}
    assert ("unbindable", "no") == (mounts["/"], lines[-1])
    assert {"/tmp", "/data/secret"} < set(mounts)


@pytest.mark.parametrize("root", ["rshared", "rslave", "rprivate"])
@pytest.mark.parametrize("box", ["runc", "glassbottom-oci"], indirect=True)  # crun 1.8 does all mounts last
def test_mounts_keep_their_own_propagation(box: Box, root: str) -> None:
    """Whatever the root's is: -v A:B:rshared asks for a shared root, and the other mounts are still private."""
    source = box.directory / "source"
    source.mkdir()
    box.config["linux"]["rootfsPropagation"] = root
    for name, word in (("alone", "rprivate"), ("shared", "rshared")):
        options = ["rbind", word]
        box.config["mounts"].append(
            {"destination": f"/data/{name}", "type": "bind", "source": str(source), "options": options}
        )

    found = propagation_in(box)

    assert [] == found["/data/alone"]
    assert any(tag.startswith("shared:") for tag in found["/data/shared"])
    assert not any(tag.startswith("shared:") for tag in found["/proc"])


def propagation_in(box: Box) -> dict[str, list[str]]:
    """The optional fields of each mount that the container sees (proc_pid_mountinfo(5))."""
    lines = [line.split(" - ")[0].split() for line in box.shell("cat /proc/self/mountinfo")]
    return {words[4]: words[6:] for words in lines}


@pytest.mark.parametrize("box", ["runc", "glassbottom-oci"], indirect=True)  # crun 1.8 copies nothing
def test_tmpcopyup_starts_with_what_the_image_has(box: Box) -> None:
    """A tmpfs that is filled from the directory it covers, and whose changes stay in it."""
    (box.rootfs / "data/kept").write_text("kept")
    box.config["mounts"].append(
        {"destination": "/data", "type": "tmpfs", "source": "tmpfs", "options": ["tmpcopyup", "mode=755"]}
    )

    assert ["kept", "0"] == box.shell("cat /data/kept; echo; touch /data/new; echo $?")
    assert not (box.rootfs / "data/new").exists()


SECCOMP: dict[str, Any] = {
    "defaultAction": "SCMP_ACT_ALLOW",
    "syscalls": [
        {"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 28},
        {
            "names": ["kill"],
            "action": "SCMP_ACT_ERRNO",
            "args": [{"index": 1, "value": 10, "op": "SCMP_CMP_EQ"}],
        },
    ],
}


@pytest.mark.parametrize("no_new_privileges", [True, False])
def test_seccomp_denies_by_call_and_by_argument(box: Box, no_new_privileges: bool) -> None:
    """errnoRet is what the call fails with; a condition on an argument leaves other arguments alone."""
    box.config["process"]["noNewPrivileges"] = no_new_privileges
    box.config["linux"]["seccomp"] = SECCOMP

    lines = box.shell(
        "mkdir /tmp/x 2>&1; sleep 100 & kill -10 $! 2>&1 || echo denied; kill -9 $! && echo sent;"
        "grep -E '^Seccomp:' /proc/self/status"
    )

    assert "No space left on device" in lines[0]
    assert ["denied", "sent"] == [line for line in lines[1:-1] if line in ("denied", "sent")]
    assert "2" == lines[-1].split()[-1]


def test_cgroup_limits_hold_and_update_changes_them(box: Box) -> None:
    """pids.max and memory as the cgroup's files have them; update writes them anew."""
    box.config["linux"]["resources"] |= {"pids": {"limit": 33}, "memory": {"limit": 64 << 20}}
    box.create("sleep", "1000")

    before = group_values(box)
    box.call("update", "--memory", str(48 << 20), "--pids-limit", "44", box.id)

    assert (str(64 << 20), "33") == before
    assert (str(48 << 20), "44") == group_values(box)


def group_values(box: Box) -> tuple[str, str]:
    """memory limit and pids limit of the container's group."""
    path = f"{CGROUP_PARENT}/{box.id}"
    v1 = Path("/sys/fs/cgroup/memory", path)
    if v1.is_dir():
        return (
            (v1 / "memory.limit_in_bytes").read_text().strip(),
            Path("/sys/fs/cgroup/pids", path, "pids.max").read_text().strip(),
        )
    v2 = Path("/sys/fs/cgroup", path)
    return (v2 / "memory.max").read_text().strip(), (v2 / "pids.max").read_text().strip()


def test_user_namespace_maps_root_to_someone_else(box: Box) -> None:
    """Inside uid 0, outside the mapped id; devices come from the host, and files made belong to the mapped id."""
    box.namespaces("pid", "network", "ipc", "uts", "mount", "user")
    mapping = [{"containerID": 0, "hostID": 100000, "size": 65536}]
    box.config["linux"] |= {"uidMappings": mapping, "gidMappings": mapping}
    for path in (box.rootfs, *box.rootfs.iterdir()):
        os.chown(path, 100000, 100000)
    open_the_way_to(box.rootfs)

    lines = box.shell("id -u; touch /data/made; echo x > /dev/null && echo null; cat /proc/self/uid_map; hostname")

    assert ["0", "null"] == lines[:2]
    assert ["0", "100000", "65536"] == lines[2].split()
    assert "box" == lines[3]
    assert 100000 == (box.rootfs / "data/made").stat().st_uid


def open_the_way_to(path: Path) -> None:
    """pytest's directories are for root alone: let the mapped root walk through them."""
    for parent in path.parents:
        if not parent.stat().st_mode & stat.S_IXOTH:
            parent.chmod(stat.S_IMODE(parent.stat().st_mode) | stat.S_IXOTH)


def test_nothing_of_the_callers_descriptors_reaches_the_process(box: Box) -> None:
    """Extra descriptors stay out, those asked for by --preserve-fds come in."""
    read_end, write_end = os.pipe()
    os.set_inheritable(write_end, True)
    try:
        lines = box.shell("ls /proc/self/fd", pass_fds=(write_end,))
    finally:
        os.close(read_end)
        os.close(write_end)

    # ls itself opens the directory as the next free number
    assert ["0", "1", "2", "3"] == lines
