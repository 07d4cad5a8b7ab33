"""Which processes `--attach` means, and what it refuses before anything is touched."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tracer import procfs
from tracer.attach import find, prepare_attached
from tracer.cli import CommandError
from tracer.run_words import SEATS, take_apart


@contextmanager
def sleeper(name: str, seconds: str) -> Iterator[int]:
    """A process of that name; its pid."""
    with subprocess.Popen([name, seconds], executable="/bin/sleep") as process:
        try:
            # Popen returns when execve has closed its pipe, a moment before /proc shows the new command line.
            while procfs.argv(process.pid) != [name, seconds]:
                assert process.poll() is None
            yield process.pid
        finally:
            process.kill()


def test_a_process_is_found_by_its_programs_name_and_by_its_pid() -> None:
    """Both say the same, start time included; a name given twice is one process."""
    name = f"gb-sleeper-{os.getpid()}"
    with sleeper(name, "1000") as pid:
        found = find(f"{name},{name}")
        again = find(str(pid))

    assert found == again
    assert [(each.pid, each.label) for each in found] == [(pid, name)]
    assert found[0].start_time > 0


def test_a_name_that_two_have_is_refused_with_both() -> None:
    """A guess could follow the daemon of somebody else."""
    name = f"gb-twin-{os.getpid()}"
    with sleeper(name, "1000") as one, sleeper(name, "1001") as two, pytest.raises(CommandError) as raised:
        find(name)

    assert "there are 2 of that name" in str(raised.value)
    assert all(text in str(raised.value) for text in (f"{one}: {name} 1000", f"{two}: {name} 1001"))


@pytest.mark.parametrize(
    ("names", "says"),
    [
        ("no-such-daemon", "no process of that name is running here"),
        ("dockerd,", "no process of that name"),
        ("4999999", "there is no such process"),
        (str(os.getpid()), "runs this command, and cannot be followed by it"),
        (str(procfs.parent(os.getpid())), "runs this command, and cannot be followed by it"),
    ],
    ids=["unknown", "empty", "no pid", "itself", "its parent"],  # pids would differ from worker to worker
)
def test_what_cannot_be_followed_is_a_sentence(names: str, says: str) -> None:
    """Before anything is touched."""
    with pytest.raises(CommandError, match=says):
        find(names.replace("dockerd", f"gb-none-{os.getpid()}"))


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--stack", "docker"], "--stack is for a stack of your own"),
        (["--runtime", "crun"], r"docker's own --runtime, after `run`, names a runtime"),
        (["--speed", "wire"], "a seccomp filter cannot be put into a process that runs already"),
    ],
)
def test_options_of_a_private_stack_are_refused(options: list[str], says: str) -> None:
    """The host's daemons choose shim and runtime for themselves."""
    words = take_apart(["--attach", "1", *options, "x"], (*SEATS, "--speed"))

    with pytest.raises(CommandError, match=says), prepare_attached(words):
        pass


def test_processes_speed_is_for_attached_ones(tmp_path: Path) -> None:
    """Programs that we start have nothing to be spared."""
    command = [sys.executable, "-m", "tracer", "record", "-o", str(tmp_path / "x"), "--speed", "processes", "x"]
    done = subprocess.run(command, capture_output=True, text=True)

    assert (done.returncode, done.stderr) == (
        125,
        "glassbottom: --speed processes: it is for --attach; one of full, filtered, wire\n",
    )
