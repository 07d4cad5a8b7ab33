"""The trace screen as its user meets it: opened, stepped, searched, folded, resized."""

import re
from pathlib import Path

import pytest
from rich.text import Text
from textual.widgets import Static

from tests.tui.conftest import Opener, press
from tests.tui.screen_text import chosen, drawn, focused, rows
from tests.tui.story import CLIENT, DAEMON, INIT, SHIM, docker_run
from tracer.lessons import FIRST, load_lesson
from tracer.model import Link
from tracer.stages.layers import Layer
from tracer.tui.screens.detail import DetailScreen
from tracer.tui.screens.help import HelpScreen
from tracer.tui.screens.stages import StagesScreen
from tracer.tui.screens.statistics import StatisticsScreen


async def test_screen_opens_at_the_first_stage(opened: Opener) -> None:
    """The first stage, its seat, and what comes next are to be read at once."""
    async with opened() as (_, screen):
        assert screen.stage_bar.place() == (1, 15)
        assert screen.layer_strip.lit() is Layer.CLIENT
        assert screen.stage_bar.next()["id"] == "client-asks-create"
        assert screen.view.process is not None
        assert screen.view.process.pid == CLIENT
        text = "\n".join(drawn(screen))
        assert "▶ client ◀" in text
        assert "The client reads its command line" in text
        assert "docker run -i -t --name alpine hostbox sh" in text
        assert "REPLAY" in text


async def test_space_goes_through_every_stage_and_left_comes_back(opened: Opener) -> None:
    """One key forward, one back; the seats follow."""
    async with opened() as (pilot, screen):
        seats = [screen.layer_strip.lit()]
        for _ in range(13):
            await press(pilot, "space")
            seats.append(screen.layer_strip.lit())
        await press(pilot, "left", "left")

        assert seats[-1] is Layer.CONTAINER
        assert Layer.RUNTIME in seats
        assert screen.stage_bar.place() == (12, 15)


async def test_lit_seat_and_stage_bar_agree_through_the_bundled_recording(opened: Opener) -> None:
    """At each of its first stages, one call on, and when everything is over."""
    lesson = load_lesson(FIRST)
    async with opened(path=Path(lesson.recording)) as (pilot, screen):
        moments = []
        for keys in (*(("c", "space"),) * 9, ("end",)):
            await press(pilot, *keys)
            first_line = screen.stage_bar.render_line(0).text
            moments.append((screen.layer_strip.lit(), screen.stage_bar.current()["layer"], first_line))
        await press(pilot, "left", "c", "c")
        between = screen.stage_bar.render_line(0).text

        assert [(lit, layer) for lit, layer, _ in moments if lit != layer] == []
        assert moments[-1][:2] == (Layer.CLIENT, "client")
        assert not any("now" in line for _, _, line in moments)
        assert screen.layer_strip.lit() is not Layer.CLIENT
        assert f"▸ now {screen.layer_strip.lit()}" in between


async def test_space_at_the_end_says_that_there_is_no_more(opened: Opener) -> None:
    """The sentence stands in the key bar until the next key."""
    async with opened() as (pilot, screen):
        await press(pilot, "end", "space")
        said = screen.key_bar.said
        await press(pilot, "up")

        assert "last stage" in said
        assert screen.key_bar.said == ""


async def test_step_by_call_shows_one_more_call(opened: Opener) -> None:
    """c goes on by a call, comma comes back."""
    async with opened() as (pilot, screen):
        await press(pilot, "space")
        before = screen.view.cursor
        await press(pilot, "c", "c")
        after = screen.view.cursor
        await press(pilot, "comma", "comma")

        assert after > before
        assert screen.view.cursor <= before + 1  # the release after the stop belongs to what came before the step


