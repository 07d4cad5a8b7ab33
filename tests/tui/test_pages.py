"""The pages that open over the trace screen: one thing in full, all stages, numbers, help."""

import re

import pytest
from textual.widgets import Static

from tests.tui.conftest import Opener, press
from tests.tui.screen_text import drawn
from tests.tui.story import CLIENT, docker_run
from tracer.events import NoteMade
from tracer.tui.screens.detail import DetailScreen
from tracer.tui.screens.help import HelpScreen
from tracer.tui.screens.stages import StagesScreen
from tracer.tui.screens.statistics import StatisticsScreen


async def test_enter_opens_a_message_with_its_json(opened: Opener) -> None:
    """The whole body, indented, with both ends and their calls."""
    async with opened() as (pilot, screen):
        await press(pilot, "end", "1", "less_than_sign", "enter")
        page = pilot.app.screen
        assert isinstance(page, DetailScreen)
        text = "\n".join(drawn(page))
        await press(pilot, "escape")

        assert '"Memory": 67108864' in text
        assert "sent by" in text
        assert "write(" in text
        assert pilot.app.screen is screen


@pytest.mark.parametrize(("pane", "words"), [("2", "/tasks/exit"), ("3", "made by"), ("4", "arguments")])
async def test_enter_opens_a_row_of_any_pane(opened: Opener, pane: str, words: str) -> None:
    """Events, processes and calls have a page each."""
    async with opened() as (pilot, _):
        await press(pilot, "end", pane, "greater_than_sign", "enter")

        assert isinstance(pilot.app.screen, DetailScreen)
        assert words in "\n".join(drawn(pilot.app.screen))


async def test_stage_list_shows_what_was_not_observed_and_goes_to_a_stage(opened: Opener) -> None:
    """All stages, one marked as not observed; Enter goes to the chosen one."""
    async with opened() as (pilot, screen):
        await press(pilot, "g")
        page = pilot.app.screen
        assert isinstance(page, StagesScreen)
        text = "\n".join(drawn(page))
        await press(pilot, "down", "down", "enter")

        assert "not observed" in text
        assert "▶ here" in text
        assert pilot.app.screen is screen
        assert screen.stage_bar.place() == (3, 15)


async def test_numbers_of_the_story_up_to_the_cursor(opened: Opener) -> None:
    """i: by layer, by errno, by purpose and by stage, marked as traced time; what comes later is not counted."""
    async with opened() as (pilot, screen):
        await press(pilot, "space", "i")
        page = pilot.app.screen
        assert isinstance(page, StatisticsScreen)
        await pilot.app.workers.wait_for_complete()
        await pilot.pause()
        text = "\n".join(drawn(page))
        calls = screen.view.model.calls_of(None, screen.view.cursor)[1]
        await press(pilot, "i")

        assert f"up to stage 2: {calls:,} calls" in text
        assert page.statistics.total.calls == calls < len(screen.view.model.calls)
        assert "Times are traced time" in text
        assert re.search(r"client +\d+ +1 ", text)  # ld.so looked for a file that is not there
        assert re.search(r"client +ENOENT 1", text)
        assert re.search(r"dynamic linking +\d+ +\d+\.\d %", text)
        assert pilot.app.screen is screen


async def test_numbers_tell_what_was_not_watched_and_what_was_only_interrupted(opened: Opener) -> None:
    """As the reports do: neither is among the errors."""
    story = docker_run()
    story.add(NoteMade(story.tick(), "filtered", "calls other than these 2 are not watched: read write"))
    story.call(CLIENT, "wait4", -1, 0, 0, result=-512)
    async with opened(story=story) as (pilot, _):
        await press(pilot, "end", "i")
        await pilot.app.workers.wait_for_complete()
        await pilot.pause()
        text = "\n".join(drawn(pilot.app.screen))

        assert "Not counted, since it was not watched: calls other than these 2 are not watched: read write." in text
        assert re.search(r"client +ENOENT 1; no error: 1 interrupted by a signal and begun again", text)


async def test_stage_list_keeps_to_signs_and_titles_where_it_is_narrow(opened: Opener) -> None:
    """At 40x10 nothing but number, sign and title."""
    async with opened(size=(40, 10)) as (pilot, _):
        await press(pilot, "space", "g")
        text = "\n".join(drawn(pilot.app.screen))

        assert "❯   2  ▶ The client asks for a" in text
        assert "    3    The daemon answers" in text


@pytest.mark.parametrize("size", [(60, 15), (80, 24), (110, 34)])
async def test_numbers_fit_every_terminal(opened: Opener, size: tuple[int, int]) -> None:
    """No number and no heading is cut off at any size; only titles of stages are."""
    async with opened(size=size) as (pilot, _):
        await press(pilot, "end", "i")
        await pilot.app.workers.wait_for_complete()
        await pilot.pause()
        page = pilot.app.screen.query_one("#page-text", Static)
        lines = [page.render_line(y).text for y in range(page.size.height)]

        assert any("By stage" in line for line in lines)
        assert [line for line in lines if "…" in line and not re.match(r" +\d+  \w|.*1 µs … 1 s", line)] == []


async def test_help_names_every_key(opened: Opener) -> None:
    """The help page is made of the table of keys."""
    async with opened() as (pilot, _):
        await press(pilot, "question_mark")

        assert isinstance(pilot.app.screen, HelpScreen)
        text = "\n".join(drawn(pilot.app.screen))
        assert "run on to the next stage" in text


async def test_source_of_a_stage_that_is_not_there_is_said(opened: Opener) -> None:
    """An anchor to a file that does not exist is a sentence, not a failure."""
    async with opened() as (pilot, screen):
        await press(pilot, "o")

        assert "runtime/client/cli.py" in screen.key_bar.said
