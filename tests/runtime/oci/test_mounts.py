"""The plan of the mounts: pure, so it can be read without root. And where the steps of the cgroup mount go."""

from pathlib import Path
from typing import Any

import pytest

from runtime.oci import mounts
from runtime.oci import syscalls as sc
from runtime.oci.cgroups import mounting, probe
from runtime.oci.errors import ConfigError
from runtime.oci.mounts import Step

NO_DEVICES = sc.MS_NOSUID | sc.MS_NODEV | sc.MS_NOEXEC


def plan(*entries: dict[str, Any]) -> list[Step]:
    return mounts.plan({"mounts": list(entries)}, bundle="/bundle")


def test_file_system_is_one_call_with_flags_and_data_apart() -> None:
    """Words that are no flags go to the file system as data."""
    entry = {"destination": "/tmp", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "size=64k", "mode=700"]}

    assert [Step("mount", "/tmp", source="tmpfs", type="tmpfs", flags=sc.MS_NOSUID, data="size=64k,mode=700")] == plan(
        entry
    )


def test_bind_takes_a_second_call_for_its_flags_and_a_third_for_propagation() -> None:
    """The kernel looks at nothing but MS_REC when it makes one."""
    entry = {"destination": "/data", "type": "bind", "source": "sub", "options": ["rbind", "ro", "nodev", "rprivate"]}

    assert [
        Step("mount", "/data", source="/bundle/sub", type="", flags=sc.MS_BIND | sc.MS_REC, data=""),
        Step("remount_bind", "/data", set=sc.MS_RDONLY | sc.MS_NODEV, clear=0),
        Step("propagate", "/data", flags=sc.MS_PRIVATE | sc.MS_REC),
    ] == plan(entry)


def test_plain_bind_is_one_call() -> None:
    """Nothing to change, nothing to remount; the type may be anything, the option decides."""
    entry = {"destination": "/data", "type": "none", "source": "/x", "options": ["bind"]}

    assert ["mount"] == [step.call for step in plan(entry)]


def test_later_word_wins() -> None:
    """As in mount(8)."""
    (step,) = plan({"destination": "/t", "type": "tmpfs", "options": ["ro", "noexec", "rw", "exec", "nodev"]})

    assert sc.MS_NODEV == step.arguments["flags"]


def test_tmpcopyup_seals_after_the_copy() -> None:
    """A read-only tmpfs could not be filled."""
    steps = plan({"destination": "/t", "type": "tmpfs", "source": "t", "options": ["tmpcopyup", "ro"]})

    assert ["mount_copy_up", "remount"] == [step.call for step in steps]
    assert 0 == steps[0].arguments["flags"]


def test_read_only_cgroup_is_sealed_after_its_hierarchies() -> None:
    """Their directories are made in the tmpfs first."""
    steps = plan({"destination": "/sys/fs/cgroup", "type": "cgroup", "options": ["nosuid", "noexec", "nodev", "ro"]})

    assert ["mount_cgroup", "seal_cgroup"] == [step.call for step in steps]


def test_recursive_attributes_are_one_call_for_the_whole_tree() -> None:
    """mount(2) changes the top mount only."""
    steps = plan({"destination": "/d", "type": "bind", "source": "/x", "options": ["rbind", "rro"]})

    assert Step("mount_setattr", "/d", set=sc.MOUNT_ATTR_RDONLY, clear=0) == steps[-1]


def test_dev_is_read_only_only_after_its_devices_are_made() -> None:
    """rootfs.seal does it."""
    (step,) = plan({"destination": "/dev", "type": "tmpfs", "options": ["ro", "nosuid"]})

    assert sc.MS_NOSUID == step.arguments["flags"]


def test_destination_is_read_as_the_container_sees_it() -> None:
    """Relative, doubled slashes and dots come out as one absolute path that does not climb."""
    for destination in ("a/b", "//a/b", "/a/./x/../b", "/../../a/b"):
        assert ["/a/b"] == [step.target for step in plan({"destination": destination, "type": "tmpfs"})]


@pytest.mark.parametrize(
    ("entry", "sentence"),
    [
        ({"destination": "/", "type": "tmpfs"}, "mounts[0].destination: must not be the root"),
        ({"destination": "/proc", "type": "tmpfs"}, "mounts[0].destination: /proc must be of type proc"),
        ({"destination": "/proc/self/attr", "type": "tmpfs"}, "because it is inside /proc"),
        ({"destination": "/x/../proc/1", "type": "bind", "source": "/y"}, "because it is inside /proc"),
        ({"destination": "/d", "type": "bind"}, "mounts[0].source: a bind mount needs a source"),
        ({"destination": "/d"}, "mounts[0].type: is required"),
        ({"destination": "/d", "type": "bind", "source": "/x", "options": ["bind", "idmap"]}, "mounts[0].options"),
    ],
)
def test_mount_that_would_fool_the_runtime_is_refused(entry: dict[str, Any], sentence: str) -> None:
    """By field."""
    with pytest.raises(ConfigError) as refused:
        plan(entry)

    assert sentence in str(refused.value)


def test_files_that_lxcfs_covers_are_allowed() -> None:
    """/proc/meminfo and its like say how big the container is."""
    assert plan({"destination": "/proc/meminfo", "type": "bind", "source": "/m", "options": ["bind"]})


def test_steps_read_like_calls() -> None:
    """A plan can be shown."""
    assert "propagate('/d', flags=1)" == repr(Step("propagate", "/d", flags=1))


V1 = {"cpu": "/h/cpu,cpuacct", "cpuacct": "/h/cpu,cpuacct", "memory": "/h/memory"}


@pytest.mark.parametrize(("v1", "unified", "calls"), [(V1, "", 3), ({}, "/h/unified", 2)])
def test_cgroup_mount_takes_no_link_after_its_place_was_judged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, v1: dict[str, str], unified: str, calls: int
) -> None:
    """Whenever the directory becomes a link, that is an error: the target may lie in a volume that others write."""
    mounter = mounting.Mounter(own_namespace=bool(v1))
    mounter.hierarchies = probe.Hierarchies()
    mounter.hierarchies.v1, mounter.hierarchies.unified = v1, unified
    made: list[str] = []

    for swapped_after in range(calls):
        root = tmp_path / str(swapped_after)
        (root / "volume/cgroup").mkdir(parents=True)
        (root / "outside").mkdir()
        made.clear()

        def mount(*_: Any, root: Path = root, swapped_after: int = swapped_after) -> None:
            made.append("call")
            if len(made) == swapped_after:
                swap(root)

        def swap(root: Path) -> None:
            (root / "volume/cgroup").rename(root / "volume/aside")
            (root / "volume/cgroup").symlink_to("/outside")

        monkeypatch.setattr(sc, "mount", mount)
        if swapped_after == 0:
            swap(root)
        with pytest.raises(OSError, match="symbolic links"):
            mounter.mount(str(root), "/volume/cgroup", 0)
        assert swapped_after == len(made)
        assert [] == list((root / "outside").iterdir())
