"""Where cgroup v1 and v2 are both mounted, crun is started through a launcher; elsewhere it is started as it is."""

import subprocess
from pathlib import Path

import pytest

from tracer import hybrid_cgroups, procfs

pytestmark = pytest.mark.root

HYBRID = (
    "mount -t tmpfs none /sys/fs/cgroup && mkdir /sys/fs/cgroup/unified"
    " && mount -t tmpfs none /sys/fs/cgroup/unified && touch /sys/fs/cgroup/unified/cgroup.controllers"
)
"""Makes the layout in a mount namespace of one's own, so that the host's does not matter."""


def cgroup_mounts() -> list[procfs.Mount]:
    return [mount for mount in procfs.mounts() if mount.point.startswith("/sys/fs/cgroup")]


def test_launcher_hides_cgroup_v2_from_what_it_starts_and_from_nobody_else(tmp_path: Path) -> None:
    """The arguments arrive as they were given, the exit code comes back, and the host's mounts stay as they are."""
    program = tmp_path / "it's a runtime"
    program.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@"; ls {hybrid_cgroups.UNIFIED} | wc -l; exit 7')
    program.chmod(0o755)
    launcher = tmp_path / "launcher"
    hybrid_cgroups.write_launcher(str(launcher), str(program))
    before = cgroup_mounts()

    done = subprocess.run(
        ["unshare", "-m", "sh", "-c", f'{HYBRID}; "$@"', "sh", launcher, "create", "two words", "$HOME"],
        capture_output=True,
        text=True,
    )

    assert (done.returncode, done.stdout.splitlines()) == (7, ["create", "two words", "$HOME", "0"]), done.stderr
    assert cgroup_mounts() == before


@pytest.mark.parametrize("runtime", ["", "runc", "/usr/sbin/runc", "glassbottom-oci"])
def test_runtimes_that_take_hybrid_cgroups_need_no_launcher(runtime: str) -> None:
    """Only crun refuses."""
    assert not hybrid_cgroups.refused_by(runtime)


def test_crun_is_refused_where_both_versions_are_mounted_and_v2_has_a_controller() -> None:
    """On a host with one version, crun needs no launcher either."""
    controllers = Path(hybrid_cgroups.UNIFIED, "cgroup.controllers")
    hybrid = controllers.is_file() and bool(controllers.read_text().strip())

    assert hybrid_cgroups.refused_by("/usr/bin/crun") == hybrid
