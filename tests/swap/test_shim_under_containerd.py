"""Shims under real containerd, driven by real ctr: one body, runc's shim and ours, the same answers.

Which shim runs is a matter of PATH: a directory that comes first in containerd's holds ours under the real one's name.
"""

import hashlib
import io
import json
import os
import pty
import re
import select
import shutil
import signal
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

pytestmark = [pytest.mark.root, pytest.mark.swap]

VENV = Path(sys.executable).parent
SHIM = VENV / "containerd-shim-glassbottom-v1"


class Seat(NamedTuple):
    """Who sits where."""

    shim: str
    runtime: str


SEATS = [Seat("real", "runc"), Seat("ours", "runc"), Seat("ours", str(VENV / "glassbottom-oci"))]


class Stack:
    """A real containerd with one shim and one OCI runtime."""

    def __init__(self, containerd: Any, seat: Seat, scratch: Path) -> None:
        self.containerd = containerd
        self.seat = seat
        self.scratch = scratch

    def flags(self, *more: str) -> list[str]:
        fifos = str(self.containerd.directory / "fifos")
        return [
            "run",
            *more,
            "--runtime",
            "io.containerd.runc.v2",
            "--runc-binary",
            self.seat.runtime,
            "--fifo-dir",
            fifos,
        ]

    def run(self, container_id: str, *command: str, more: tuple[str, ...] = ("--rm",), status: int = 0) -> str:
        """`ctr run` on the busybox root file system."""
        argv = [*self.flags(*more), "--rootfs", str(self.containerd.rootfs), container_id, *command]
        return str(self.containerd.ctr(*argv, status=status))

    def popen(self, container_id: str, *command: str, more: tuple[str, ...] = ("--rm",), **streams: Any) -> Any:
        """The same, left running."""
        argv = [*self.flags(*more), "--rootfs", str(self.containerd.rootfs), container_id, *command]
        return subprocess.Popen(["ctr", "-a", self.containerd.address, *argv], **streams)

    def remove(self, container_id: str, events: Any = None) -> None:
        """Kill, wait for the end, delete."""
        self.containerd.ctr("tasks", "kill", "-s", "9", container_id, status=None)
        while "must be stopped" in self.containerd.ctr("tasks", "rm", container_id, status=None):
            pass
        self.containerd.ctr("containers", "rm", container_id)

    def shims(self, container_id: str) -> list[int]:
        """The shims of a container, by their command line."""
        found = []
        for pid in self.containerd.shim_pids():
            try:
                words = Path(f"/proc/{pid}/cmdline").read_text().split("\0")
            except OSError:
                continue
            if container_id in words:
                found.append(pid)
        return found


@pytest.fixture(scope="module", params=SEATS, ids=lambda seat: f"{seat.shim}-{Path(seat.runtime).name}")
def stack(
    request: pytest.FixtureRequest, launch_containerd: Callable[..., Any], short_directory: Path
) -> Iterator[Stack]:
    """Each seating in turn, in a containerd of its own; nothing is left on the host."""
    seat: Seat = request.param
    name = f"{seat.shim}-{Path(seat.runtime).name}"
    scratch = short_directory / f"{name}-scratch"
    scratch.mkdir()
    path = os.environ["PATH"]
    if seat.shim == "ours":
        if not SHIM.exists():
            pytest.skip(f"not installed: {SHIM.name}")
        first = short_directory / f"{name}-bin"
        first.mkdir()
        (first / "containerd-shim-runc-v2").symlink_to(SHIM)
        path = f"{first}:{VENV}:{path}"
    # The runtime directory is where shims make their console sockets.
    containerd = launch_containerd("real", name, PATH=path, XDG_RUNTIME_DIR=str(scratch))
    yield Stack(containerd, seat, scratch)
    assert [] == list(scratch.glob("pty*"))
    # ctr may be back before the shim's `delete` command is: what runs now must end by itself.
    for pid in containerd.shim_pids():
        _wait_for_end(pid)
    assert [] == containerd.shim_pids()
    shutil.rmtree(scratch)


def _wait_for_end(pid: int) -> None:
    try:
        pidfd = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    assert select.select([pidfd], [], [], 20)[0], f"{pid} does not end"
    os.close(pidfd)


@pytest.mark.parametrize(
    ("script", "status"),
    [("true", 0), ("exit 7", 7), ("kill -9 $$", 0), ("sh -c 'kill -9 $$'; exit $?", 137), ("kill -15 $$; exit 3", 3)],
)
def test_exit_status_comes_through(stack: Stack, script: str, status: int) -> None:
    """The process's own number, 128 and the signal for a killed one; init is deaf to its own signals."""
    # Each its own id: when ctr returns, containerd may still be cleaning up after the shim of the last one.
    stack.run(f"status-{len(script)}", "/bin/sh", "-c", script, status=status)


