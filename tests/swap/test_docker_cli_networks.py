"""Ports and networks through the real docker CLI: dockerd first, then ours, each in a network namespace of its own.

dockerd makes docker0 and rules for iptables there; ours makes a bridge and speaks nftables. What a user sees of it, by
the CLI and by trying whether a port answers, is the same. The scripts run inside the namespace: 127.0.0.1 is the
daemon's.
"""

import contextlib
import functools
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.host.daemon.test_networks import Namespace, NamespacedStack
from tests.oci_bundle import cgroups_named
from tests.swap.test_docker_cli import Case, Engine, hostbox_archive, load_cases, plain
from tests.unix_sockets import wait_for_socket

pytestmark = [pytest.mark.root, pytest.mark.swap, pytest.mark.slow]

BINARIES = ("docker", "dockerd", "containerd", "runc", "busybox", "iptables", "docker-proxy", "ip", "nsenter")


@dataclass(frozen=True)
class NamespacedEngine(Engine):
    """A daemon whose host is a network namespace; scripts run there too."""

    place: Namespace

    def run(self, script: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        """Run a shell script against it."""
        command = self.place.command("timeout", "60", "sh", "-c", script)
        return subprocess.run(command, input=stdin, capture_output=True, text=True, env=self.environment)


@contextlib.contextmanager
def namespace() -> Iterator[Namespace]:
    """An empty host."""
    place = Namespace(f"gbc-{os.getpid()}-{os.urandom(2).hex()}")
    try:
        yield place
    finally:
        place.delete()


@contextlib.contextmanager
def ours(folder: Path) -> Iterator[NamespacedEngine]:
    """The whole built-in stack."""
    with namespace() as place:
        stack = NamespacedStack(folder, place)
        try:
            yield NamespacedEngine("ours", f"unix://{stack.socket}", folder, place)
        finally:
            stack.stop()
    for parent in cgroups_named(f"gbn-{os.getpid()}"):
        os.rmdir(parent)


@contextlib.contextmanager
def dockerd(folder: Path) -> Iterator[NamespacedEngine]:
    """The real one with its containerd, left to make its bridge and its rules."""
    address, socket_path = f"{folder}/c.sock", f"{folder}/d.sock"
    containerd_flags = ["--config", "/dev/null", "--root", f"{folder}/cr", "--state", f"{folder}/cs"]
    dockerd_flags = ["-H", f"unix://{socket_path}", "--data-root", f"{folder}/data", "--exec-root", f"{folder}/exec"]
    dockerd_flags += ["--pidfile", f"{folder}/pid", "--cgroup-parent", f"/gbc-{os.getpid()}", "--shutdown-timeout", "1"]
    with namespace() as place, (folder / "log").open("ab") as log, contextlib.ExitStack() as running:

        def start(socket_path: str, *words: str) -> None:
            process = subprocess.Popen(place.command(*words), stdout=log, stderr=log)
            running.callback(process.wait)
            running.callback(process.terminate)
            wait_for_socket(socket_path, process.pid)

        start(address, "containerd", *containerd_flags, "--address", address)
        start(socket_path, "dockerd", *dockerd_flags, "--containerd", address)
        load = subprocess.run(["docker", "-H", f"unix://{socket_path}", "load"], input=hostbox_archive())
        assert load.returncode == 0
        yield NamespacedEngine("dockerd", f"unix://{socket_path}", folder, place)
    if os.path.ismount(f"{folder}/exec/netns/default"):  # its own namespace, which dockerd leaves mounted
        subprocess.run(["umount", f"{folder}/exec/netns/default"], check=True)
    for parent in cgroups_named(f"gbc-{os.getpid()}"):
        os.rmdir(parent)


SEATS = {"dockerd": dockerd, "ours": ours}


@pytest.fixture(scope="module")
def engines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], NamespacedEngine]]:
    """Each daemon from when it is first asked for until the last test."""
    missing = [name for name in BINARIES if shutil.which(name) is None]
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)}")
    with contextlib.ExitStack() as up:
        yield functools.cache(lambda seat: up.enter_context(SEATS[seat](tmp_path_factory.mktemp("net"))))


@pytest.fixture
def engine(request: pytest.FixtureRequest, engines: Callable[[str], NamespacedEngine]) -> Iterator[NamespacedEngine]:
    """The daemon that a test is for; without containers and networks afterwards."""
    engine = engines(request.param)
    yield engine
    engine.run("docker rm -f $(docker ps -aq); docker network rm $(docker network ls -q --filter type=custom)")


CASES = [
    pytest.param(seat, case, id=f"{seat}-{case.id}")
    for seat in SEATS
    for case in load_cases("docker_cli_networks.toml")
]


@pytest.mark.parametrize(("engine", "case"), CASES, indirect=["engine"])
def test_ports_and_networks_are_the_same_under_every_daemon(engine: NamespacedEngine, case: Case) -> None:
    """Exit code, output, complaints, and whether ports answer, are those of the real dockerd."""
    done = engine.run(case.script, case.stdin)

    assert (case.code, case.out, case.err) == (done.returncode, plain(done.stdout), plain(done.stderr))
