"""Our shim under real dockerd and containerd, driven by the real docker CLI; runc's shim is the reference.

dockerd 20.10 takes no shim but containerd-shim-runc-v2, so ours goes by that name there (tracer/stack.py).
"""

import http.client
import os
import re
import select
import shutil
import socket
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = [pytest.mark.root, pytest.mark.swap]

BINARIES = ("docker", "dockerd", "containerd", "containerd-shim-runc-v2", "runc", "busybox")
SHIM = Path(sys.executable).parent / "containerd-shim-glassbottom-v1"
APPLETS = ("sh", "cat", "echo", "false", "head", "sleep", "tail", "true", "tty")


class Docker:
    """The docker CLI and the private dockerd that it talks to."""

    def __init__(self, host: str) -> None:
        self.host = host

    def __call__(self, *words: str, stdin: bytes = b"") -> tuple[int, str]:
        """Run one command; return its status and all that it said."""
        done = subprocess.run(
            ["docker", "-H", self.host, *words],
            input=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=30,
            check=False,
        )
        return done.returncode, done.stdout.decode()

    def run(self, *words: str, stdin: bytes = b"") -> tuple[int, str]:
        """`docker run` without a network, which is not the shim's business."""
        return self("run", "--network", "none", *words, stdin=stdin)


@pytest.fixture(name="docker", scope="module", params=["real", "ours"])
def _docker(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Docker]:
    """A private dockerd and containerd with one shim or the other."""
    missing = [name for name in BINARIES if shutil.which(name) is None]
    if missing or not SHIM.exists():
        pytest.skip(f"not installed: {', '.join(missing) or SHIM.name}")
    folder = tmp_path_factory.mktemp(f"dockerd-{request.param}")
    seats = ["--daemon", "dockerd", "--containerd", "containerd", "--runtime", "runc"]
    seats += ["--shim", "runc"] if request.param == "real" else []
    log = (folder / "log").open("w")
    stack = subprocess.Popen(
        [sys.executable, "-m", "tracer", "stack", "up", *seats],
        stdout=subprocess.PIPE,
        stderr=log,
        text=True,
    )
    assert stack.stdout
    try:
        host = stack.stdout.readline().strip().removeprefix("export DOCKER_HOST=")
        assert host.startswith("unix://"), (folder / "log").read_text()
        docker = Docker(host)
        _import_image(docker, folder)
        yield docker
    finally:
        stack.terminate()
        stack.wait()
        stack.stdout.close()
        log.close()


def _import_image(docker: Docker, folder: Path) -> None:
    archive = folder / "busybox.tar"
    with tarfile.open(archive, mode="w") as tar:
        tar.add(os.path.realpath(str(shutil.which("busybox"))), "bin/busybox")
        for applet in APPLETS:
            link = tarfile.TarInfo(f"bin/{applet}")
            link.type, link.linkname = tarfile.SYMTYPE, "busybox"
            tar.addfile(link)
    status, said = docker("import", str(archive), "bb")
    assert status == 0, said


@pytest.mark.parametrize("status", [0, 7, 137])
def test_run_passes_output_and_status_on(docker: Docker, status: int) -> None:
    """What the process wrote and how it ended."""
    assert docker.run("--rm", "bb", "sh", "-c", f"echo said; exit {status}") == (status, "said\n")


def test_run_delivers_a_megabyte(docker: Docker) -> None:
    """No byte is lost at the end of a process that writes until it ends."""
    status, said = docker.run("--rm", "bb", "head", "-c", "1000000", "/dev/zero")

    assert (status, len(said)) == (0, 1000000)


def test_run_interactive_ends_with_its_input(docker: Docker) -> None:
    """CloseIO reaches the process as the end of its input."""
    assert docker.run("-i", "--rm", "bb", "cat", stdin=b"hello" * 50000) == (0, "hello" * 50000)


def test_process_without_a_terminal_takes_a_size_and_has_none(docker: Docker) -> None:
    """POST /containers/ID/resize, which some clients send before they look: 200, and no error of the shim's."""
    status, container_id = docker.run("-d", "bb", "sleep", "1000")
    assert status == 0, container_id
    connection = http.client.HTTPConnection("docker")
    connection.sock = socket.socket(socket.AF_UNIX)
    try:
        connection.sock.connect(docker.host.removeprefix("unix://"))
        connection.request("POST", f"/containers/{container_id.strip()}/resize?h=24&w=80")

        answer = connection.getresponse()
        assert (200, b"") == (answer.status, answer.read())
    finally:
        connection.close()
        docker("rm", "-f", container_id.strip())