def test_output_is_complete(stack: Stack) -> None:
    """A megabyte, of which the last part was written just before the end."""
    said = stack.run("output", "/bin/sh", "-c", "yes 0123456 | head -c 1000000; echo; echo end")

    assert len(said) == 1000000 + 5
    assert said.endswith("\nend\n")


def test_input_ends(stack: Stack) -> None:
    """What goes into ctr comes out, and its end is the end."""
    ctr = stack.popen("input", "/bin/sh", "-c", "echo ready; cat", stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    # ctr only passes the end on once the task runs.
    assert ctr.stdout.readline() == b"ready\n"

    ctr.stdin.write(b"through and through\n")
    ctr.stdin.flush()
    # Read before the end is passed on: real ctr may close the task's input before it has copied what came first.
    echoed = ctr.stdout.readline()
    rest, _ = ctr.communicate(timeout=20)

    assert (ctr.returncode, echoed, rest) == (0, b"through and through\n", b"")


def test_terminal_is_the_container_s_own(stack: Stack) -> None:
    """tty names a device that exists inside; keys go in and the screen comes out."""
    master, slave = pty.openpty()
    streams = {"stdin": slave, "stdout": slave, "stderr": slave, "start_new_session": True}
    ctr = stack.popen("terminal", "/bin/sh", more=("--rm", "-t"), **streams)
    os.close(slave)

    seen = _read_until(master, b"# ")
    os.write(master, b"tty; echo $((40+2)); exit 5\n")
    seen += _read_until(master, None)
    os.close(master)

    assert ctr.wait(20) == 5
    assert re.search(rb"\n/dev/pts/0\r+\n42\r+\n", seen)


def _read_until(master: int, mark: bytes | None) -> bytes:
    """Read a terminal until the mark comes, or to its end."""
    seen = b""
    while mark is None or mark not in seen:
        assert select.select([master], [], [], 20)[0], f"{mark!r} did not come: {seen!r}"
        try:
            chunk = os.read(master, 4096)
        except OSError:
            break
        if not chunk:
            break
        seen += chunk
    return seen


def test_missing_command_is_explained(stack: Stack) -> None:
    """The OCI runtime's own words, between the shim's and containerd's."""
    said = stack.run("missing", "/bin/nosuch", status=1)

    assert said.startswith("ctr: failed to create shim task: OCI runtime create failed: ")
    assert 'exec: "/bin/nosuch": stat /bin/nosuch: no such file or directory: unknown' in said


def test_missing_runtime_is_explained(stack: Stack) -> None:
    """A runtime that is not installed is named."""
    argv = ["run", "--rm", "--runtime", "io.containerd.runc.v2", "--runc-binary", "no-such-runc"]

    said = stack.containerd.ctr(*argv, "--rootfs", str(stack.containerd.rootfs), "noruntime", "/bin/true", status=1)

    assert "OCI runtime create failed" in said
    assert 'exec: "no-such-runc": executable file not found in $PATH' in said


def test_life_is_told_in_order(stack: Stack, watch_events: Any) -> None:
    """Container, task and exec: each event once and in its place."""
    events = watch_events(stack.containerd)

    stack.run("story", "/bin/sleep", "1000", more=("-d",))
    stack.containerd.ctr("tasks", "exec", "--exec-id", "x", "story", "/bin/sh", "-c", "exit 4", status=4)
    stack.containerd.ctr("tasks", "pause", "story")
    paused = stack.containerd.ctr("tasks", "ls")
    stack.containerd.ctr("tasks", "resume", "story")
    stack.remove("story")
    seen = events.until("/containers/delete", '"story"')

    assert re.search(r"story +\d+ +PAUSED", paused)
    assert [topic for topic, _ in seen] == [
        "/containers/create",
        "/tasks/create",
        "/tasks/start",
        "/tasks/exec-added",
        "/tasks/exec-started",
        "/tasks/exit",
        "/tasks/paused",
        "/tasks/resumed",
        "/tasks/exit",
        "/tasks/delete",
        "/containers/delete",
    ]
    exits = [json.loads(text) for topic, text in seen if topic == "/tasks/exit"]
    assert [(end["id"], end["exit_status"]) for end in exits] == [("x", 4), ("story", 137)]


def test_exec_is_independent(stack: Stack) -> None:
    """Output, exit status and failure of an exec are its own; init goes on."""
    stack.run("host", "/bin/sleep", "1000", more=("-d",))
    execute = ("tasks", "exec", "--exec-id")

    said = stack.containerd.ctr(*execute, "a", "host", "/bin/echo", "from exec")
    failed = stack.containerd.ctr(*execute, "b", "host", "/bin/nosuch", status=1)
    processes = stack.containerd.ctr("tasks", "ps", "host")
    metrics = stack.containerd.ctr("tasks", "metrics", "host")
    stack.remove("host")

    assert said == "from exec\n"
    assert failed.startswith("ctr: OCI runtime exec failed: ")
    assert "no such file or directory: unknown" in failed
    assert re.fullmatch(r"PID +INFO *\n\d+ +-\n", processes)
    assert re.search(r"pids.current +1\b", metrics)
    assert not re.search(r"memory.usage_in_bytes +0\b", metrics)


def test_killed_shim_takes_its_container_along(stack: Stack, watch_events: Any) -> None:
    """kill -9 of the shim: containerd runs `delete`, which ends the container, and says 137."""
    stack.run("orphan", "/bin/sleep", "1000", more=("-d",))
    listed = re.search(r"orphan +(\d+) +RUNNING", stack.containerd.ctr("tasks", "ls"))
    assert listed
    container = os.pidfd_open(int(listed[1]))
    events = watch_events(stack.containerd)

    for pid in stack.shims("orphan"):
        os.kill(pid, signal.SIGKILL)
    seen = events.until("/tasks/delete", '"orphan"')
    assert select.select([container], [], [], 20)[0]
    os.close(container)
    stack.containerd.ctr("containers", "rm", "orphan")

    assert [topic for topic, _ in seen] == ["/tasks/exit", "/tasks/delete"]
    assert '"exit_status":137' in seen[0][1]
    assert not (stack.containerd.bundles / "orphan").exists()


def image_tar(path: Path, rootfs: Path) -> None:
    """Write an OCI layout with one layer, for `ctr images import`."""
    layer = io.BytesIO()
    with tarfile.open(fileobj=layer, mode="w") as tar:
        tar.add(rootfs, ".")
    digest = hashlib.sha256(layer.getvalue()).hexdigest()
    config = json.dumps(
        {"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}"]}}
    ).encode()

    def described(kind: str, blob: bytes) -> dict[str, Any]:
        return {
            "mediaType": f"application/vnd.oci.image.{kind}",
            "digest": f"sha256:{hashlib.sha256(blob).hexdigest()}",
            "size": len(blob),
        }

    manifest = json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": described("config.v1+json", config),
            "layers": [described("layer.v1.tar", layer.getvalue())],
        }
    ).encode()
    entry = described("manifest.v1+json", manifest) | {"annotations": {"io.containerd.image.name": "test/busybox:1"}}
    index = json.dumps({"schemaVersion": 2, "manifests": [entry]}).encode()
    files = {"oci-layout": b'{"imageLayoutVersion":"1.0.0"}', "index.json": index}
    for blob in (layer.getvalue(), config, manifest):
        files[f"blobs/sha256/{hashlib.sha256(blob).hexdigest()}"] = blob
    with tarfile.open(path, mode="w") as tar:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))


