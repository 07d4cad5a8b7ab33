"""kill -9 at every stage of the first lesson: whoever is killed, `glassbottom cleanup` and the next start find all.

Each stage is one live run under the real screen on a pty, held there. At every other stage the part at work there is
the victim; at the others all parts take turns, the screen and the engine among them. Whoever is killed, the screen
follows at once, for it owns the stack and would clean up in order. Then, by turns, the verb or the next start.

Not run: the other pairs of stage and part (some 7 x 55; each is a run of seconds). `tests/soak.py` kills at random
moments instead, 200 times each program. Without GLASSBOTTOM_REQUIRE_ALL=1, which .ci/run sets, every fifth stage only.
"""

import fcntl
import os
import select
import signal
import struct
import subprocess
import sys
import termios
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.stack_leftovers import NOTHING, left_of
from tracer import procfs
from tracer.cleanup import cleanup_abandoned
from tracer.events import StopReached
from tracer.leftovers import processes_of
from tracer.lessons import FIRST, load_lesson
from tracer.session.recording import Recording
from tracer.stack import StackPlan, load

pytestmark = [pytest.mark.root, pytest.mark.slow]

EVERY_STAGE = tuple(enumerate(load_lesson(FIRST).stages))
STAGES = EVERY_STAGE if os.environ.get("GLASSBOTTOM_REQUIRE_ALL") == "1" else EVERY_STAGE[::5]
PARTS = {
    "screen": "held_at_one_stage.py",
    "engine": "tracer.engine",
    "shim": "containerd-shim",
    "daemon": "runtime.daemon",
    "runtime": "glassbottom-oci",
    "containerd": "runtime.containerd",
    "client": "runtime.client",
}
"""What tells each part by its command line."""
DRIVER = str(Path(__file__).with_name(PARTS["screen"]))
SHELL = ("sh", "-c", "read line; echo $line; exit 3")
HUNG_S = 60
"""Generous: a stage is a second or two away."""


class Screen:
    """The screen over a run that is held at one stage, on a pty of its own."""

    def __init__(self, stage: str) -> None:
        self.master, slave = os.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 45, 160, 0, 0))
        words = ("-i", "-t", "--name", "alpine", "hostbox", *SHELL)
        self.process = subprocess.Popen(
            ["setsid", "--ctty", sys.executable, DRIVER, stage, *words],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env={**os.environ, "TERM": "xterm-256color"},
        )
        os.close(slave)

    def wait_until_held(self) -> bool:
        """Whether its badge says so; False where it says that the run is over."""
        drawn = b""
        while b" HELD " not in drawn and b" ENDED" not in drawn:
            assert select.select([self.master], [], [], HUNG_S)[0], f"neither held nor over:\n{drawn.decode()}"
            drawn += os.read(self.master, 65536)
        return b" HELD " in drawn

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self.master)


@pytest.fixture
def screen(request: pytest.FixtureRequest, runtime_dir: Path) -> Iterator[Screen]:
    """A screen over a run to the stage; gone with its stack in the end, whatever the test came to."""
    screen = Screen(request.param)
    yield screen
    if screen.process.returncode is None:
        screen.kill()
    cleanup_abandoned()


@pytest.mark.parametrize(
    ("screen", "number", "stage"),
    [pytest.param(stage["id"], number, stage, id=str(stage["id"])) for number, stage in STAGES],
    indirect=["screen"],
)
def test_kill_9_at_a_stage_leaves_nothing(
    screen: Screen, runtime_dir: Path, number: int, stage: dict[str, Any]
) -> None:
    """Held at the stage, one part is killed, and the screen; then everything that is left is found and removed."""
    held = screen.wait_until_held()
    (registry,) = (runtime_dir / "glassbottom").iterdir()
    plan = load(str(registry))
    at = stage_held_at(registry / "recording.jsonl") if held else None

    victim = kill_one(plan, victims_by_turn(number, stage, held=held))
    screen.kill()
    followed_by = "the verb" if number // 2 % 2 else "the next start"
    if followed_by == "the verb":
        clean_up()
    else:
        start_next()

    assert at == stage["id"] or (at is None and stage.get("optional")), f"held at {at}"
    assert left_of(plan) == NOTHING, f"after kill -9 of {victim} at {stage['id']} and {followed_by}"


def stage_held_at(recording: Path) -> str | None:
    """Which stage a recording that still grows is held at."""
    with closing(Recording(str(recording), growing=True)) as read:
        read.read_all()
        event = read.event(read.stops[-1])
    assert isinstance(event, StopReached)
    return event.stage


def victims_by_turn(number: int, stage: dict[str, Any], *, held: bool) -> list[str]:
    """Who may be killed: the part at work; or whose turn it is, and after it whoever is there."""
    at_work = str(stage["layer"])
    gone = isinstance(stage["on"], dict) and stage["on"].get("process") == "exited"
    if number % 2 == 0 and at_work in PARTS and held and not gone:
        return [at_work]
    names = [*PARTS]
    first = number // 2 % len(names)
    return names[first:] + names[:first]


def kill_one(plan: StackPlan, names: list[str]) -> str:
    """SIGKILL to the first of these that is there; somebody has to be."""
    running = [(pid, procfs.argv(pid)) for pid in (plan.owner_pid, *processes_of(plan))]
    for name in names:
        for pid, words in running:
            if any(PARTS[name] in word for word in words[:3]):
                os.kill(pid, signal.SIGKILL)
                return name
    raise AssertionError(f"none of {names} is there: {running}")


def clean_up() -> None:
    """`glassbottom cleanup`."""
    done = subprocess.run([sys.executable, "-m", "tracer", "cleanup"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def start_next() -> None:
    """The next stack, which is up and then goes down."""
    command = [sys.executable, "-m", "tracer", "stack", "up"]
    following = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert following.stdout
    first = following.stdout.readline()
    following.terminate()
    complaints = following.communicate()[1]
    assert (following.returncode, first[:19]) == (0, "export DOCKER_HOST="), complaints
