"""kill -9 of the daemon and of containerd: what runs runs on, and what was left half way is taken away."""

import os
import re
import shutil
import signal
import time
from pathlib import Path

import pytest

from tests.host.daemon.stacks import Stack, veths

PATIENCE = 20
"""Seconds after which what has not happened never will."""
pytestmark = [pytest.mark.root, pytest.mark.slow, pytest.mark.usefixtures("clean")]


def test_killed_daemon_finds_its_containers_again(stack: Stack) -> None:
    """kill -9: what runs runs on; the next daemon reads its output, executes in it, and learns how it ended."""
    stack.run("lives", "echo before; while ! test -e /go; do sleep 0.02; done; echo after; exit 6")
    stack.run("other", "sleep 99")
    address = stack.ask("GET", "/containers/lives/json")[1]["NetworkSettings"]["IPAddress"]

    stack.kill()
    stack.start()

    again = stack.ask("GET", "/containers/lives/json")[1]
    assert (True, address) == (again["State"]["Running"], again["NetworkSettings"]["IPAddress"])
    stack.run("new", "sleep 99")
    assert address != stack.ask("GET", "/containers/new/json")[1]["NetworkSettings"]["IPAddress"]
    created = stack.ask("POST", "/containers/lives/exec", {"Cmd": ["touch", "/go"]})[1]
    assert (200, None) == stack.ask("POST", f"/exec/{created['Id']}/start", {"Detach": True})
    assert {"Error": None, "StatusCode": 6} == stack.ask("POST", "/containers/lives/wait")[1]
    assert [b"before", b"after"] == re.findall(rb"before|after", stack.logs("lives"))


def test_exit_while_the_daemon_was_dead_is_learnt(stack: Stack) -> None:
    """The process ends with nobody listening: its exit code is asked for, the veth is gone, --rm is carried out."""
    first = stack.run("gone", "while ! test -e /tmp/x; do sleep 0.02; done; exit 3")
    second = stack.run("rm", "sleep 99", HostConfig={"AutoRemove": True})
    pids = [stack.ask("GET", f"/containers/{key}/json")[1]["State"]["Pid"] for key in (first, second)]
    assert 2 == len(veths(stack))

    stack.kill()
    fds = [os.pidfd_open(pid) for pid in pids]
    for fd in fds:
        signal.pidfd_send_signal(fd, signal.SIGKILL)
        os.close(fd)
    stack.start()

    assert {"Error": None, "StatusCode": 137} == stack.ask("POST", "/containers/gone/wait")[1]
    status, reply = stack.ask("POST", "/containers/rm/wait?condition=removed")
    assert status == 404 or reply["StatusCode"] == 137
    assert set() == veths(stack)


def test_layer_of_a_container_that_never_was_is_removed(stack: Stack) -> None:
    """kill -9 between the snapshot and the record: the next daemon finds a layer that nobody owns."""
    layers = stack.folder / "cr" / "io.containerd.snapshotter.v1.overlayfs" / "snapshots"
    before = set(os.listdir(layers))
    _, created = stack.ask("POST", "/containers/create?name=kept", {"Image": "hostbox"})
    kept = set(os.listdir(layers))
    _, lost = stack.ask("POST", "/containers/create?name=lost", {"Image": "hostbox"})

    stack.kill()
    shutil.rmtree(stack.folder / "data" / "containers" / lost["Id"])
    stack.start()

    until = time.monotonic() + PATIENCE
    while set(os.listdir(layers)) != kept:
        assert time.monotonic() < until, "the layer is still there"
        time.sleep(0.01)
    assert len(kept - before) == 1
    assert stack.ask("POST", f"/containers/{created['Id']}/start")[0] == 204


def test_killed_containerd_is_subscribed_to_again(stack: Stack) -> None:
    """Its shims live on: an exit while it was dead is asked for, later ones are heard of, and new runs work."""
    stack.run("k1", "sleep 99")
    stack.run("k2", "while ! test -e /go; do sleep 0.02; done; exit 8")
    pid = stack.ask("GET", "/containers/k1/json")[1]["State"]["Pid"]

    stack.containerd.kill()
    stack.containerd.wait()
    os.kill(pid, signal.SIGKILL)
    stack.start_containerd()

    assert {"Error": None, "StatusCode": 137} == stack.ask("POST", "/containers/k1/wait")[1]
    created = stack.ask("POST", "/containers/k2/exec", {"Cmd": ["touch", "/go"]})[1]
    assert (200, None) == stack.ask("POST", f"/exec/{created['Id']}/start", {"Detach": True})
    assert {"Error": None, "StatusCode": 8} == stack.ask("POST", "/containers/k2/wait")[1]


def test_shared_memory_outlives_the_daemon_and_not_the_run(stack: Stack) -> None:
    """kill -9: another container joins it under the next daemon; what a run has mounted goes with its end."""
    first = stack.run("lends", "echo kept >/dev/shm/f; sleep 99", HostConfig={"IpcMode": "shareable"})
    second = stack.run("ends", "sleep 99", HostConfig={"IpcMode": "shareable"})
    pid = stack.ask("GET", f"/containers/{second}/json")[1]["State"]["Pid"]
    assert {first, second} == shared_memory(stack)

    stack.kill()
    os.kill(pid, signal.SIGKILL)
    stack.start()

    stack.run("joins", "cat /dev/shm/f", HostConfig={"IpcMode": "container:lends"})
    assert b"kept" in stack.logs("joins")
    assert {"Error": None, "StatusCode": 137} == stack.ask("POST", "/containers/ends/wait")[1]
    assert {first} == shared_memory(stack)
    stack.ask("DELETE", "/containers/lends?force=1")
    assert set() == shared_memory(stack)
    assert not (stack.folder / "data" / "containers" / first).exists()


def shared_memory(stack: Stack) -> set[str]:
    """The IDs of the containers that have a /dev/shm mounted on the host."""
    pattern = f"{re.escape(str(stack.folder))}/data/containers/([0-9a-f]+)/mounts/shm "
    return set(re.findall(pattern, Path("/proc/self/mounts").read_text()))


def test_mounted_volume_outlives_the_daemon_and_not_its_users(stack: Stack, tmp_path: Path) -> None:
    """The next daemon knows who has it, unmounts it after the last of them, and never deletes what was mounted."""
    (tmp_path / "file").touch()
    options = {"type": "none", "device": str(tmp_path), "o": "bind"}
    place = stack.ask("POST", "/volumes/create", {"Name": "bound", "DriverOpts": options})[1]["Mountpoint"]
    for name in ("first", "second"):
        stack.run(name, "sleep 99", HostConfig={"Binds": ["bound:/in"]})

    stack.kill()
    stack.start()

    stack.ask("DELETE", "/containers/first?force=1")
    assert ["file"] == os.listdir(place)
    stack.ask("DELETE", "/containers/second?force=1")
    assert [] == os.listdir(place)
    stack.run("third", "sleep 99", HostConfig={"Binds": ["bound:/in"], "AutoRemove": True})
    pid = stack.ask("GET", "/containers/third/json")[1]["State"]["Pid"]
    stack.kill()
    os.kill(pid, signal.SIGKILL)
    stack.start()
    until = time.monotonic() + PATIENCE
    while stack.ask("DELETE", "/volumes/bound")[0] != 204:
        assert time.monotonic() < until, "it is still in use"
        time.sleep(0.01)
    assert (False, ["file"]) == (os.path.exists(place), os.listdir(tmp_path))
