"""The screen over a live session: the real engine and a small program in the client's seat."""

import asyncio
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from textual.events import Paste
from textual.pilot import Pilot

from tests.tui.conftest import press
from tests.tui.screen_text import drawn, focused, rows
from tests.tui.watched import Starter
from tracer.commands import Launch, Program
from tracer.session.live import RETURNED, LiveSession
from tracer.tui.app import GlassbottomApp
from tracer.tui.screens.stages import StageList
from tracer.tui.screens.trace import TraceScreen

STAGE: Mapping[str, object] = {
    "id": "shell-starts", "layer": "client", "title": "The shell starts", "about": "It is a shell.",
    "source": "runtime/client/run.py:run", "on": {"process": "executed", "fields": {}},
}  # fmt: skip

Live = tuple[Pilot[int], TraceScreen]

pytestmark = pytest.mark.slow


@pytest.fixture(name="live")
async def _live(tmp_path: Path) -> AsyncIterator[Live]:
    """An interactive shell, held as soon as it has been executed."""
    async with held_shell(tmp_path, "-i") as live:
        yield live


@asynccontextmanager
async def held_shell(
    tmp_path: Path, *arguments: str, stages: tuple[Mapping[str, object], ...] = (STAGE,)
) -> AsyncIterator[Live]:
    """A shell under a name that the client's seat is known by."""
    shell = tmp_path / "docker"
    shell.symlink_to("/bin/sh")
    program = Program((str(shell), *arguments), ("PATH=/usr/bin:/bin", "PS1=ready> "), "/")
    session = LiveSession(
        str(tmp_path / "live.jsonl"), Launch((), program, stages, "", {}, hold=True), terminal_size=(24, 80)
    )
    app = GlassbottomApp(session)
    async with app.run_test(size=(160, 45)) as pilot:
        screen = app.screen
        assert isinstance(screen, TraceScreen)
        await until(pilot, lambda: session.held and bool(screen.view.model.stages))
        yield pilot, screen
        await app.run_action("leave")
    assert session.ended


async def until(pilot: Pilot[int], done: object) -> None:
    """Let the app work until something is so."""
    assert callable(done)
    async with asyncio.timeout(20):
        while not done():
            await asyncio.sleep(0.01)
    await pilot.pause()


def shown(screen: TraceScreen) -> str:
    return "\n".join(screen.terminal.screen_shown.display)


async def test_live_screen_holds_until_the_step_key(live: Live) -> None:
    """Held: the badge says so and the shell has said nothing; Space lets it run."""
    pilot, screen = live
    held = (screen.title_bar.state(), shown(screen).strip())

    await press(pilot, "space")
    await until(pilot, lambda: "ready>" in shown(screen))

    assert held == ("HELD", "")
    assert screen.title_bar.state() == "RUNNING"


async def test_live_screen_types_into_the_terminal_and_leaves_it(live: Live) -> None:
    """6, keys, Ctrl-]: what is typed reaches the program, and the keyboard comes back."""
    pilot, screen = live
    await press(pilot, "space")
    await until(pilot, lambda: "ready>" in shown(screen))

    await press(pilot, "6", *"echo ", "4", "2", *"x", "enter")
    await until(pilot, lambda: "\n42x" in shown(screen).replace(" ", ""))
    await press(pilot, "ctrl+right_square_bracket")

    assert focused(screen) == "calls"


async def test_live_screen_keeps_the_keyboard_where_no_pane_fits(live: Live) -> None:
    """The window is made small in the container's terminal: q quits, as is said there; 6 gives nothing away either."""
    pilot, screen = live
    await press(pilot, "6")
    large = focused(screen)
    await pilot.resize_terminal(40, 10)
    await pilot.pause()
    small = (focused(screen), screen.key_bar.render_line(0).text.split("  ")[0])
    await press(pilot, "4", "6", "tab", "slash")
    pressed = (focused(screen), screen.search_bar.display)
    await press(pilot, "q")
    await until(pilot, lambda: screen.view.session.ended)

    assert large == "terminal"
    assert small == ("", " Space next stage")
    assert pressed == ("", False)


