"""A private containerd in a directory of its own, real or ours, with real ctr as its client."""

import contextlib
import functools
import itertools
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.oci_bundle import Box, become_subreaper
from tests.swap import test_docker_cli as docker_cli

PATIENCE = 20.0
"""Seconds after which a test that waits for an event has failed."""

REAL_CONFIG = """
version = 2
root = "{directory}/root"
state = "{directory}/state"
disabled_plugins = ["io.containerd.grpc.v1.cri", "io.containerd.snapshotter.v1.devmapper"]
[grpc]
address = "{directory}/c.sock"
"""
BINARIES = ("ctr", "containerd", "containerd-shim-runc-v2", "runc")
_MARKERS = itertools.count()
READY = {"real": "containerd successfully booted", "ours": "containerd is listening"}


@dataclass
class Containerd:
    """One running containerd."""

    kind: str
    directory: Path
    rootfs: Path
    process: "subprocess.Popen[str]"
    log: list[str] = field(default_factory=list)
    reader: threading.Thread | None = None

    @property
    def address(self) -> str:
        return str(self.directory / "c.sock")

    @property
    def bundles(self) -> Path:
        return self.directory / "state" / "io.containerd.runtime.v2.task" / "default"

    def ctr(self, *arguments: str, stdin: bytes = b"", status: int | None = 0) -> str:
        """Run real ctr and return what it printed; its exit status must be the given one (None: any)."""
        argv = ["ctr", "-a", self.address, *arguments]
        done = subprocess.run(argv, input=stdin, capture_output=True, timeout=PATIENCE, check=False)
        said = (done.stdout + done.stderr).decode()
        assert status is None or done.returncode == status, f"{argv}: {done.returncode}: {said}"
        return said

    def run(self, *arguments: str, runtime: str = "io.containerd.runc.v2", status: int | None = 0) -> str:
        """`ctr run` on the busybox root file system."""
        *flags, container_id = arguments[: _words_before_command(arguments)]
        command = arguments[_words_before_command(arguments) :]
        fifos = ["--fifo-dir", str(self.directory / "fifos")]
        argv = ["run", *flags, "--runtime", runtime, *fifos, "--rootfs", str(self.rootfs), container_id, *command]
        return self.ctr(*argv, status=status)

    def stop(self, number: int = signal.SIGTERM) -> None:
        """End it; its shims stay."""
        self.process.send_signal(number)
        self.process.wait(PATIENCE)
        assert self.process.stderr is not None
        if self.reader is not None:
            self.reader.join()
        self.process.stderr.close()

    def shim_pids(self) -> list[int]:
        """The processes that were started with our address on their command line (not ourselves)."""
        found: list[int] = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit() and int(entry.name) not in (self.process.pid, os.getpid()):
                try:
                    words = (entry / "cmdline").read_bytes().decode(errors="replace").split("\0")
                except OSError:
                    continue
                if self.address in words and "-namespace" in words:
                    found.append(int(entry.name))
        return found


def _words_before_command(arguments: tuple[str, ...]) -> int:
    """Flags come first, then the container's id; the command begins with the first absolute path."""
    return next((n for n, word in enumerate(arguments) if word.startswith("/")), len(arguments))


class Events:
    """A running `ctr events`."""

    def __init__(self, containerd: Containerd) -> None:
        argv = ["ctr", "-a", containerd.address, "events"]
        self._process = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        assert self._process.stdout is not None
        self._stdout = self._process.stdout.fileno()
        self._pending = b""
        # ctr does not say when it has subscribed: events are made until one of them arrives.
        for _ in range(200):
            containerd.ctr("namespaces", "create", f"marker-{next(_MARKERS)}")
            if select.select([self._stdout], [], [], 0.05)[0]:
                break

    def until(self, topic: str, wanted: str) -> list[tuple[str, str]]:
        """Return topics and texts up to the event of this topic whose text contains `wanted`."""
        seen: list[tuple[str, str]] = []
        deadline = time.monotonic() + PATIENCE
        while True:
            line, newline, rest = self._pending.partition(b"\n")
            if not newline:
                ready = select.select([self._stdout], [], [], max(0.0, deadline - time.monotonic()))[0]
                assert ready, f"{topic} {wanted} did not come; seen: {seen}"
                self._pending += os.read(self._stdout, 65536)
                continue
            self._pending = rest
            # DATE TIME +0000 UTC NAMESPACE TOPIC JSON
            _, found, *text = line.decode().split(" ", 6)[4:]
            if found == "/namespaces/create" and "marker-" in text[0]:
                continue
            seen.append((found, "".join(text)))
            if found == topic and wanted in seen[-1][1]:
                return seen

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()