async def test_panes_show_the_moment_of_the_cursor(opened: Opener) -> None:
    """Going back takes away what came later, in every pane."""
    async with opened() as (pilot, screen):
        await press(pilot, "end")
        late = [log.row_count() for log in (screen.conversation, screen.events, screen.processes)]
        await press(pilot, "home")
        early = [log.row_count() for log in (screen.conversation, screen.events, screen.processes)]

        assert late == [8, 3, 6]
        assert early == [0, 0, 3]


async def test_choosing_a_message_lights_up_the_other_panes(opened: Opener) -> None:
    """The POST /start: its write in the calls, both programs, and what it led to."""
    async with opened() as (pilot, screen):
        await press(pilot, "end", "1", "less_than_sign", "down", "down")

        assert "/start" in chosen(screen.conversation)
        assert "write(" in chosen(screen.calls)
        assert screen.calls.link_of(screen.calls.chosen) is Link.DIRECT
        lit = {
            screen.processes.process_at(row).pid: screen.processes.link_of(row)
            for row in range(screen.processes.row_count())
        }
        assert lit[CLIENT] is Link.DIRECT
        assert lit[DAEMON] is Link.DIRECT
        assert lit[SHIM] is Link.DURING
        assert lit[INIT] is Link.DURING
        assert screen.events.link_of(0) is Link.DURING


async def test_choosing_a_process_lists_its_calls(opened: Opener) -> None:
    """The call pane follows the process that is chosen."""
    async with opened() as (pilot, screen):
        await press(pilot, "end", "3", "less_than_sign", "down", "down", "down")

        assert f"{INIT}→1" in chosen(screen.processes)
        assert screen.view.process is not None
        assert screen.view.process.pid == INIT
        assert any("pivot_root(" in row for row in rows(screen.calls))


async def test_choosing_a_call_says_why_it_happened(opened: Opener) -> None:
    """The requests it happened under, outermost first."""
    async with opened() as (pilot, screen):
        await press(pilot, "end", "3", "less_than_sign", "down", "down", "down", "4", "less_than_sign", "down")

        assert screen.explanation.because() == "POST /containers/c0ffee000000/start ▸ Tasks/Create ▸ Task/Create"


async def test_call_that_is_too_long_keeps_its_result_and_what_it_amounts_to(opened: Opener) -> None:
    """The arguments are cut; sockets go by their names, and a message that was carried has its title there."""
    async with opened(path=Path(load_lesson(FIRST).recording), size=(80, 24)) as (pilot, screen):
        while screen.stage_bar.current()["id"] != "daemon-asks-task":
            await press(pilot, "space")
        text = next(line for line in drawn(screen) if "❯●" in line)

        assert "sendto(6<unix:containerd.sock>, " in text
        assert re.search(r"…\) = \d+  ⇒ Tasks/Create +┃$", text)


async def test_code_in_a_sentence_is_told_apart_without_backticks(opened: Opener) -> None:
    """The lesson's text is Markdown; the screen shows no marks."""
    async with opened(path=Path(load_lesson(FIRST).recording)) as (_, screen):
        about = screen.stage_bar.current()["about"]
        shown = screen.explanation.content

        assert "`docker run`" in str(about)
        assert isinstance(shown, Text)
        assert shown.plain.startswith("docker run is an ordinary program")
        assert [shown.plain[span.start : span.end] for span in shown.spans if span.style == screen.view.ink.code] == [
            "docker run"
        ]


async def test_why_is_in_sight_on_a_small_terminal(opened: Opener) -> None:
    """At 80x24 three lines say what the stage is about, and there is a fourth."""
    async with opened(path=Path(load_lesson(FIRST).recording), size=(80, 24)) as (pilot, screen):
        await press(pilot, *["space"] * 18)

        assert any(line.startswith(" why: POST /containers/") for line in drawn(screen))