def test_run_of_a_missing_command_is_127(docker: Docker) -> None:
    """The docker CLI reads the status out of the runtime's words, so they must come through unharmed."""
    status, said = docker.run("--rm", "bb", "nosuch")

    assert status == 127
    assert "failed to create shim task: OCI runtime create failed: " in said
    assert 'exec: "nosuch": executable file not found in $PATH: unknown' in said


def test_run_with_a_terminal(docker: Docker) -> None:
    """The terminal is the container's own, and its last words are shown."""
    command = f"docker -H {docker.host} run --network none --rm -t bb sh -c 'tty; echo last words; exit 3'"
    done = subprocess.run(
        ["script", "-qec", command, "/dev/null"], stdin=subprocess.DEVNULL, capture_output=True, timeout=30, check=False
    )

    assert done.returncode == 3
    # `script` itself may echo the end of its own input first.
    assert done.stdout.decode().replace("\r", "").endswith("/dev/pts/0\nlast words\n")


def test_exec_top_stats_pause(docker: Docker) -> None:
    """What can be asked of a running container."""
    assert docker.run("-d", "--name", "busy", "bb", "sleep", "1000")[0] == 0

    executed = docker("exec", "busy", "sh", "-c", "echo beside; exit 3")
    missing = docker("exec", "busy", "nosuch")
    top = docker("top", "busy", "-o", "pid,args")
    stats = docker("stats", "--no-stream", "--format", "{{.MemUsage}} {{.PIDs}}", "busy")
    docker("pause", "busy")
    paused = docker("inspect", "--format", "{{.State.Status}}", "busy")
    docker("unpause", "busy")
    running = docker("inspect", "--format", "{{.State.Status}}", "busy")
    updated = docker("update", "--memory", "64m", "--memory-swap", "64m", "busy")
    docker("rm", "-f", "busy")

    assert executed == (3, "beside\n")
    assert missing[0] == 126
    assert "sleep 1000" in top[1]
    assert re.fullmatch(r"[1-9][\d.]*[KM]iB / \S+ 1\n", stats[1])
    assert (paused, running) == ((0, "paused\n"), (0, "running\n"))
    assert updated[0] == 0
    assert updated[1].startswith("busy\n")


def test_stop_is_heard_and_kill_is_final(docker: Docker) -> None:
    """SIGTERM reaches a process that listens; SIGKILL one that does not."""
    docker.run("-d", "--name", "polite", "bb", "sh", "-c", "trap 'exit 5' TERM; sleep 1000 & wait")
    docker.run("-d", "--name", "deaf", "bb", "sleep", "1000")

    docker("stop", "polite")
    docker("kill", "deaf")
    statuses = [docker("wait", name)[1] for name in ("polite", "deaf")]
    docker("rm", "polite", "deaf")

    assert statuses == ["5\n", "137\n"]


def test_out_of_memory_is_told_before_the_end(docker: Docker) -> None:
    """dockerd marks the container only if the oom event is there before the exit event."""
    status, _ = docker.run("--name", "hungry", "-m", "16m", "bb", "tail", "/dev/zero")

    state = docker("inspect", "--format", "{{.State.OOMKilled}} {{.State.ExitCode}}", "hungry")
    docker("rm", "hungry")

    assert (status, state) == (137, (0, "true 137\n"))


def test_nothing_is_left(docker: Docker) -> None:
    """After a container is removed, no shim of it is running."""
    docker.run("--rm", "--name", "brief", "bb", "true")

    for pid in _shims_of(docker):
        try:
            pidfd = os.pidfd_open(pid)
        except ProcessLookupError:
            continue
        assert select.select([pidfd], [], [], 20)[0]
        os.close(pidfd)
    assert [] == _shims_of(docker)


def _shims_of(docker: Docker) -> list[int]:
    """The shims whose containerd lives beside this dockerd's socket."""
    folder = str(Path(docker.host.removeprefix("unix://")).parent)
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                words = (entry / "cmdline").read_text().split("\0")
            except OSError:
                continue
            if "-namespace" in words and any(word.startswith(folder) for word in words):
                found.append(int(entry.name))
    return found
