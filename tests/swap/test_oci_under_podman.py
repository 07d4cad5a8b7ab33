"""Real podman and conmon with runc and with ours as `--runtime`: one body."""

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.oci_bundle import Box, become_subreaper, cgroups_named, wait_for_exit

# One worker: podman gives all containers of a host one cgroup parent, and what is left in it is looked at.
pytestmark = [pytest.mark.root, pytest.mark.swap, pytest.mark.slow]

CONFIG = """
[containers]
default_ulimits = ["nofile=1024:1024", "nproc=4096:4096"]
[engine]
cgroup_manager = "cgroupfs"
events_logger = "none"
"""
Podman = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(params=["runc", "glassbottom-oci"])
def podman(request: pytest.FixtureRequest) -> Iterator[Podman]:
    """podman with storage of its own; the root file system is a bundle's."""
    for program in ("podman", "conmon", "runc", "busybox"):
        if shutil.which(program) is None:
            pytest.skip(f"not installed: {program}")
    become_subreaper()
    tmp_path = Path(tempfile.mkdtemp(prefix="gbpm-", dir="/tmp"))  # podman takes no runroot beyond 50 characters
    runtime = "runc"
    if request.param != "runc":
        wrapper = tmp_path / "glassbottom-oci"
        wrapper.write_text(f'#!/bin/sh\nexec {sys.executable} -m runtime.oci "$@"\n')
        wrapper.chmod(0o755)
        runtime = str(wrapper)
    Box("runc", tmp_path / "box")  # only for its root file system
    (tmp_path / "containers.conf").write_text(CONFIG)
    argv = ["podman", "--runtime", runtime, "--storage-driver", "vfs", "--tmpdir", f"{tmp_path}/tmp"]
    argv += ["--root", f"{tmp_path}/storage", "--runroot", f"{tmp_path}/run"]
    env = {"CONTAINERS_CONF": str(tmp_path / "containers.conf"), "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}

    def call(*words: str) -> "subprocess.CompletedProcess[str]":
        if words[0] == "run":
            words = ("run", "--network", "none", *words[1:])
        words = tuple(str(tmp_path / "box/rootfs") if word == "ROOTFS" else word for word in words)
        return subprocess.run([*argv, *words], capture_output=True, text=True, env=env, timeout=60)

    yield call
    call("rm", "--all", "--force", "--time", "0")
    for pid in processes_about(tmp_path):  # conmon runs `podman container cleanup` behind our back
        wait_for_exit(pid)
    for line in reversed(Path("/proc/self/mounts").read_text().splitlines()):
        if line.split()[1].startswith(str(tmp_path)):
            subprocess.run(["umount", "-l", line.split()[1]], check=True)
    shutil.rmtree(tmp_path)
    assert [] == cgroups_named("libpod-*")
    for parent in cgroups_named("libpod_parent"):
        for group in (Path(parent, "conmon"), Path(parent)):
            if group.is_dir():
                group.rmdir()


def processes_about(directory: Path) -> list[int]:
    """Processes with this directory on their command line."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if str(directory).encode() in (entry / "cmdline").read_bytes():
                    found.append(int(entry.name))
            except OSError:
                continue  # ended meanwhile
    return found


def test_run_gives_output_and_status(podman: Podman) -> None:
    """A foreground run, its user and its umask, and its exit status."""
    done = podman("run", "--rm", "--user", "5:6", "--rootfs", "ROOTFS", "sh", "-c", "id -u; id -g; umask; exit 3")

    assert (3, ["5", "6", "0022"]) == (done.returncode, done.stdout.split()), done.stderr


@pytest.mark.parametrize(("program", "status"), [("nosuch", 127), ("/etc", 126)])
def test_program_that_cannot_run_gives_podmans_status(podman: Podman, program: str, status: int) -> None:
    """podman reads the same words as docker."""
    assert status == podman("run", "--rm", "--rootfs", "ROOTFS", program).returncode


def test_exec_pause_and_kill(podman: Podman) -> None:
    """A running container's life under conmon."""
    started = podman("run", "-d", "--name", "box", "--rootfs", "ROOTFS", "sleep", "1000")
    executed = podman("exec", "--workdir", "/tmp", "box", "pwd")
    paused = podman("pause", "box")
    resumed = podman("unpause", "box")
    killed = podman("kill", "box")
    waited = podman("wait", "box")

    assert 0 == started.returncode, started.stderr
    assert "/tmp\n" == executed.stdout
    assert [0, 0, 0] == [done.returncode for done in (paused, resumed, killed)]
    assert "137" == waited.stdout.strip()
