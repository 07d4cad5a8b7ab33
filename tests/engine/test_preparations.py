"""What has to be done once the background programs listen, and before the story begins."""

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.engine.conftest import TRACEES, program
from tracer.events import NoteMade, ProcessExecuted, RecordingEnded, SyscallExited

if TYPE_CHECKING:
    from tests.engine.conftest import Session

Start = Callable[..., "Session"]
PYTHON = (sys.executable, "-I", "-S")


@pytest.mark.parametrize("hold", [False, True])
def test_preparations_run_in_order_between_background_and_foreground(
    session: Start, tmp_path: Path, hold: bool
) -> None:
    """Each begins when the one before it has ended well; what they do is recorded, and held nowhere."""
    folder = tmp_path / "root"
    folder.mkdir()
    path, made = str(folder / "background.sock"), str(folder / "made")
    listener = program(*PYTHON, str(TRACEES / "listener.py"), path, listens_on=path, label="listener")
    first = program("sh", "-c", f"test -S {path} && mkdir {made}", label="first")
    second = program("rmdir", made, label="second")

    run = session(["ls", made], background=[listener], preparations=[first, second], hold=hold)

    assert run.finish() == 2, "ls finds nothing where both have run"
    programs = [os.path.basename(event.argv[0]) for event in run.events if isinstance(event, ProcessExecuted)]
    notes = [event.text.partition(",")[0] for event in run.events if isinstance(event, NoteMade)]
    assert [name for name in programs if name in ("sh", "rmdir", "ls")] == ["sh", "rmdir", "ls"]
    expected = ["first starts", "first ended with exit code 0", "second starts", "second ended with exit code 0"]
    place = notes.index("first starts")
    assert notes[place : place + 4] == expected
    assert any(isinstance(event, SyscallExited) for event in run.events)


def test_a_preparation_that_fails_ends_the_run_before_its_story(session: Start) -> None:
    """Neither the next one nor the foreground program is started; the reason names it."""
    failing = program("/bin/false", label="image")

    run = session(["/bin/echo", "story"], preparations=[failing, program("/bin/true", label="next")])
    run.finish()

    programs = [event.argv[0] for event in run.events if isinstance(event, ProcessExecuted)]
    end = run.events[-1]
    assert isinstance(end, RecordingEnded)
    assert (end.exit_code, end.reason) == (None, "image ended with exit code 1 before it was ready")
    assert programs == ["/bin/false"]