async def test_folded_run_opens_and_closes(opened: Opener) -> None:
    """Dynamic linking is one line with a count; x lists its calls, x again folds them."""
    async with opened() as (pilot, screen):
        await press(pilot, "space", "4", "less_than_sign")
        folded = rows(screen.calls)
        await press(pilot, "x")
        opened_rows = rows(screen.calls)
        await press(pilot, "down", "down", "x")

        assert folded[0] == "▸ dynamic linking  35 calls"
        assert len(opened_rows) == len(folded) + 35
        assert opened_rows[0] == "▾ dynamic linking  35 calls"
        assert rows(screen.calls) == folded
        assert chosen(screen.calls).startswith("▸ dynamic linking")


async def test_unfolding_everything_lists_every_call(opened: Opener) -> None:
    """X: as many rows as calls."""
    async with opened() as (pilot, screen):
        await press(pilot, "end", "3", "less_than_sign", "4", "X")
        assert screen.calls.row_count() == screen.calls.search_size()


async def test_everyone_lists_the_calls_of_all(opened: Opener) -> None:
    """a: one list of all calls, each with its seat."""
    async with opened() as (pilot, screen):
        await press(pilot, "end", "a")

        assert screen.calls.search_size() == len(screen.view.model.calls)
        assert rows(screen.calls)[0].strip().startswith("containerd")


async def test_search_finds_as_one_types_and_goes_round(opened: Opener) -> None:
    """A match is chosen while typing, inside a folded run too; n goes on."""
    async with opened() as (pilot, screen):
        await press(pilot, "space", "4", "slash", *"lib3")
        await pilot.app.workers.wait_for_complete()
        first = chosen(screen.calls)
        await press(pilot, "enter", "n")
        await pilot.app.workers.wait_for_complete()
        await pilot.pause()

        assert "lib3.so" in first
        assert "lib3.so" in chosen(screen.calls)
        assert chosen(screen.calls) != first
        assert focused(screen) == "calls"


async def test_search_without_a_match_says_so(opened: Opener) -> None:
    """Nothing is chosen, and a sentence says why."""
    async with opened() as (pilot, screen):
        await press(pilot, "4", "slash", *"zzz")
        await pilot.app.workers.wait_for_complete()
        await press(pilot, "enter")

        assert "no match" in screen.key_bar.said


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


async def test_terminal_shows_the_output_up_to_the_cursor(opened: Opener) -> None:
    """In replay the terminal is drawn from what the client wrote, forward and back."""
    async with opened() as (pilot, screen):
        await press(pilot, "end")
        late = "\n".join(screen.terminal.screen_shown.display)
        await press(pilot, "left", "left")
        early = "\n".join(screen.terminal.screen_shown.display)

        assert "c0ffee000000" in late
        assert early.strip() == "/ #"


async def test_terminal_shows_its_output_at_any_size(opened: Opener) -> None:
    """A pane that was hidden, or becomes smaller, loses nothing that fits."""
    async with opened(size=(80, 24)) as (pilot, screen):
        await press(pilot, "end", "6")
        small = "\n".join(screen.terminal.screen_shown.display).split()
        await pilot.resize_terminal(160, 45)
        await pilot.pause()
        large = "\n".join(screen.terminal.screen_shown.display).split()

        assert small == large == ["/", "#", "hostname", "c0ffee000000", "/", "#"]


async def test_zoom_gives_one_pane_the_screen(opened: Opener) -> None:
    """z hides the others, z brings them back."""
    async with opened() as (pilot, screen):
        await press(pilot, "3", "z")
        zoomed = (screen.processes.size.width, screen.calls.display and screen.calls.size.width)
        await press(pilot, "z")

        assert zoomed[0] > 150
        assert screen.processes.size.width < 80
        assert screen.calls.size.width > 80


async def test_tab_goes_round_the_panes(opened: Opener) -> None:
    """Five panes, and back to the first."""
    async with opened() as (pilot, screen):
        seen = []
        for _ in range(5):
            await press(pilot, "tab")
            seen.append(focused(screen))

        assert seen == ["terminal", "conversation", "events", "processes", "calls"]


