"""An OCI runtime that is killed at one of its verbs, or slow: runs end, clients hear of it, and nothing is left."""

import os
import select
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.host.daemon.stacks import Stack
from tests.oci_bundle import cgroups_named
from tracer import procfs

pytestmark = [pytest.mark.root, pytest.mark.slow]

PATIENCE = 20
"""Seconds after which what has not happened never will."""
WRAPPER = """#!/bin/sh
for word; do [ "$word" != {verb} ] || kill -9 $$; done
exec {runtime} "$@"
"""


class BrokenStack(Stack):
    """A stack with the runtimes `no-create`, `no-start`, `no-kill` and `no-delete`."""

    def daemon_flags(self) -> list[str]:
        flags = super().daemon_flags()
        for verb in ("create", "start", "kill", "delete"):
            path = self.folder / f"no-{verb}"
            path.write_text(WRAPPER.format(verb=verb, runtime=shutil.which("runc")))
            path.chmod(0o755)
            flags += ["--add-runtime", f"no-{verb}={path}"]
        return [*flags, "--add-runtime", f"true={shutil.which('true')}"]

    def slow_create(self) -> tuple[Path, Path]:
        """Let `no-create` wait in its call: the FIFO that tells that it is called, and the one that lets it go on."""
        called, gate = self.folder / "called", self.folder / "gate"
        os.mkfifo(called)
        os.mkfifo(gate)
        wait = f"""for word; do [ "$word" != create ] || {{ echo > {called}; read -r _ < {gate}; }}; done"""
        (self.folder / "no-create").write_text(f'#!/bin/sh\n{wait}\nexec {shutil.which("runc")} "$@"\n')
        return called, gate


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BrokenStack]:
    """A stack; whatever its runtimes did, it must have written no traceback."""
    one = BrokenStack(tmp_path_factory.mktemp("b"))
    yield one
    one.stop()
    log = Path(one.folder, "log").read_text()
    assert "Traceback" not in log, log


def test_a_runtime_that_is_none_is_named(stack: Stack) -> None:
    """It ends well, and no container is there."""
    body = {"Image": "hostbox", "Cmd": ["true"], "HostConfig": {"Runtime": "true"}}
    _, created = stack.ask("POST", "/containers/create", body)

    status, reply = stack.ask("POST", f"/containers/{created['Id']}/start")

    assert 500 == status
    assert f"OCI runtime create failed: {shutil.which('true')} wrote no pid file" in reply["message"]
    assert 204 == stack.ask("DELETE", f"/containers/{created['Id']}")[0]


@pytest.mark.parametrize("verb", ["create", "start"])
def test_a_start_that_is_killed_is_refused_and_leaves_nothing(stack: Stack, verb: str) -> None:
    """500 with the reason; and with --rm whoever waits for the removal is answered."""
    body = {"Image": "hostbox", "Cmd": ["true"], "HostConfig": {"Runtime": f"no-{verb}", "AutoRemove": True}}
    _, created = stack.ask("POST", f"/containers/create?name=no-{verb}", body)

    refused = stack.ask("POST", f"/containers/no-{verb}/start")
    waited = stack.ask("POST", f"/containers/{created['Id']}/wait?condition=removed")

    assert refused[0] == 500
    assert "exited with status 137" in refused[1]["message"]
    assert waited[0] in (200, 404)  # 404: it has gone before we asked
    assert cgroups_named(created["Id"]) == []


def test_a_run_that_cannot_be_deleted_has_ended_all_the_same(stack: Stack) -> None:
    """Its exit code is told and its name is free again; what is left of it goes when the daemon next looks around."""
    ids = []
    for _ in range(2):
        ids.append(stack.run("no-delete", "exit 3", HostConfig={"Runtime": "no-delete"}))
        waited = stack.ask("POST", "/containers/no-delete/wait")
        removed = stack.ask("DELETE", "/containers/no-delete")
        assert (waited[1]["StatusCode"], removed[0]) == (3, 204)
    shims = [os.pidfd_open(pid) for pid in procfs.pids() if any(one in procfs.argv(pid) for one in ids)]
    (stack.folder / "no-delete").write_text(WRAPPER.format(verb="nothing", runtime=shutil.which("runc")))

    stack.containerd.kill()
    stack.containerd.wait()
    stack.start_containerd()

    assert len(shims) == 2
    for shim in shims:
        assert select.select([shim], [], [], PATIENCE)[0], "a shim was left"
        os.close(shim)
    assert [cgroups_named(one) for one in ids] == [[], []]


def test_a_kill_that_does_not_come_through_is_an_error(stack: Stack) -> None:
    """Nobody waits for an end that will not come."""
    container_id = stack.run("no-kill", "sleep 1000", HostConfig={"Runtime": "no-kill"})
    pid = stack.ask("GET", "/containers/no-kill/json")[1]["State"]["Pid"]

    status, answer = stack.ask("POST", "/containers/no-kill/kill")
    os.kill(pid, 9)
    stack.ask("POST", "/containers/no-kill/wait")
    removed = stack.ask("DELETE", "/containers/no-kill")

    assert status == 500, answer
    assert removed[0] == 204
    assert cgroups_named(container_id) == []


def test_removal_by_force_meets_a_start_under_way(stack: BrokenStack) -> None:
    """It ends what has been started meanwhile, and does not take the record from under it."""
    called, gate = stack.slow_create()
    body = {"Image": "hostbox", "Cmd": ["sleep", "1000"], "HostConfig": {"Runtime": "no-create"}}
    _, created = stack.ask("POST", "/containers/create?name=slow", body)
    with ThreadPoolExecutor() as pool:
        start = pool.submit(stack.ask, "POST", "/containers/slow/start")
        called.read_text()
        removal = pool.submit(stack.ask, "DELETE", "/containers/slow?force=1")
        stack.ask("GET", "/containers/slow/json")  # answered behind the removal, which has begun now
        gate.write_text("go on\n")

    assert (start.result()[0], removal.result()[0]) == (204, 204)
    assert stack.ask("GET", "/containers/json?all=1")[1] == []
    assert [pid for pid in procfs.pids() if created["Id"] in procfs.argv(pid)] == []
    assert cgroups_named(created["Id"]) == []
