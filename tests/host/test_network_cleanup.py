"""What a stack leaves in the host's network when it is killed, and what it puts back when it is not.

The host is a network namespace with its own /sys: there nobody else makes bridges or turns forwarding on.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tracer import procfs
from tracer.leftovers import processes_of
from tracer.stack import StackPlan, load

pytestmark = [pytest.mark.root, pytest.mark.slow]

# A new /sys shows the new namespace's links; the cgroups are put back into it.
FURNISH = """
mount --rbind /sys/fs/cgroup "$0" && mount -t sysfs sysfs /sys && mount --rbind "$0" /sys/fs/cgroup || exit 1
ip link set lo up && echo 0 > /proc/sys/net/ipv4/ip_forward && echo ready && exec sleep infinity
"""


class Host:
    """A network of its own, and processes in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        cgroups = folder / "cgroups"
        cgroups.mkdir()
        words = ["unshare", "--net", "--mount", "sh", "-c", FURNISH, str(cgroups)]
        self._holder = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
        assert self._holder.stdout
        assert self._holder.stdout.readline() == "ready\n"

    def command(self, *words: str) -> list[str]:
        return ["nsenter", "--target", str(self._holder.pid), "--net", "--mount", *words]

    def run(self, *words: str) -> str:
        done = subprocess.run(self.command(*words), capture_output=True, text=True, env=self.environment)
        assert done.returncode == 0, done.stderr
        return done.stdout

    @property
    def environment(self) -> dict[str, str]:
        return {**os.environ, "XDG_RUNTIME_DIR": str(self.folder)}

    def stack_up(self) -> tuple[subprocess.Popen[str], StackPlan]:
        before = set((self.folder / "glassbottom").glob("*"))
        with (self.folder / "log").open("a") as log:
            words = self.command(sys.executable, "-m", "tracer", "stack", "up")
            stack = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=log, text=True, env=self.environment)
        assert stack.stdout
        assert stack.stdout.readline().startswith("export DOCKER_HOST="), (self.folder / "log").read_text()
        (registry,) = set((self.folder / "glassbottom").iterdir()) - before
        return stack, load(str(registry))

    def links(self) -> list[str]:
        return sorted(link["ifname"] for link in json.loads(self.run("ip", "-json", "link")))

    def forwarding(self) -> str:
        return self.run("cat", "/proc/sys/net/ipv4/ip_forward").strip()

    def close(self) -> None:
        """Whatever a test that failed has left running in here goes with it."""
        namespace = os.stat(f"/proc/{self._holder.pid}/ns/net").st_ino
        for pid in procfs.pids():
            try:
                if os.stat(f"/proc/{pid}/ns/net").st_ino == namespace:
                    os.kill(pid, signal.SIGKILL)
            except OSError:
                continue  # it has ended meanwhile
        self._holder.wait()
        assert self._holder.stdout
        self._holder.stdout.close()


@pytest.fixture
def host() -> Iterator[Host]:
    """An empty host."""
    missing = [name for name in ("ip", "nft", "unshare", "nsenter") if shutil.which(name) is None]
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)}")
    folder = Path(tempfile.mkdtemp(prefix="gb-", dir="/tmp"))
    host = Host(folder)
    try:
        yield host
    finally:
        host.close()
        shutil.rmtree(folder)


def post(plan: StackPlan, path: str, body: object = None) -> None:
    """One request to the daemon, by a program that is no part of this project."""
    words = [
        "curl",
        "--silent",
        "--show-error",
        "--fail-with-body",
        "--unix-socket",
        plan.socket,
        "-XPOST",
        f"http://d{path}",
    ]
    if body is not None:
        words += ["-H", "Content-Type: application/json", "-d", json.dumps(body)]
    done = subprocess.run(words, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_cleanup_after_kill_9_takes_networks_rules_and_forwarding_back(host: Host) -> None:
    """A container on a network of the user's own, with a published port; then everything is killed at once."""
    stack, plan = host.stack_up()
    post(plan, "/networks/create", {"Name": "own"})
    settings = {"NetworkMode": "own", "PortBindings": {"80/tcp": [{"HostPort": "8080"}]}}
    post(plan, "/containers/create?name=web", {"Image": "hostbox", "Cmd": ["sleep", "999"], "HostConfig": settings})
    post(plan, "/containers/web/start")
    before = (len(host.links()), host.forwarding(), "dport 8080" in host.run("nft", "list", "ruleset"))

    stack.kill()
    stack.wait()
    for pid in processes_of(plan):
        if "runtime." in " ".join(procfs.argv(pid)):
            os.kill(pid, signal.SIGKILL)
    host.run(sys.executable, "-m", "tracer", "cleanup")

    assert (4, "1", True) == before  # lo, the default bridge, the network's, and a veth
    assert (["lo"], "0", "") == (host.links(), host.forwarding(), host.run("nft", "list", "ruleset"))
    assert not Path(plan.registry).exists()
    assert stack.stdout
    stack.stdout.close()


def test_the_last_stack_turns_forwarding_off_again(host: Host) -> None:
    """The first one turned it on, the second found it on; it is needed until both are down."""
    first, _ = host.stack_up()
    second, _ = host.stack_up()
    seen = []
    for stack in (first, second):
        seen.append(host.forwarding())
        stack.terminate()
        stack.wait()
        assert stack.stdout
        stack.stdout.close()

    assert ["1", "1", "0"] == [*seen, host.forwarding()]
    assert ["lo"] == host.links()