async def test_live_screen_gives_the_keyboard_back_once_panes_fit(live: Live) -> None:
    """Small and large again: typing goes where it went before."""
    pilot, screen = live
    await press(pilot, "6")
    await pilot.resize_terminal(40, 10)
    await pilot.pause()
    await pilot.resize_terminal(80, 24)
    await pilot.pause()

    assert focused(screen) == "terminal"
    assert screen.key_bar.render_line(0).text.startswith(" Ctrl-] leaves the terminal")


async def test_small_live_screen_says_once_that_p_pauses(live: Live) -> None:
    """Space while it runs: a sentence, and the key that helps."""
    pilot, screen = live
    await pilot.resize_terminal(40, 10)
    await press(pilot, "space")
    await until(pilot, lambda: "ready>" in shown(screen))
    await press(pilot, "space")

    assert screen.key_bar.render_line(0).text.rstrip() == " running already  p pause  q quit"


async def test_stage_that_was_passed_over_may_be_observed_until_the_run_is_over(tmp_path: Path) -> None:
    """While programs run, what a later stage has overtaken is told from what is to come; in the end neither came."""
    nobody = {"process": "executed", "fields": {"program": "nobody"}}
    stages = ({**STAGE, "id": "first", "on": nobody}, STAGE, {**STAGE, "id": "last", "on": nobody})
    async with held_shell(tmp_path, "-c", "exit 0", stages=stages) as (pilot, screen):
        await press(pilot, "g")
        live = [row.split(" client ")[0] for row in rows(pilot.app.screen.query_one(StageList))]
        await press(pilot, "escape", "space")
        await until(pilot, lambda: screen.view.model.ended is not None and screen.view.session.ended)
        await press(pilot, "g")
        over = [row.split(" client ")[0] for row in rows(pilot.app.screen.query_one(StageList))]
        await press(pilot, "escape")

    assert [" ".join(line.split()) for line in live] == ["1 – not yet observed", "2 ▶ here", "3 to come"]
    assert [" ".join(line.split()) for line in over] == ["1 – not observed", "2 ▶ here", "3 – not observed"]


@pytest.mark.root
def test_small_terminal_is_left_by_q_while_the_shell_runs(start: Starter) -> None:
    """At 40x10 the container's shell is offered the keyboard once the window is larger, and gives it back."""
    app = start(("run", "-i", "-t", "hostbox", "sh"))
    app.resize(40, 10)
    app.read_until_shown("The output arr", pressing=" ", where="HELD")
    app.read_until_shown("RUNNING", pressing=" ", where="HELD")
    app.resize(80, 24)
    app.read_until_shown("the shell waits for you: type here")
    app.resize(40, 10)
    app.read_until_shown("Make it larger; q quits.")

    os.write(app.master, b"q")

    assert app.exit_code() == 0


async def test_live_screen_takes_a_long_paste_while_everything_is_held(tmp_path: Path) -> None:
    """Nobody reads the terminal: keys are answered all the same, and all of it arrives once the story goes on."""
    pasted = 2000 * ("x" * 69 + "\n")
    async with held_shell(tmp_path, "-c", f"head -c {len(pasted)} | wc -c") as (pilot, screen):
        await press(pilot, "6")
        screen.terminal.post_message(Paste(pasted))
        await press(pilot, "ctrl+right_square_bracket")
        answered = (focused(screen), screen.title_bar.state())
        await press(pilot, "space")
        await until(pilot, lambda: str(len(pasted)) in shown(screen))

    assert answered == ("calls", "HELD")


async def test_live_screen_in_the_past_says_so_and_returns(live: Live) -> None:
    """Looking back resumes nobody; the first step after it only returns."""
    pilot, screen = live
    await press(pilot, "left")
    past = screen.title_bar.state()

    await press(pilot, "space")

    assert past == "VIEWING THE PAST"
    assert screen.key_bar.said == RETURNED
    assert screen.title_bar.state() == "HELD"


