"""SIGTERM to the daemon while clients follow, send, or say nothing: it ends at once; dockerd first, then ours."""

import os
import select
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from tests.swap.test_docker_cli import BINARIES, SEATS, Engine, hostbox_archive
from tracer import procfs

pytestmark = [pytest.mark.root, pytest.mark.swap, pytest.mark.slow]

PATIENCE = 10
"""Seconds; dockerd gives up waiting for its clients after 15."""
FOLLOWERS = (["logs", "-f", "runs"], ["attach", "--no-stdin", "runs"], ["events"], ["wait", "runs"], ["export", "runs"])
HALF = b"POST /containers/create HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 900\r\n\r\n{"
IDLE = b"GET /_ping HTTP/1.1\r\nHost: x\r\n\r\n"
LOAD = b"POST /images/load HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-tar\r\nContent-Length: 9000000\r\n\r\n"


@pytest.fixture
def stack(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Engine, int]]:
    """A stack of the test's own, and its daemon."""
    missing = [name for name in BINARIES if shutil.which(name) is None]
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)}")
    command = [sys.executable, "-m", "tracer", "stack", "up", *SEATS[request.param]]
    with (tmp_path / "log").open("w") as log:
        up = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True)
    assert up.stdout
    host = up.stdout.readline().strip().removeprefix("export DOCKER_HOST=")
    engine = Engine(request.param, host, tmp_path)
    try:
        if request.param == "dockerd":
            subprocess.run(["docker", "-H", host, "load"], input=hostbox_archive(), check=True, capture_output=True)
        yield engine, daemon_of(up.pid)
    finally:
        up.terminate()
        up.wait()
        up.stdout.close()


def daemon_of(stack_pid: int) -> int:
    """The daemon among a stack's programs."""
    ours = [pid for pid in procfs.pids() if procfs.parent(pid) == stack_pid]
    (found,) = [pid for pid in ours if any(is_daemon(word) for word in procfs.argv(pid)[:4])]
    return found


def is_daemon(word: str) -> bool:
    return word == "runtime.daemon" or os.path.basename(word) == "dockerd"


@pytest.mark.parametrize("stack", ["dockerd", "ours"], indirect=True)
def test_daemon_ends_at_once_whoever_listens(stack: tuple[Engine, int], tmp_path: Path) -> None:
    """Output that is followed or not read, events, a request and an archive half sent, and two who say nothing."""
    engine, pid = stack
    script = 'trap "exit 0" TERM; while :; do echo x; sleep 0.05; done'
    engine.run(f"docker run -d --name runs hostbox sh -c '{script}'")
    with ExitStack() as clients:
        for arguments in FOLLOWERS:
            command = ["docker", *arguments]
            follower = clients.enter_context(
                subprocess.Popen(command, env=engine.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            )
            clients.callback(follower.kill)
            assert follower.stdout
            if arguments[0] in ("logs", "attach", "export"):
                assert follower.stdout.read(2)
        for said in (HALF, LOAD, IDLE, b""):
            client = clients.enter_context(closing(socket.socket(socket.AF_UNIX)))
            client.connect(engine.host.removeprefix("unix://"))
            client.sendall(said)
        ends = os.pidfd_open(pid)
        clients.callback(os.close, ends)

        os.kill(pid, signal.SIGTERM)

        assert [ends] == select.select([ends], [], [], PATIENCE)[0]
