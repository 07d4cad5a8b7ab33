"""Tasks that make calls share the engine's processor, those that compute do not, and nobody is misled about it."""

import os
import subprocess
import sys
import time
from collections.abc import Callable

import pytest

from tests.engine.conftest import TRACEES, Recording, Session
from tracer.engine.affinity import Affinity
from tracer.engine.tracee import Process, Task
from tracer.events import ProcessExecuted, ProcessForked, SyscallExited

ALL = sorted(os.sched_getaffinity(0))


@pytest.mark.parametrize("speed", ["full", "filtered"])
def test_tracees_are_told_which_processors_they_may_use(record: Callable[..., Recording], speed: str) -> None:
    """What a traced program is told is what it is told untraced: for itself, for its child, and after a change."""
    argv = (sys.executable, "-I", "-S", str(TRACEES / "affinity.py"))
    expected = [ALL, ALL, [ALL[0]], ALL, [ALL[0]], [ALL[0]], [ALL[0]]]

    recording = record(*argv, speed=speed)

    told = [event.data["1"] for event in recording.calls("write") if event.arguments[0] == 1]
    assert told == [f"{mask}\n".encode() for mask in expected]


def test_who_computes_may_run_anywhere(session: Callable[..., Session], require_processors: None) -> None:
    """Once it makes no calls any more, the scheduler may place it."""
    spinner = session([sys.executable, "-I", "-S", str(TRACEES / "spinner.py")])
    place = spinner.wait_for(lambda event: isinstance(event, SyscallExited) and event.data.get("1") == b"spinning\n")
    pid = next(event.pid for event in spinner.events[:place] if isinstance(event, ProcessForked))

    _until(lambda: sorted(os.sched_getaffinity(pid)) == ALL)


def test_who_makes_calls_runs_where_the_engine_runs(session: Callable[..., Session], require_processors: None) -> None:
    """Both on the same single processor."""
    busy = session([sys.executable, "-I", "-S", "-c", "import os\nwhile True: os.getppid()"])
    place = busy.wait_for(lambda event: isinstance(event, ProcessExecuted))
    event = busy.events[place]
    assert isinstance(event, ProcessExecuted)

    _until(lambda: len(os.sched_getaffinity(event.tid)) == 1)

    assert os.sched_getaffinity(event.tid) == os.sched_getaffinity(busy.engine.pid)


def test_nobody_is_called_back_before_the_kernel_has_answered(require_processors: None) -> None:
    """Neither by the clock, nor because another one has its answer: the mask would be ours."""
    with subprocess.Popen(["sleep", "99"]) as asker, subprocess.Popen(["sleep", "99"]) as other:
        tasks = {pid: Task(pid, Process(pid, background=False)) for pid in (asker.pid, other.pid)}
        affinity = Affinity(tasks)
        affinity.gathered = True  # the engine is this process, which stays where it is
        first, second = tasks.values()
        for task in (first, second):
            affinity.born(task, None)
            task.in_call, task.arguments = True, (0, 8, 0)
            affinity.before_call(task)
        affinity.tick(0)
        second.in_call = False
        affinity.after_call(second.process, second.arguments, 8)
        while_asking = [sorted(os.sched_getaffinity(pid)) for pid in tasks]
        first.in_call = False
        affinity.after_call(first.process, first.arguments, 8)
        afterwards = {len(os.sched_getaffinity(pid)) for pid in tasks}
        asker.kill()
        other.kill()

    assert [ALL, ALL] == while_asking
    assert {1} == afterwards


@pytest.fixture
def require_processors() -> None:
    """More than one, or there is nothing to choose."""
    if len(ALL) == 1:
        pytest.skip("this machine has one processor")


def _until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
