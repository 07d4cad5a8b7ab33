"""`--attach`: a dockerd and a containerd that run already are followed, and are none the worse for it.

A private dockerd plays the host's.
"""

import io
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.real_dockerd import dockerd
from tests.seat_stages import read
from tracer import procfs
from tracer.events import MessageSeen, NoteMade, ProcessExecuted, ProcessForked, RecordingEnded

pytestmark = [pytest.mark.root, pytest.mark.swap, pytest.mark.slow]

PARTS = ("docker", "dockerd", "containerd", "containerd-shim-runc-v2", "runc", "busybox")
PATIENCE_S = 30.0


@dataclass(frozen=True)
class Host:
    """Daemons that somebody else has started."""

    address: str
    pids: tuple[int, int]

    @property
    def tasks(self) -> list[int]:
        return [int(name) for pid in self.pids for name in os.listdir(f"/proc/{pid}/task")]

    def docker(self, *words: str, stdin: bytes = b"") -> str:
        run = ["docker", "-H", self.address, *words]
        return subprocess.run(run, input=stdin, stdout=-1, stderr=-1, check=True).stdout.decode().strip()

    def command(self, verb: str, path: Path, *words: str, options: tuple[str, ...] = ()) -> "subprocess.Popen[str]":
        """Our verb, on these daemons by their pids; the client finds them by its environment."""
        named = ",".join(map(str, self.pids))
        run = [sys.executable, "-m", "tracer", verb, "-o", str(path), "--attach", named, *options, "--", "docker"]
        environment = {**os.environ, "DOCKER_HOST": self.address}
        return subprocess.Popen([*run, "run", *words], stdin=-1, stdout=-1, stderr=-1, text=True, env=environment)

    def untouched(self) -> bool:
        """Nobody traces them, all processors are theirs, and they answer."""
        everywhere = os.sched_getaffinity(0)
        return (
            all(status(tid, "TracerPid") == "0" for tid in self.tasks)
            and all(os.sched_getaffinity(tid) == everywhere for tid in self.tasks)
            and "true" in self.docker("run", "--rm", "--network", "none", "box", "echo", "true")
        )


def status(tid: int, key: str) -> str:
    """A line of /proc/TID/status."""
    lines = Path(f"/proc/{tid}/status").read_text().splitlines()
    return next(line.split("\t")[1] for line in lines if line.startswith(f"{key}:"))


@pytest.fixture(name="host", scope="module")
def _host() -> Iterator[Host]:
    for program in PARTS:
        if shutil.which(program) is None:
            pytest.skip(f"not installed: {program}")
    folder = Path(tempfile.mkdtemp(prefix="gba-", dir="/tmp"))
    try:
        with dockerd(folder) as address:
            mine = [pid for pid in procfs.pids() if str(folder) in " ".join(procfs.argv(pid))]
            pids = {os.path.basename(procfs.argv(pid)[0]): pid for pid in mine}
            host = Host(address, (pids["dockerd"], pids["containerd"]))
            buffer = io.BytesIO()
            with tarfile.open(fileobj=buffer, mode="w") as tar:
                tar.add(str(shutil.which("busybox")), "bin/busybox")
                for name in ("sh", "echo", "sleep"):
                    link = tarfile.TarInfo(f"bin/{name}")
                    link.type, link.linkname = tarfile.SYMTYPE, "busybox"
                    tar.addfile(link)
            host.docker("import", "--change", "ENV PATH=/bin", "-", "box", stdin=buffer.getvalue())
            yield host
    finally:
        shutil.rmtree(folder)


