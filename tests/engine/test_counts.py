"""Nothing is lost: as many calls of each name as strace counts."""

import re
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.engine.conftest import Recording

WORKLOAD = "i=0; while [ $i -lt 20 ]; do /bin/true; i=$((i+1)); done"


@pytest.mark.slow
def test_calls_are_counted_as_strace_counts_them(
    record: Callable[..., Recording], require: Callable[..., None], tmp_path: Path
) -> None:
    """20 forks and execs of a shell: every name, every count."""
    require("strace")
    text = tmp_path / "strace.txt"
    subprocess.run(["strace", "-f", "-o", str(text), "sh", "-c", WORKLOAD], check=True)
    expected = Counter(re.findall(r"^\d+ +(\w+)\(", text.read_text(), re.MULTILINE))

    recording = record("sh", "-c", WORKLOAD)

    counted = Counter(recording.name(event.number) for event in recording.calls(*expected))
    counted += Counter(recording.name(event.number) for event in recording.entries("exit", "exit_group"))
    assert counted == expected


def test_the_header_names_every_call_of_this_kernels_abi(record: Callable[..., Recording]) -> None:
    """Numbers above python-ptrace's tables, corrected names, and prototypes that it lacks."""
    header = record("true").header

    assert header.version == 1
    assert header.command == ("true",)
    names = {signature.name: signature for signature in header.syscalls.values()}
    assert "timerfd" not in names
    assert [name for name, _ in names["clone3"].arguments] == ["cl_args", "size"]
    assert {"mount_setattr", "statmount", "timerfd_create", "umount2", "openat2"} <= names.keys()


def test_a_program_that_does_not_exist_ends_the_recording_with_a_reason(
    tmp_path: Path,
) -> None:
    """Exit code 127, as a shell would say."""
    import sys

    path = tmp_path / "recording.jsonl"
    command = [sys.executable, "-m", "tracer.engine", "--recording", str(path), "--", "no-such-program-anywhere"]
    finished = subprocess.run(command, check=False)

    end = Recording(path).end()
    assert finished.returncode == 127
    assert end.exit_code == 127
    assert end.reason == "no-such-program-anywhere: no such program"


def test_a_recording_is_for_its_owner_alone(record: Callable[..., Recording], tmp_path: Path) -> None:
    """It holds whatever the tracees read and wrote."""
    record("true")

    assert (tmp_path / "recording.jsonl").stat().st_mode & 0o777 == 0o600


def test_secrets_never_reach_the_file(record: Callable[..., Recording], tmp_path: Path) -> None:
    """A sensitive variable is masked in the environment and wherever its value shows up."""
    record("sh", "-c", "echo $REGISTRY_PASSWORD", environment={"REGISTRY_PASSWORD": "correct-horse-battery"})

    text = (tmp_path / "recording.jsonl").read_text()
    assert "correct-horse-battery" not in text
    assert "REGISTRY_PASSWORD=*********************" in text


def test_a_full_disk_is_named() -> None:
    """The engine ends, what it traced with it, and the sentence says which file could not be written."""
    done = subprocess.run(
        [sys.executable, "-m", "tracer.engine", "--recording", "/dev/full", "--", "true"],
        capture_output=True,
        text=True,
    )

    assert (done.returncode, done.stderr) == (125, "glassbottom engine: /dev/full: no space left on device\n")