@pytest.fixture
def watch_events() -> Iterator[Callable[[Containerd], Events]]:
    """Start `ctr events` on a containerd; it ends with the test."""
    running: list[Events] = []

    def watch(containerd: Containerd) -> Events:
        running.append(Events(containerd))
        return running[-1]

    yield watch
    for events in running:
        events.close()


def launch(kind: str, directory: Path, rootfs: Path, environment: Mapping[str, str]) -> Containerd:
    """Start a containerd in the directory and return when it is ready."""
    ready = READY[kind]
    if kind == "real":
        config = directory / "config.toml"
        config.write_text(REAL_CONFIG.format(directory=directory))
        argv = ["containerd", "--config", str(config)]
    else:
        flags = ["--root", f"{directory}/root", "--state", f"{directory}/state", "--address", f"{directory}/c.sock"]
        argv = [sys.executable, "-m", "runtime.containerd", *flags]
    process = subprocess.Popen(
        argv,
        env={**os.environ, **environment},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    containerd = Containerd(kind, directory, rootfs, process)
    assert process.stderr is not None
    for line in process.stderr:
        containerd.log.append(line)
        if ready in line:
            break
    else:
        pytest.fail(f"{kind} containerd did not start: {''.join(containerd.log)}")
    # Somebody must go on reading, or it stops when the pipe is full.
    containerd.reader = threading.Thread(target=containerd.log.extend, args=(process.stderr,), daemon=True)
    containerd.reader.start()
    return containerd


@pytest.fixture(scope="module")
def busybox_rootfs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A root file system of busybox alone."""
    busybox = shutil.which("busybox")
    if busybox is None:
        pytest.skip("not installed: busybox")
    rootfs = tmp_path_factory.mktemp("rootfs")
    for name in ("bin", "proc", "sys", "dev", "tmp", "etc"):
        (rootfs / name).mkdir()
    shutil.copy2(busybox, rootfs / "bin" / "busybox")
    for applet in ("sh", "cat", "echo", "sleep", "true", "hostname"):
        (rootfs / "bin" / applet).symlink_to("busybox")
    return rootfs


@pytest.fixture(scope="module")
def short_directory() -> Iterator[Path]:
    """A directory whose name leaves room for socket names (107 bytes), with nothing left in it or mounted on it."""
    directory = Path(tempfile.mkdtemp(prefix="gbcd-", dir="/tmp"))
    yield directory
    mounted = [line.split()[1] for line in Path("/proc/self/mounts").read_text().splitlines() if str(directory) in line]
    shutil.rmtree(directory)
    assert [] == mounted


@pytest.fixture(scope="module")
def launch_containerd(short_directory: Path, busybox_rootfs: Path) -> Iterator[Callable[..., Containerd]]:
    """Start containerds; each is stopped at the end, and must have left no shim and no bundle behind."""
    missing = [name for name in BINARIES if shutil.which(name) is None]
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)}")
    launched: list[Containerd] = []

    def start(kind: str, name: str = "", **environment: str) -> Containerd:
        directory = short_directory / (name or kind)
        directory.mkdir(exist_ok=True)
        launched.append(launch(kind, directory, busybox_rootfs, environment))
        return launched[-1]

    yield start
    for containerd in launched:
        if containerd.process.poll() is None:
            containerd.stop()
    for containerd in launched:
        assert [] == containerd.shim_pids()
        assert [] == (list(containerd.bundles.iterdir()) if containerd.bundles.exists() else [])


@pytest.fixture(scope="module")
def engines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], docker_cli.Engine]]:
    """Each daemon, `dockerd` and `ours`, from when it is first asked for until the last test of a file."""
    missing = [name for name in docker_cli.BINARIES if shutil.which(name) is None]
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)}")
    with contextlib.ExitStack() as up:
        yield functools.cache(lambda seat: up.enter_context(docker_cli.stack_up(seat, tmp_path_factory.mktemp("cli"))))


@pytest.fixture(params=("runc", "crun", "glassbottom-oci"))
def box(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Box]:
    """A bundle for one of the runtimes; at the end nothing of it may be left on the host."""
    for program in ("busybox", "unshare", *(name for name in [request.param] if name != "glassbottom-oci")):
        if shutil.which(program) is None:
            pytest.skip(f"not installed: {program}")
    become_subreaper()
    made = Box(request.param, tmp_path)
    yield made
    made.close()
