"""Real dockerd with its real shim and runc on our containerd, driven by the real docker CLI."""

import io
import os
import re
import signal
import subprocess
import tarfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.root, pytest.mark.swap, pytest.mark.slow]

Docker = Callable[..., str]
NO_NETWORK = ("--network", "none")


@pytest.fixture(name="containerd", scope="module")
def _containerd(launch_containerd: Callable[..., Any]) -> Any:
    """Ours."""
    return launch_containerd("ours", "dockerd")


@pytest.fixture(name="docker", scope="module")
def _docker(containerd: Any) -> Iterator[Docker]:
    """The docker CLI on a private dockerd without a network, and an image `box`."""
    directory: Path = containerd.directory / "docker"
    directory.mkdir()
    address = f"unix://{directory}/d.sock"
    argv = ["dockerd", "--data-root", f"{directory}/root", "--exec-root", f"{directory}/exec", "-H", address]
    argv += ["--containerd", containerd.address, "--pidfile", f"{directory}/pid"]
    argv += ["--bridge", "none", "--iptables=false", "--ip-forward=false"]

    def docker(*arguments: str, stdin: bytes = b"", status: int | None = 0) -> str:
        run = ["docker", "-H", address, *arguments]
        done = subprocess.run(run, input=stdin, capture_output=True, timeout=20, check=False)
        said = (done.stdout + done.stderr).decode()
        assert status is None or done.returncode == status, f"{run}: {done.returncode}: {said}"
        return said

    with subprocess.Popen(argv, stderr=subprocess.PIPE, text=True, start_new_session=True) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if "API listen on" in line:
                break
        else:
            pytest.fail("dockerd did not start")
        reader = threading.Thread(target=process.stderr.read)
        reader.start()
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w") as tar:
            tar.add(containerd.rootfs, ".")
        docker("import", "--change", "ENV PATH=/bin", "-", "box", stdin=buffer.getvalue())
        yield docker
        process.terminate()
        reader.join()


def test_version_names_our_containerd(docker: Docker) -> None:
    """`docker version` shows the engine's parts."""
    assert re.search(r"containerd:\n +Version: +1\.6\.20\+glassbottom", docker("version"))


def test_run_passes_input_output_and_status(docker: Docker) -> None:
    """docker run: stdin, stdout, exit status, and 127 for a command that is not there."""
    assert docker("run", "--rm", "-i", *NO_NETWORK, "box", "cat", stdin=b"through") == "through"
    docker("run", "--rm", *NO_NETWORK, "box", "sh", "-c", "exit 7", status=7)
    assert "executable file not found in $PATH" in docker("run", "--rm", *NO_NETWORK, "box", "nothing", status=127)
    assert docker("ps", "-aq") == ""


def test_life_of_a_container(docker: Docker) -> None:
    """run -d, exec, top, stats, pause, unpause, kill, rm: each reaches the container."""
    docker("run", "-d", *NO_NETWORK, "--name", "life", "box", "sleep", "1000")

    assert docker("exec", "life", "echo", "inside") == "inside\n"
    assert "sleep 1000" in docker("top", "life")
    assert "life" in docker("stats", "--no-stream")
    docker("pause", "life")
    assert "(Paused)" in docker("ps")
    docker("unpause", "life")
    docker("kill", "life")
    assert docker("wait", "life") == "137\n"
    docker("rm", "life")


def test_dockerd_survives_the_death_of_containerd(
    docker: Docker, containerd: Any, launch_containerd: Callable[..., Any]
) -> None:
    """kill -9 of containerd: the container runs on, and a new containerd is taken by the old dockerd."""
    docker("run", "-d", *NO_NETWORK, "--name", "lasting", "box", "sleep", "1000")
    pid = int(docker("inspect", "-f", "{{.State.Pid}}", "lasting"))

    containerd.stop(signal.SIGKILL)
    os.kill(pid, 0)
    launch_containerd("ours", "dockerd")

    # dockerd dials again in growing intervals of its own.
    deadline = time.monotonic() + 20
    while (said := docker("exec", "lasting", "echo", "still here", status=None)) != "still here\n":
        assert time.monotonic() < deadline, said
    docker("rm", "-f", "lasting")
    assert docker("run", "--rm", *NO_NETWORK, "box", "echo", "and new") == "and new\n"
