"""kill -9 of any part, at any moment: `glassbottom cleanup` brings the host back to what it was.

Each test compares the host before and after: mounts, cgroups, network links, processes and files of this stack.
"""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from runtime.client.engine_client import EngineClient
from tests.stack_leftovers import NOTHING, left_of
from tracer import procfs
from tracer.cleanup import cleanup_stack
from tracer.leftovers import processes_of
from tracer.stack import StackPlan, load, plan_stack

pytestmark = [pytest.mark.root, pytest.mark.slow]


@dataclass
class RunningStack:
    """A `glassbottom stack up` of the test's own."""

    process: subprocess.Popen[str]
    plan: StackPlan

    def client(self, *words: str) -> str:
        done = subprocess.run(self.plan.client_argv(words), capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def pids_of(self, *parts: str) -> list[int]:
        """Processes of the stack whose command line has one of these words in it."""
        return [pid for pid in processes_of(self.plan) if any(part in " ".join(procfs.argv(pid)) for part in parts)]

    def kill_owner(self) -> None:
        self.process.kill()
        self.process.wait()

    def cleanup(self, *words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "tracer", "cleanup", *words]
        return subprocess.run(command, capture_output=True, text=True)


@pytest.fixture
def stack(runtime_dir: Path, request: pytest.FixtureRequest) -> Iterator[RunningStack]:
    """A stack that is up; whatever the test did to it, it is gone in the end."""
    words: list[str] = getattr(request, "param", [])
    log = (runtime_dir / "log").open("w")
    process = subprocess.Popen(
        [sys.executable, "-m", "tracer", "stack", "up", *[word.format(runtime_dir) for word in words]],
        stdout=subprocess.PIPE,
        stderr=log,
        text=True,
    )
    assert process.stdout
    first = process.stdout.readline()
    assert first.startswith("export DOCKER_HOST="), Path(log.name).read_text()
    (registry,) = (runtime_dir / "glassbottom").iterdir()
    plan = load(str(registry))
    yield RunningStack(process, plan)
    process.kill()
    process.wait()
    process.stdout.close()
    log.close()
    cleanup_stack(plan)


def test_stack_up_is_down_again_after_sigterm_with_all_that_ran_on_it(stack: RunningStack) -> None:
    """The exit code says that all is well, and a running container is gone too."""
    stack.client("run", "-d", "hostbox", "sleep", "1000")
    before = left_of(stack.plan)

    stack.process.send_signal(signal.SIGTERM)

    assert stack.process.wait() == 0
    assert all(before[kind] for kind in ("processes", "mounts", "cgroups", "files"))
    assert left_of(stack.plan) == NOTHING


@pytest.mark.parametrize(
    "killed",
    [
        (),
        ("runtime.daemon",),
        ("runtime.containerd",),
        ("containerd-shim",),
        ("runtime.daemon", "runtime.containerd", "containerd-shim"),
    ],
    ids=lambda parts: "+".join(parts) or "owner alone",
)
def test_cleanup_after_kill_9_leaves_nothing(stack: RunningStack, killed: tuple[str, ...]) -> None:
    """The owner dies, and with it any of its programs; the container may be an orphan that only /proc knows."""
    stack.client("run", "-d", "hostbox", "sleep", "1000")
    stack.kill_owner()
    for pid in stack.pids_of(*killed) if killed else []:
        os.kill(pid, signal.SIGKILL)

    done = stack.cleanup("--json")
    (report,) = json.loads(done.stdout)

    assert (done.returncode, report["problems"]) == (0, [])
    assert report["stack"] == stack.plan.id
    assert left_of(stack.plan) == NOTHING


def test_cleanup_of_a_paused_container(stack: RunningStack) -> None:
    """A frozen process cannot die before its cgroup is thawed."""
    container = stack.client("run", "-d", "hostbox", "sleep", "1000")
    engine = EngineClient(stack.plan.docker_host)
    engine.negotiate()
    engine.request("POST", f"/containers/{container}/pause")
    engine.close()
    stack.kill_owner()

    assert stack.cleanup().returncode == 0
    assert left_of(stack.plan) == NOTHING


def test_cleanup_does_not_reach_through_a_bind_mount(stack: RunningStack, tmp_path: Path) -> None:
    """Behind -v are the user's own files."""
    (tmp_path / "precious").write_text("keep me")
    stack.client("run", "-d", "-v", f"{tmp_path}:/data", "hostbox", "sh", "-c", "echo more > /data/more; sleep 1000")
    stack.kill_owner()

    assert stack.cleanup().returncode == 0
    assert left_of(stack.plan) == NOTHING
    assert (tmp_path / "precious").read_text() == "keep me"


def test_cleanup_leaves_a_stack_in_use_alone_unless_forced(stack: RunningStack) -> None:
    """Its owner lives; --all without a terminal to ask on needs --force."""
    plain = stack.cleanup()
    asked = stack.cleanup("--all")
    untouched = stack.client("ps", "-q")
    forced = stack.cleanup("--all", "--force")

    assert f"left alone, because they are in use: {stack.plan.id}" in plain.stdout
    assert (asked.returncode, "add --force" in asked.stderr) == (1, True)
    assert untouched == ""
    assert forced.returncode == 0
    assert left_of(stack.plan) == NOTHING


def test_cleanup_twice_is_no_more_than_once(stack: RunningStack) -> None:
    """The second finds nothing of it."""
    stack.kill_owner()

    first, second = stack.cleanup(), stack.cleanup()

    assert first.stdout.startswith(f"stack {stack.plan.id}: killed ")
    assert (second.returncode, stack.plan.id in second.stdout) == (0, False)
    assert cleanup_stack(stack.plan).problems == []


@pytest.mark.parametrize("stack", [["--root", "{}/mine", "--socket", "{}/d.sock"]], indirect=True)
def test_cleanup_of_a_root_of_the_users_keeps_what_is_not_the_stacks(stack: RunningStack) -> None:
    """The root is found again through the registry; files in it that no stack makes stay."""
    theirs = Path(stack.plan.root, "notes.txt")
    theirs.write_text("mine")
    stack.client("run", "-d", "hostbox", "sleep", "1000")
    stack.kill_owner()

    assert stack.cleanup().returncode == 0
    assert left_of(stack.plan) == NOTHING
    assert [path.name for path in Path(stack.plan.root).iterdir()] == ["notes.txt"]


def test_the_next_start_cleans_up_after_the_dead(stack: RunningStack) -> None:
    """Nobody has to know of `glassbottom cleanup`."""
    stack.client("run", "-d", "hostbox", "sleep", "1000")
    stack.kill_owner()
    command = [sys.executable, "-m", "tracer", "stack", "up"]
    following = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    assert following.stdout

    assert following.stdout.readline().startswith(b"export DOCKER_HOST=")
    assert left_of(stack.plan) == NOTHING
    following.terminate()
    following.wait()
    following.stdout.close()


def test_stack_up_says_which_program_ended_by_itself(stack: RunningStack) -> None:
    """A stack without its containerd is none: it goes down, with a sentence and exit code 1."""
    (pid,) = stack.pids_of("runtime.containerd")

    os.kill(pid, signal.SIGKILL)

    assert stack.process.wait() == 1
    assert left_of(stack.plan) == NOTHING


def test_stack_up_names_the_program_that_did_not_start(runtime_dir: Path) -> None:
    """Not the one that gave it a network of its own."""
    command = [sys.executable, "-m", "tracer", "stack", "up", "--daemon", "/bin/true"]

    done = subprocess.run(command, capture_output=True, text=True)

    assert done.stderr.splitlines()[-1] == "glassbottom: true did not start (status 0); what it said is above"
    assert list(runtime_dir.iterdir()) == []


def test_a_plan_that_never_started_is_cleaned_up_too(runtime_dir: Path) -> None:
    """Killed between writing it down and the first process."""
    plan = plan_stack()

    report = cleanup_stack(plan)

    assert report.problems == []
    assert left_of(plan) == NOTHING
    assert list(runtime_dir.iterdir()) == []
