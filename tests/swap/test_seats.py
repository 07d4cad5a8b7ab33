"""Every sensible combination of seats: the container starts, prints and exits, and the tracer finds the same stages.

Which stages a real part cannot show is data (`seat_stages.py`); what is named must be missing, so that a stage which
comes to be found has to be taken off the list.
"""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.seat_stages import expected, read
from tracer.events import NoteMade, RecordingEnded, StageEntered

pytestmark = [pytest.mark.root, pytest.mark.swap, pytest.mark.slow]

COMBINATIONS = (
    "",
    "--runtime runc",
    "--runtime crun",
    "--client docker",
    "--containerd containerd",
    "--shim runc --runtime runc",
    "--shim runc --runtime crun",
    "--containerd containerd --shim runc --runtime runc",
    "--client docker --containerd containerd --shim runc --runtime runc",
    "--daemon dockerd",
    "--daemon dockerd --containerd containerd --runtime runc",
    "--client docker --daemon dockerd --containerd containerd --shim runc --runtime runc",
    "--client docker --daemon dockerd --containerd containerd --shim runc --runtime crun",
)
PROGRAMS = {"--shim runc": "containerd-shim-runc-v2"}


@pytest.mark.parametrize("seats", COMBINATIONS, ids=lambda seats: seats.replace("--", "").replace(" ", "-") or "ours")
def test_a_container_runs_in_every_combination_of_seats(
    seats: str, runtime_dir: Path, require: Callable[..., None]
) -> None:
    """Its output and exit code come back, every stage is found once, and nothing is left."""
    words = seats.split()
    pairs = [f"{option} {name}" for option, name in zip(words[::2], words[1::2], strict=True)]
    require(*(PROGRAMS.get(pair, pair.split()[1]) for pair in pairs))
    path = runtime_dir / "run.jsonl"

    command = [sys.executable, "-m", "tracer", "record", "-o", str(path), *words, "--", "docker", "run"]
    done = subprocess.run([*command, "--rm", "hostbox", "sh", "-c", "echo hi; exit 3"], capture_output=True, text=True)
    header, events = read(path)

    found = [event.stage for event in events if isinstance(event, StageEntered)]
    unknown = [event.text for event in events if isinstance(event, NoteMade) and event.topic == "unknown-stop"]
    assert (done.returncode, done.stdout) == (3, "hi\n"), done.stderr
    assert sorted(found) == expected({option.strip("-"): name for option, name in map(str.split, pairs)})
    assert [os.path.basename(header.seats[pair.split()[0].strip("-")]) for pair in pairs] == [
        pair.split()[1] if pair not in PROGRAMS else "io.containerd.runc.v2" for pair in pairs
    ]
    assert unknown == []
    assert isinstance(events[-1], RecordingEnded)
