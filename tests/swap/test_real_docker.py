"""The real Docker, start to end: real parts in every seat, apart from the host's, and the same panes as of ours."""

import os
import socket
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.seat_stages import read
from tests.tui.watched import Watched
from tracer.events import MessageSeen, NoteMade, RecordingEnded
from tracer.run_words import PORTS_STAY_INSIDE

pytestmark = [pytest.mark.root, pytest.mark.swap, pytest.mark.slow]

PARTS = ("docker", "dockerd", "containerd", "containerd-shim-runc-v2", "runc")


def test_real_docker_is_recorded_with_what_it_says_on_every_wire(
    runtime_dir: Path, require: Callable[..., None]
) -> None:
    """HTTP, gRPC, ttrpc, events and netlink are decoded though the daemons run at nearly full speed."""
    require(*PARTS)
    path = runtime_dir / "run.jsonl"
    links = socket.if_nameindex()

    command = [sys.executable, "-m", "tracer", "record", "-o", str(path), "--stack", "docker", "--", "docker", "run"]
    done = subprocess.run([*command, "--rm", "hostbox", "sh", "-c", "echo hi; exit 3"], capture_output=True, text=True)
    header, events = read(path)

    spoken = Counter(event.protocol for event in events if isinstance(event, MessageSeen))
    methods = {event.title for event in events if isinstance(event, MessageSeen) and event.protocol == "grpc"}
    notes = [event for event in events if isinstance(event, NoteMade)]
    assert (done.returncode, done.stdout) == (3, "hi\n"), done.stderr
    assert list(header.seats.values()) == ["docker", "dockerd", "containerd", "io.containerd.runc.v2", "runc"]
    assert header.mode == "wire"
    assert header.recorded_first == ("docker", "dockerd", "containerd", "the shim")
    assert min(spoken[name] for name in ("http", "grpc", "ttrpc", "containerd-event", "netlink", "stdio")) > 0
    assert {"Containers/Create", "Tasks/Create", "Tasks/Start", "Tasks/Delete"} <= methods
    filtered = next(note for note in notes if note.topic == "filtered")
    assert filtered.text.startswith("of containerd, daemon themselves, calls other than these")
    assert isinstance(events[-1], RecordingEnded)
    assert events[-1].reason == "the foreground program has ended and everything has settled"
    assert socket.if_nameindex() == links, "the host's network is as it was"


def test_real_docker_says_that_its_ports_stay_inside(runtime_dir: Path, require: Callable[..., None]) -> None:
    """It exits with 0 and has published nothing that this host could reach; that is said, and in the help too."""
    require(*PARTS)
    path = runtime_dir / "run.jsonl"
    command = [sys.executable, "-m", "tracer", "record"]

    words = ("--stack", "docker", "-o", str(path), "--", "docker", "run", "--rm", "-p", "18080:80", "hostbox", "true")
    done = subprocess.run([*command, *words], capture_output=True, text=True)
    help_text = subprocess.run([*command, "--help"], capture_output=True, text=True).stdout

    assert (done.returncode, done.stderr) == (0, f"glassbottom: {PORTS_STAY_INSIDE}\n")
    assert "ports of -p and -P" in help_text


def test_run_of_the_real_docker_comes_first_and_its_stages_afterwards(
    runtime_dir: Path, require: Callable[..., None]
) -> None:
    """The container has the terminal; when it has ended, its recording is stepped, and the header says why so."""
    require(*PARTS)
    words = ("run", "--stack", "docker", "-i", "-t", "--rm", "hostbox", "sh", "-c", "tty; exit 3")
    command = Watched(words, runtime_dir)

    command.read_until(b"cannot be held: the run comes first, then its stages")
    command.read_until(b"/dev/pts/0")
    command.read_until(b"recorded first and stepped now")
    os.write(command.master, b"q")

    assert command.exit_code() == 3
    command.hang_up()


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("host", "the daemons of this host are followed only when they are named"),
        ("podman", "there is no stack 'podman': it is one of "),
    ],
)
def test_other_stacks_are_refused_by_name(name: str, says: str) -> None:
    """To hold the host's daemons would freeze everybody's containers."""
    command = [sys.executable, "-m", "tracer", "record", "--stack", name, "hostbox"]
    done = subprocess.run(command, capture_output=True, text=True)

    assert (done.returncode, done.stdout) == (125, "")
    assert done.stderr.startswith(f"glassbottom: {says}")
