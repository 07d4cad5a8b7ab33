"""The trace screen as its user meets it: opened, stepped, searched, folded."""

from pathlib import Path

import pytest
from rich.text import Text

from tests.tui.conftest import Opener, press
from tests.tui.screen_text import chosen, drawn, focused, rows
from tests.tui.story import CLIENT, DAEMON, INIT, SHIM, docker_run
from tracer.lessons import FIRST, load_lesson
from tracer.model import Link
from tracer.stages.layers import Layer


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


async def test_event_is_shown_to_pass_the_seats_in_one_order(opened: Opener) -> None:
    """From the shim to the daemon, though a reader's call may be seen to end before the writer's."""
    async with opened(path=Path(load_lesson(FIRST).recording)) as (pilot, screen):
        await press(pilot, "end", "2")
        text = "\n".join(rows(screen.events))

        assert "shim▸containerd▸daemon" in text
        assert "containerd▸shim" not in text
        assert "daemon▸containerd" not in text


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


async def test_call_that_begins_again_is_not_shown_as_failed(opened: Opener) -> None:
    """Red is for what failed: a call that a signal interrupted goes on, and strace has no -1 for it either."""
    story = docker_run()
    begins_again, fails = (story.call(SHIM, "read", 0, 1, 1, result=result) for result in (-513, -2))
    async with opened(story=story) as (_, screen):
        inks = {text: ink for at in (begins_again, fails) for text, ink in screen.calls._write_call(at, 200)}

        assert screen.view.ink.good == inks["? ERESTARTNOINTR (To be restarted)"]
        assert screen.view.ink.bad == inks["-1 ENOENT (No such file or directory)"]


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
        await pilot.pause()
        typing = screen.key_bar.said
        await press(pilot, "enter")
        ended = screen.key_bar.said
        await press(pilot, "down", "n")
        await pilot.app.workers.wait_for_complete()
        await pilot.pause()

        assert typing == ended == screen.key_bar.said == "no match for 'zzz' in this pane"


async def test_terminal_shows_the_output_up_to_the_cursor(opened: Opener) -> None:
    """In replay the terminal is drawn from what the client wrote, forward and back."""
    async with opened() as (pilot, screen):
        await press(pilot, "end")
        late = "\n".join(screen.terminal.screen_shown.display)
        await press(pilot, "left", "left")
        early = "\n".join(screen.terminal.screen_shown.display)

        assert "c0ffee000000" in late
        assert early.strip() == "/ #"


async def test_tab_goes_round_the_panes(opened: Opener) -> None:
    """Five panes, and back to the first."""
    async with opened() as (pilot, screen):
        seen = []
        for _ in range(5):
            await press(pilot, "tab")
            seen.append(focused(screen))

        assert seen == ["terminal", "conversation", "events", "processes", "calls"]


async def test_truncated_recording_opens_and_says_so(opened: Opener, tmp_path: Path) -> None:
    """What is there is shown; the badge and a sentence tell the rest."""
    path = docker_run().write(tmp_path / "cut.jsonl")
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:260]))
    async with opened(path=path) as (_, screen):
        assert "truncated" in screen.key_bar.said
        assert screen.title_bar.state() == "DAMAGED RECORDING"
        assert screen.stage_bar.place()[0] == 1


async def test_recording_that_breaks_off_before_its_first_stage_promises_none(opened: Opener, tmp_path: Path) -> None:
    """Nothing is coming up, and Space leads nowhere."""
    path = docker_run().write(tmp_path / "cut.jsonl")
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(lines[: next(n for n, line in enumerate(lines) if line.startswith('["stage"'))]))
    async with opened(path=path) as (pilot, screen):
        text = "\n".join(drawn(screen))
        await press(pilot, "space")

        assert "Before stage 1 of 15" in text
        assert "no stage is recorded" in text
        assert "The recording breaks off before its first stage." in text
        assert "coming up" not in text
        assert "Space goes to" not in text
        assert screen.key_bar.said.startswith("the recording holds no stage")


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
