"""Which limits are given up, and why."""

from pathlib import Path

import pytest

from runtime.daemon import host_config, limits

MOUNTINFO = """\
24 1 0:22 / /sys rw - sysfs sysfs rw
30 24 0:26 / /sys/fs/cgroup ro - tmpfs tmpfs ro
31 30 0:27 / /sys/fs/cgroup/unified rw shared:9 - cgroup2 cgroup2 rw
32 30 0:28 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory
"""


def test_hierarchies_are_found_whatever_their_version() -> None:
    """Both kinds of a hybrid host, and nothing else."""
    assert {"/sys/fs/cgroup/unified": "cgroup2", "/sys/fs/cgroup/memory": "cgroup"} == limits.cgroup_mounts(
        MOUNTINFO.splitlines()
    )


def test_a_hierarchy_that_is_ours_refuses_nothing(tmp_path: Path) -> None:
    """And the trial leaves nothing."""
    assert "" == limits.why_not({str(tmp_path): "cgroup"}, "/glassbottom-1")
    assert [] == list(tmp_path.iterdir())


def test_the_reason_names_the_hierarchy(tmp_path: Path) -> None:
    """Where no group can be made, or none entered."""
    path = tmp_path / "file"
    path.touch()

    assert f"{path} is not delegated to this user (not a directory)" == limits.why_not({str(path): "cgroup"}, "/p")
    assert "no cgroup hierarchy is mounted" == limits.why_not({}, "/p")
    assert "cgroup.procs cannot be written" in limits.why_not({str(tmp_path): "cgroup2"}, "/p")


@pytest.mark.parametrize("refusal", ["", "it is not ours"])
def test_every_limit_that_is_given_up_is_named(refusal: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that were asked for, and nothing where they are set."""
    monkeypatch.setattr(limits, "why_not", lambda mounts, parent: refusal)
    host = host_config.complete({"Memory": 64 << 20, "NanoCpus": 10**9, "PidsLimit": -1}, "x", cgroup_v2=False)

    said = limits.warnings(host, "/p")

    wanted = ["Running rootless: --memory, --cpus given up, no limit is set: it is not ours"]
    assert (wanted if refusal else []) == said
    assert [] == limits.warnings(host_config.complete({}, "x", cgroup_v2=False), "/p")