@pytest.mark.parametrize("size", [(80, 24), (100, 30), (60, 15)])
async def test_small_terminal_shows_one_pane_and_keeps_the_story_in_sight(
    opened: Opener, size: tuple[int, int]
) -> None:
    """The strip, the stage and one pane; a number brings another to the front."""
    async with opened(size=size) as (pilot, screen):
        await press(pilot, "1")
        text = "\n".join(drawn(screen))

        assert "▶client◀" in text
        assert "Stage 1 of 15" in text
        assert "[1 conversation]" in text
        assert screen.conversation.size.height >= 2
        assert screen.conversation.size.width > size[0] - 6


async def test_too_small_terminal_shows_the_stage_and_a_sentence_and_recovers(opened: Opener) -> None:
    """At 40x10: where we are, both sizes in a sentence, and nothing else; after a resize everything is back."""
    async with opened(size=(40, 10)) as (pilot, screen):
        await press(pilot, "space")
        small = drawn(screen)
        await pilot.resize_terminal(160, 45)
        await pilot.pause()
        large = "\n".join(drawn(screen))

        assert "REPLAY" in small[0]
        assert small[1].startswith(" Stage 2 of 15  client: The client")
        assert small[2].startswith(" next   daemon:")
        assert "This terminal is 40x10: the panes need at least 60x15. Make it larger" in " ".join(
            " ".join(small[3:9]).split()
        )
        assert small[9].startswith(" Space next stage")
        assert not screen.show_vertical_scrollbar
        assert "Stage 2 of 15" in large
        assert "4 system calls" in large


async def test_tiny_terminal_shows_the_sentence_alone(opened: Opener) -> None:
    """At 30x6 there is room for nothing else."""
    async with opened(size=(30, 6)) as (_, screen):
        text = " ".join(" ".join(drawn(screen)).split())

        assert text == "This terminal is 30x6: the panes need at least 60x15. Make it larger; q quits."


async def test_truncated_recording_opens_and_says_so(opened: Opener, tmp_path: Path) -> None:
    """What is there is shown; the badge and a sentence tell the rest."""
    path = docker_run().write(tmp_path / "cut.jsonl")
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:260]))
    async with opened(path=path) as (_, screen):
        assert "truncated" in screen.key_bar.said
        assert screen.title_bar.state() == "DAMAGED RECORDING"
        assert screen.stage_bar.place()[0] == 1


async def test_corrupt_recording_opens_up_to_the_line_and_names_it(opened: Opener, tmp_path: Path) -> None:
    """A corrupt line in the middle ends the story there."""
    path = docker_run().write(tmp_path / "corrupt.jsonl")
    lines = path.read_text().splitlines(keepends=True)
    lines[250] = '["exit"]\n'
    path.write_text("".join(lines))
    async with opened(path=path) as (pilot, screen):
        said = screen.key_bar.said
        await press(pilot, "end", "space", "4", "up", "left")

        assert "line 251" in said
        assert screen.view.cursor <= 249


async def test_screen_is_readable_without_colour(opened: Opener, monkeypatch: pytest.MonkeyPatch) -> None:
    """NO_COLOR: the current seat, the chosen row and links have glyphs of their own."""
    monkeypatch.setenv("NO_COLOR", "1")
    async with opened() as (pilot, screen):
        await press(pilot, "space")
        text = "\n".join(drawn(screen))

        assert "▶ client ◀" in text
        assert "❯●" in text


async def test_theme_changes_with_a_key(opened: Opener) -> None:
    """t: light, and back to dark; the rows' inks follow."""
    async with opened() as (pilot, screen):
        dark = screen.view.ink
        await press(pilot, "t")
        light = screen.view.ink
        await press(pilot, "t")

        assert light != dark
        assert screen.view.ink == dark


async def test_quit_leaves(opened: Opener) -> None:
    """q ends the app with the run's exit code."""
    async with opened() as (pilot, _):
        await press(pilot, "q")

        assert pilot.app.return_value == 0