async def test_live_screen_steps_by_call(live: Live) -> None:
    """c lets one more call happen and holds again."""
    pilot, screen = live
    stops = len(screen.view.session.recording.stops)

    await press(pilot, "c")
    await until(pilot, lambda: len(screen.view.session.recording.stops) > stops)

    assert screen.title_bar.state() == "HELD"


async def test_live_screen_pauses_what_runs(live: Live) -> None:
    """p holds a running program; Space lets it go on."""
    pilot, screen = live
    await press(pilot, "space")
    await until(pilot, lambda: "ready>" in shown(screen))

    await press(pilot, "p")
    await until(pilot, lambda: screen.view.session.held)

    assert screen.title_bar.state() == "HELD"


async def test_live_screen_tells_when_the_run_is_over(live: Live) -> None:
    """The badge has the exit code, and the past can still be looked at."""
    pilot, screen = live
    await press(pilot, "space")
    await until(pilot, lambda: "ready>" in shown(screen))
    await press(pilot, "6", *"exit ", "3", "enter")
    await until(pilot, lambda: screen.view.session.ended and screen.view.model.ended is not None)
    await until(pilot, lambda: focused(screen) == "calls")
    await press(pilot, "down")
    keys = screen.key_bar.render_line(0).text
    await press(pilot, "left")

    assert keys.startswith(" ← back  → forward  ? help  q quit")
    assert "next stage" not in keys

    assert screen.view.model.ended is not None
    assert screen.view.model.ended.exit_code == 3
    assert screen.title_bar.state() == "VIEWING THE PAST"


@pytest.mark.root
@pytest.mark.parametrize(
    ("size", "wanted"),
    [
        ((160, 45), "Exit code 127: docker: Error response from daemon: "),
        ((80, 24), "client: Nothing was run"),
        ((40, 10), '"nosuchcmd":'),
    ],
)
def test_run_that_docker_refuses_ends_with_its_sentence(start: Starter, size: tuple[int, int], wanted: str) -> None:
    """On the screen, whatever its size, and on the terminal once that is gone."""
    app = start(("run", "--rm", "hostbox", "nosuchcmd"))
    app.resize(*size)
    app.read_until_shown("HELD")
    os.write(app.master, b"r")
    app.read_until_shown(wanted)

    os.write(app.master, b"q")

    assert app.exit_code() == 127
    after = app.written.rpartition(b"\x1b[?1049l")[2].decode()
    assert after.count("docker: Error response from daemon: ") == 1
    assert 'exec: "nosuchcmd": executable file not found in $PATH' in after


@pytest.mark.root
def test_output_of_a_container_is_not_taken_for_dockers_refusal(start: Starter) -> None:
    """A program that ran may end with 127, and say what it likes."""
    app = start(("run", "--rm", "hostbox", "sh", "-c", "echo docker: not so >&2; exit 127"))
    app.resize(160, 45)
    app.read_until_shown("HELD")
    os.write(app.master, b"r")
    app.read_until_shown("ENDED")

    os.write(app.master, b"q")

    assert app.exit_code() == 127
    assert b"docker: not so" not in app.written.rpartition(b"\x1b[?1049l")[2]


async def test_live_screen_tells_why_the_stack_did_not_come_up(tmp_path: Path) -> None:
    """The badge, the stage bar and the explanation say it; the exit code is docker's for a refusal."""
    daemon = Program(("/bin/sh", "-c", "echo no memory left; exit 4"), (), "/", f"{tmp_path}/docker.sock", "daemon")
    program = Program(("/bin/true",), (), "/")
    session = LiveSession(
        str(tmp_path / "live.jsonl"), Launch((daemon,), program, (STAGE,), "", {}, hold=True), terminal_size=(24, 80)
    )
    app = GlassbottomApp(session)
    async with app.run_test(size=(160, 45)) as pilot:
        await until(pilot, lambda: session.ended and app.model.ended is not None)
        await app.workers.wait_for_complete()
        await pilot.pause()
        text = "\n".join(drawn(app.screen))
        await app.run_action("leave")

    assert " FAILED " in text
    assert "the stack did not come up" in text
    assert "daemon ended with exit code 4 before it was ready" in text
    assert "daemon: no memory left" in text
    assert app.return_value == 125