def test_snapshot_is_mounted_by_the_shim_and_taken_off(stack: Stack) -> None:
    """containerd sends mounts as words; the shim makes them, and none is left when it is done."""
    archive = stack.scratch / "image.tar"
    image_tar(archive, stack.containerd.rootfs)
    stack.containerd.ctr("images", "import", str(archive))

    run = stack.flags("--rm")
    said = stack.containerd.ctr(*run, "test/busybox:1", "snap", "/bin/sh", "-c", "echo new >/file; cat /file; ls /bin")

    assert said.startswith("new\n")
    assert "busybox" in said
    assert str(stack.containerd.directory) not in Path("/proc/self/mountinfo").read_text()
    assert not (stack.containerd.rootfs / "file").exists()


def test_container_outlives_containerd(stack: Stack, launch_containerd: Callable[..., Any]) -> None:
    """A containerd that restarts finds the shim by its address, and the container as it was."""
    stack.run("survivor", "/bin/sleep", "1000", more=("-d",))
    before = stack.containerd.ctr("tasks", "ls")
    path = _environment_of(stack.containerd.process.pid)

    stack.containerd.stop(signal.SIGKILL)
    stack.containerd = launch_containerd(
        "real", stack.containerd.directory.name, PATH=path, XDG_RUNTIME_DIR=str(stack.scratch)
    )

    assert stack.containerd.ctr("tasks", "ls") == before
    said = stack.containerd.ctr("tasks", "exec", "--exec-id", "x", "survivor", "/bin/echo", "still here")
    stack.remove("survivor")
    assert said == "still here\n"


def _environment_of(pid: int) -> str:
    """The PATH that a process was started with."""
    words = Path(f"/proc/{pid}/environ").read_text().split("\0")
    return next(word.removeprefix("PATH=") for word in words if word.startswith("PATH="))


def test_our_runtime_name_finds_our_shim_and_runtime(stack: Stack) -> None:
    """io.containerd.glassbottom.v1 needs no option: shim from PATH, glassbottom-oci from beside it."""
    if stack.seat.shim != "ours":
        return  # the real shim has another name
    argv = ["run", "--rm", "--runtime", "io.containerd.glassbottom.v1", "--fifo-dir", str(stack.scratch / "fifos")]

    said = stack.containerd.ctr(*argv, "--rootfs", str(stack.containerd.rootfs), "named", "/bin/echo", "by name")

    assert said == "by name\n"
