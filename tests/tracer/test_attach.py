"""Which processes `--attach` means, and what it refuses before anything is touched."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tracer import procfs
from tracer.attach import find, prepare_attached
from tracer.cli import CommandError
from tracer.run_words import SEATS, take_apart


def test_a_process_is_found_by_its_programs_name_and_by_its_pid() -> None:
    """Both say the same, start time included; a name given twice is one process."""
    name = f"gb-sleeper-{os.getpid()}"
    with subprocess.Popen([name, "1000"], executable="/bin/sleep") as process:
        found = find(f"{name},{name}")
        again = find(str(process.pid))
        process.kill()

    assert found == again
    assert [(each.pid, each.label) for each in found] == [(process.pid, name)]
    assert found[0].start_time > 0


def test_a_name_that_two_have_is_refused_with_both() -> None:
    """A guess could follow the daemon of somebody else."""
    name = f"gb-twin-{os.getpid()}"
    with (
        subprocess.Popen([name, "1000"], executable="/bin/sleep") as one,
        subprocess.Popen([name, "1001"], executable="/bin/sleep") as two,
    ):
        with pytest.raises(CommandError) as raised:
            find(name)
        one.kill()
        two.kill()

    assert re.search(rf"there are 2 of that name, .*{one.pid}: {name} 1000; {two.pid}: {name} 1001", str(raised.value))


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
        2,
        "glassbottom: --speed processes: it is for --attach; one of full, filtered, wire\n",
    )
