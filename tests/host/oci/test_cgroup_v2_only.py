"""A host with cgroup v2 alone, played in a private mount namespace: most users have one, test machines often not."""

import json
import subprocess
from pathlib import Path

import pytest

from tests.oci_bundle import CGROUP_PARENT, Box

pytestmark = [pytest.mark.root, pytest.mark.slow]

ON_V2 = """
umount -l /sys/fs/cgroup && mount -t cgroup2 cgroup2 /sys/fs/cgroup || exit 99
exec "$@"
"""


@pytest.fixture
def on_v2(box: Box) -> Box:
    """The same bundle, with every call of the runtime in a mount namespace that has only cgroup2."""
    if not Path("/sys/fs/cgroup/cgroup.controllers").exists():
        box.argv = ["unshare", "--mount", "--propagation", "private", "sh", "-c", ON_V2, "-", *box.argv]
    box.config["linux"]["devices"] = [{"type": "c", "path": "/dev/memory", "major": 1, "minor": 1, "fileMode": 0o666}]
    return box


def test_life_on_cgroup_v2(on_v2: Box) -> None:
    """Group, freezer, list of processes and device filter, all in the unified tree."""
    on_v2.create("sleep", "1000")
    on_v2.call("start", on_v2.id)
    pid = on_v2.state()["pid"]

    pids = json.loads(on_v2.call("ps", "--format", "json", on_v2.id).stdout)
    group = on_v2.call("exec", on_v2.id, "cat", "/proc/self/cgroup").stdout.splitlines()[-1]
    on_v2.call("pause", on_v2.id)
    paused = on_v2.state()["status"]
    on_v2.call("resume", on_v2.id)
    script = "(: < /dev/memory) 2>&1; : < /dev/null && echo null"
    devices = on_v2.call("exec", on_v2.id, "sh", "-c", script).stdout

    assert [pid] == pids
    assert f"0::/{CGROUP_PARENT}/{on_v2.id}" == group
    assert "paused" == paused
    assert "Operation not permitted" in devices
    assert devices.endswith("null\n")


def test_limit_without_its_controller_is_an_error(on_v2: Box) -> None:
    """A limit that cannot be set must not be dropped silently."""
    listed = subprocess.run(
        [*on_v2.argv[: on_v2.argv.index("-") + 1], "cat", "/sys/fs/cgroup/cgroup.controllers"]
        if "-" in on_v2.argv
        else ["cat", "/sys/fs/cgroup/cgroup.controllers"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    on_v2.config["linux"]["resources"]["pids"] = {"limit": 50}

    created = on_v2.create("true", status=None)

    assert (0 if "pids" in listed else 1) == created.returncode
    assert "pids" in listed or "pids.max" in on_v2.last_error()
