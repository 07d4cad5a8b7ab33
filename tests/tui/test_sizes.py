"""What is shown on terminals of different sizes, and when one pane takes the whole of it."""

import re
from pathlib import Path

import pytest

from tests.tui.conftest import Opener, press
from tests.tui.screen_text import drawn
from tracer.lessons import FIRST, load_lesson


async def test_why_is_in_sight_on_a_small_terminal(opened: Opener) -> None:
    """At 80x24 three lines say what the stage is about, and there is a fourth."""
    async with opened(path=Path(load_lesson(FIRST).recording), size=(80, 24)) as (pilot, screen):
        await press(pilot, *["space"] * 18)

        assert any(line.startswith(" why: POST /containers/") for line in drawn(screen))


async def test_call_that_is_too_long_keeps_its_result_and_what_it_amounts_to(opened: Opener) -> None:
    """The arguments are cut; sockets go by their names, and a message that was carried has its title there."""
    async with opened(path=Path(load_lesson(FIRST).recording), size=(80, 24)) as (pilot, screen):
        while screen.stage_bar.current()["id"] != "daemon-asks-task":
            await press(pilot, "space")
        text = next(line for line in drawn(screen) if "❯●" in line)

        assert re.search(r"sendto\(\d<unix:containerd.sock>, .*…\) = \d+  ⇒ Tasks/Create +┃$", text)


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
    """z hides the others and the story, z brings them back."""
    async with opened() as (pilot, screen):
        await press(pilot, "3", "z")
        zoomed = (screen.processes.size.width, screen.calls.display and screen.calls.size.width)
        await press(pilot, "z")

        assert zoomed[0] > 150
        assert screen.processes.size.width < 80
        assert screen.calls.size.width > 80


@pytest.mark.parametrize("pane", ["1", "2", "3", "4", "6"])
async def test_one_pane_has_all_of_the_room_there_is(opened: Opener, pane: str) -> None:
    """On a small terminal every pane reaches down to the key bar; zoomed on a large one, likewise."""
    async with opened(size=(80, 24)) as (pilot, screen):
        await press(pilot, pane)
        small = screen.pane_in_front().region
        await pilot.resize_terminal(160, 45)
        await press(pilot, "z")
        zoomed = screen.pane_in_front().region

        assert (small.x, small.bottom, small.width) == (0, 23, 80)
        assert (zoomed.x, zoomed.y, zoomed.bottom, zoomed.width) == (0, 1, 44, 160)


@pytest.mark.parametrize("size", [(60, 15), (80, 24), (160, 45)])
async def test_zoom_gives_the_pane_all_between_title_and_keys(opened: Opener, size: tuple[int, int]) -> None:
    """At every size: the seats, the stage and its explanation make room, and come back."""
    async with opened(size=size) as (pilot, screen):
        before = drawn(screen)
        await press(pilot, "z")
        pane, zoomed = screen.pane_in_front().region, drawn(screen)
        await press(pilot, "z")

        assert (pane.x, pane.y, pane.width, pane.bottom) == (0, 1, size[0], size[1] - 1)
        assert zoomed[-1] == before[-1]
        assert re.search(r" Stage 1 of 15  REPLAY  $", zoomed[0])
        assert drawn(screen) == before


async def test_zoomed_pane_goes_on_to_tell_the_stage(opened: Opener) -> None:
    """In the title, which is all that is left above it."""
    async with opened(size=(80, 24)) as (pilot, screen):
        await press(pilot, "z", "space")
        zoomed = drawn(screen)[0]
        await press(pilot, "z")

        assert zoomed.endswith(" Stage 2 of 15  REPLAY  ")
        assert "Stage" not in drawn(screen)[0]


@pytest.mark.parametrize("size", [(40, 10), (60, 15), (80, 24), (160, 45)])
async def test_long_sentence_is_shown_in_full_until_the_next_key(opened: Opener, size: tuple[int, int]) -> None:
    """As many lines as it needs, above the keys and over the panes, which keep their sizes."""
    sentence = " ".join(["nothing can be run here: tracing is refused; see ptrace_scope."] * 3)
    async with opened(size=size) as (pilot, screen):
        before, pane = drawn(screen), screen.calls.region
        screen.say(sentence)
        await pilot.pause()
        said, region = drawn(screen), screen.calls.region
        await press(pilot, "ctrl+j")
        after = drawn(screen)

        assert sentence in " ".join(" ".join(said).split())
        assert said[-1] == before[-1] == after[-1]
        assert region == pane
        assert after == before


async def test_sentence_is_fitted_anew_when_the_window_changes(opened: Opener) -> None:
    """One line of a large window is several of a small one, and back."""
    sentence = "the recording is truncated: line 591 is cut short; the 589 events before it are shown"
    async with opened() as (pilot, screen):
        screen.say(sentence)
        await pilot.pause()
        large = drawn(screen)[-1]
        await pilot.resize_terminal(80, 24)
        await pilot.pause()
        small = drawn(screen)[-3:]
        await pilot.resize_terminal(160, 45)
        await pilot.pause()

        assert large.startswith(f" {sentence}  Space next stage")
        assert " ".join(" ".join(small[:2]).split()) == sentence
        assert small[2].startswith(" Space next stage")
        assert drawn(screen)[-1] == large


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
        assert small[9].rstrip() == " Space next stage  c next call  q quit"
        assert not screen.show_vertical_scrollbar
        assert "Stage 2 of 15" in large
        assert "4 system calls" in large


async def test_tiny_terminal_shows_the_sentence_alone(opened: Opener) -> None:
    """At 30x6 there is room for nothing else."""
    async with opened(size=(30, 6)) as (_, screen):
        text = " ".join(" ".join(drawn(screen)).split())

        assert text == "This terminal is 30x6: the panes need at least 60x15. Make it larger; q quits."
