"""The daemon and containerd are started at once, and either may be the first to be ready."""

import os
import shutil
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tests.unix_sockets import wait_for_socket

pytestmark = [pytest.mark.root, pytest.mark.slow]


def test_a_daemon_that_is_first_waits_for_its_containerd() -> None:
    """It says so, answers nobody meanwhile, and serves once containerd listens."""
    folder = Path(tempfile.mkdtemp(prefix="gbo-", dir="/tmp"))
    places = ["--data-root", f"{folder}/data", "--exec-root", f"{folder}/exec", "--bridge", f"gbo-{os.getpid()}"]
    flags = ["-H", f"unix://{folder}/d.sock", "--containerd", f"{folder}/c.sock", *places]
    daemon = subprocess.Popen([sys.executable, "-m", "runtime.daemon", *flags], stderr=subprocess.PIPE)
    assert daemon.stderr
    said = daemon.stderr.readline().decode()

    with socket.socket(socket.AF_UNIX) as knock:
        early = knock.connect_ex(f"{folder}/d.sock")
    containerd = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "runtime.containerd",
            "--root",
            f"{folder}/cr",
            "--state",
            f"{folder}/cs",
            "--address",
            f"{folder}/c.sock",
        ],
        stderr=subprocess.DEVNULL,
    )
    wait_for_socket(f"{folder}/d.sock", daemon.pid)

    assert said.rstrip().endswith(f"waiting for containerd at {folder}/c.sock")
    assert early != 0
    for process in (daemon, containerd):
        process.terminate()
        assert process.wait() == 0
    daemon.stderr.close()
    shutil.rmtree(folder)
