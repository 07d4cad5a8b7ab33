"""Shims under our containerd, the real one for runc and ours; and what happens when one of the programs is killed."""

import os
import re
import select
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.root, pytest.mark.swap, pytest.mark.slow]

RUNTIMES = ["io.containerd.runc.v2", "io.containerd.glassbottom.v1"]


@pytest.fixture(name="containerd", scope="module")
def _containerd(launch_containerd: Callable[..., Any]) -> Any:
    """Ours, for tests that leave it running."""
    return launch_containerd("ours")


@pytest.fixture(name="runtime", params=RUNTIMES)
def _runtime(request: pytest.FixtureRequest) -> str:
    """The name of a runtime whose shim is installed."""
    name = str(request.param)
    program = "containerd-shim-glassbottom-v1"
    if "glassbottom" in name and not (Path(sys.executable).parent / program).exists():
        pytest.skip(f"not installed: {program}")
    return name


def remove_task(containerd: Any, container_id: str) -> None:
    """Kill, delete, and remove the container."""
    containerd.ctr("tasks", "kill", "-s", "9", container_id, status=None)
    while "must be stopped" in containerd.ctr("tasks", "rm", container_id, status=None):
        pass
    containerd.ctr("containers", "rm", container_id)


def pid_of(containerd: Any, container_id: str) -> int:
    """The pid of a running task."""
    found = re.search(rf"^{container_id} +(\d+) +RUNNING", containerd.ctr("tasks", "ls"), re.MULTILINE)
    assert found
    return int(found[1])


def kill_shims(containerd: Any) -> None:
    """kill -9 of every shim that was started for this containerd."""
    for pid in containerd.shim_pids():
        os.kill(pid, signal.SIGKILL)


def wait_for_end(pidfd: int) -> None:
    """Return when the process has ended."""
    assert select.select([pidfd], [], [], 20)[0]
    os.close(pidfd)


def test_container_runs_and_says_how_it_ended(containerd: Any, runtime: str) -> None:
    """Output and exit status come through, and the bundle is gone when ctr returns."""
    said = containerd.run("--rm", "one", "/bin/sh", "-c", "echo from inside; exit 9", runtime=runtime, status=9)

    assert said == "from inside\n"
    assert not (containerd.bundles / "one").exists()


def test_exec_runs_beside(containerd: Any, runtime: str) -> None:
    """A second process in a running container has its own output and exit status."""
    containerd.run("-d", "two", "/bin/sleep", "1000", runtime=runtime)

    said = containerd.ctr("tasks", "exec", "--exec-id", "x", "two", "/bin/sh", "-c", "echo here; exit 4", status=4)
    remove_task(containerd, "two")

    assert said == "here\n"


def test_killed_shim_is_noticed_and_cleaned_up(containerd: Any, runtime: str, watch_events: Any) -> None:
    """kill -9 of a shim: containerd runs its delete command, publishes exit and delete, and removes the bundle."""
    containerd.run("-d", "three", "/bin/sleep", "1000", runtime=runtime)
    container = os.pidfd_open(pid_of(containerd, "three"))
    events = watch_events(containerd)

    kill_shims(containerd)
    seen = events.until("/tasks/delete", '"three"')
    wait_for_end(container)
    gone = containerd.ctr("tasks", "rm", "three", status=1)
    containerd.ctr("containers", "rm", "three")

    assert [topic for topic, _ in seen] == ["/tasks/exit", "/tasks/delete"]
    assert '"exit_status":137' in seen[0][1]
    assert "not found" in gone
    assert not (containerd.bundles / "three").exists()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_containerd_that_ended_finds_its_tasks_again(
    launch_containerd: Callable[..., Any], runtime: str, number: signal.Signals
) -> None:
    """Shim and container outlive containerd, and the next one serves them as if nothing had been."""
    first = launch_containerd("ours", "again")
    first.run("-d", "four", "/bin/sleep", "1000", runtime=runtime)
    pid = pid_of(first, "four")

    first.stop(number)
    second = launch_containerd("ours", "again")

    assert pid_of(second, "four") == pid
    assert second.ctr("tasks", "exec", "--exec-id", "x", "four", "/bin/echo", "still here") == "still here\n"
    remove_task(second, "four")
    assert not (second.bundles / "four").exists()
    second.stop()


def test_shim_that_ended_with_containerd_is_cleaned_up_at_the_next_start(
    launch_containerd: Callable[..., Any], runtime: str
) -> None:
    """Both killed: the next containerd kills what is left of the container, and the bundle goes."""
    first = launch_containerd("ours", "both")
    first.run("-d", "five", "/bin/sleep", "1000", runtime=runtime)
    container = os.pidfd_open(pid_of(first, "five"))

    first.stop(signal.SIGKILL)
    kill_shims(first)
    second = launch_containerd("ours", "both")
    wait_for_end(container)

    assert "five" not in second.ctr("tasks", "ls")
    assert not (second.bundles / "five").exists()
    second.ctr("containers", "rm", "five")
    second.stop()