def test_daemons_run_on_while_what_they_start_is_recorded(host: Host, tmp_path: Path) -> None:
    """No call of the daemons, every call of the rest; a warning before; all as it was afterwards."""
    words = ("--rm", "--network", "none", "box", "sh", "-c", "echo hi; exit 3")
    command = host.command("record", tmp_path / "run.jsonl", *words)
    out, err = command.communicate()
    header, events = read(tmp_path / "run.jsonl")
    lines = (tmp_path / "run.jsonl").read_text().splitlines()
    notes = {event.topic: event for event in events if isinstance(event, NoteMade)}
    attached = [event.pid for event in events if isinstance(event, ProcessForked) and event.how == "attached"]
    ran = {os.path.basename(event.argv[0]): event for event in events if isinstance(event, ProcessExecuted)}
    threads = {event.tid for event in events if isinstance(event, ProcessForked) and event.pid in host.pids}
    protocols = {event.protocol for event in events if isinstance(event, MessageSeen)}

    assert (command.returncode, out) == (3, "hi\n"), err
    assert err.startswith(f"glassbottom: warning: following dockerd (pid {host.pids[0]}) and containerd (pid ")
    assert "other people's containers" in err
    assert attached == list(host.pids)
    assert (header.mode, header.recorded_first) == ("processes", ("docker", "dockerd", "containerd"))
    assert ran["dockerd"].generation == 0
    assert {"docker", "containerd-shim-runc-v2", "runc", "sh"} <= ran.keys()
    assert {"http", "ttrpc", "stdio"} <= protocols
    assert len(threads) > 10
    callers = {int(line.split(",")[2]) for line in lines if line.startswith('["exit",')}
    assert callers & {ran["docker"].tid} == {ran["docker"].tid}
    assert callers & threads == set()
    assert {"attached", "detached"} <= notes.keys()
    assert isinstance(events[-1], RecordingEnded)
    assert events[-1].reason == "the foreground program has ended and everything has settled"
    assert host.untouched()


def test_container_that_stays_runs_on_untraced(host: Host, tmp_path: Path) -> None:
    """`run -d`: the end of the recording is not the container's."""
    command = host.command("record", tmp_path / "run.jsonl", "-d", "--network", "none", "box", "sleep", "1000")
    out, err = command.communicate()
    pid = int(host.docker("inspect", "-f", "{{.State.Pid}}", out.strip()))

    assert command.returncode == 0, err
    assert (status(pid, "TracerPid"), status(pid, "Seccomp_filters")) == ("0", "1")
    assert host.untouched()
    host.docker("rm", "-f", out.strip())


def test_killed_engine_lets_everything_go_on(host: Host, tmp_path: Path) -> None:
    """SIGKILL in the middle: the daemons serve on, and the container runs; only our client is gone."""
    path = tmp_path / "run.jsonl"
    command = host.command(
        "record", path, "--name", "left", "--network", "none", "box", "sh", "-c", "echo up; sleep 99"
    )
    assert command.stdout is not None
    assert command.stdout.readline() == "up\n"
    engine = next(pid for pid in procfs.pids() if "tracer.engine" in procfs.argv(pid) and str(path) in procfs.argv(pid))

    os.kill(engine, signal.SIGKILL)
    _, err = command.communicate()

    assert command.returncode == 125
    assert "the engine ended early (SIGKILL)" in err
    pid = int(host.docker("inspect", "-f", "{{.State.Pid}}", "left"))
    assert status(pid, "TracerPid") == "0"
    assert procfs.state(pid) == "S"
    assert host.docker("exec", "left", "echo", "well") == "well"
    assert host.untouched()
    host.docker("rm", "-f", "left")


def test_calls_of_the_daemons_are_recorded_when_asked_for(host: Host, tmp_path: Path) -> None:
    """`--speed full`: every call of theirs from then on; gRPC cannot be decoded from its middle, HTTP can."""
    words = ("--rm", "--network", "none", "box", "echo", "hi")
    command = host.command("record", tmp_path / "run.jsonl", *words, options=("--speed", "full"))
    out, err = command.communicate()
    header, events = read(tmp_path / "run.jsonl")
    http = {event.pid for event in events if isinstance(event, MessageSeen) and event.protocol == "http"}

    assert (command.returncode, out, header.mode) == (0, "hi\n", "full"), err
    assert "they are stopped at every system call" in err
    assert host.pids[0] in http
    assert host.untouched()


def test_traced_daemons_are_refused_with_who_traces_them(host: Host, tmp_path: Path) -> None:
    """A process has one tracer."""
    with subprocess.Popen(["strace", "-I1", "-f", "-o", "/dev/null", "-p", str(host.pids[0])], stderr=-1) as strace:
        deadline = time.monotonic() + PATIENCE_S
        while status(host.pids[0], "TracerPid") != str(strace.pid):
            assert time.monotonic() < deadline
        command = host.command("record", tmp_path / "run.jsonl", "--rm", "box", "true")
        _, err = command.communicate()
        strace.terminate()

    assert command.returncode == 125
    assert f"cannot follow dockerd (pid {host.pids[0]}): process {strace.pid} traces it already" in err
    assert host.untouched()
