"""The story in numbers, in both reports: they say what the model has counted, and add up."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.tui.story import CLIENT, docker_run
from tracer.events import NoteMade
from tracer.report.as_json import json_report
from tracer.report.numbers import TRACED_TIME, duration, size
from tracer.report.text import text_report
from tracer.session.recording import Recording


@pytest.fixture(name="recording")
def _recording(tmp_path: Path) -> Recording:
    return Recording(str(docker_run().write(tmp_path / "story.jsonl")))


def test_text_report_tells_the_story_in_numbers(recording: Recording) -> None:
    """Layers with errors, bytes and traced time, marked as such; purposes; stages by their titles."""
    lines = list(text_report(recording))
    numbers = lines[lines.index(f"The story in numbers. {TRACED_TIME}") :]
    client = next(line for line in numbers if line.startswith("  client: "))

    assert ", 1 failed (ENOENT 1); 5.1 KiB read, " in client
    assert " half took less than 32 µs" in client
    assert any(line.startswith("  dynamic linking: 1") and "client 35" in line for line in numbers)
    assert any(line.startswith("  1. The client reads its command line: ") for line in numbers)
    assert any(line.startswith("  Before the first stage: ") for line in numbers)


def test_json_report_has_the_statistics(recording: Recording) -> None:
    """The same for programs: whichever way they are divided, the calls are all there."""
    report: dict[str, Any] = json.loads("".join(json_report(recording)))
    statistics = report["statistics"]
    total = statistics["total"]

    assert total["calls"] == report["summary"]["calls"]
    assert sum(total["purposes"].values()) == sum(total["traced_less_than_us"].values()) == total["calls"]
    for parts in (statistics["layers"].values(), statistics["stages"]):
        assert sum(part["calls"] for part in parts) == total["calls"]
    assert statistics["layers"]["client"]["errors"] == {"ENOENT": 1}
    assert [stage["stage"] for stage in statistics["stages"]][:2] == [None, "client-parses"]
    assert statistics["times"] == TRACED_TIME


def test_reports_say_what_was_not_watched(tmp_path: Path) -> None:
    """As the screen does: a filtered recording's calls are not all there were."""
    story = docker_run()
    story.add(NoteMade(story.tick(), "filtered", "calls other than these 2 are not watched: read write"))
    recording = Recording(str(story.write(tmp_path / "filtered.jsonl")))
    sentence = "Not counted, since it was not watched: calls other than these 2 are not watched: read write."

    lines = list(text_report(recording))
    statistics = json.loads("".join(json_report(recording)))["statistics"]

    in_all = next(place for place, line in enumerate(lines) if line.startswith("  in all: "))
    assert lines[in_all + 1] == f"  {sentence}"
    assert statistics["not_counted"] == [sentence]


def test_reports_tell_interrupted_calls_from_failed_ones(tmp_path: Path) -> None:
    """They are called neither errors nor nothing."""
    story = docker_run()
    story.call(CLIENT, "wait4", -1, 0, 0, result=-512)
    recording = Recording(str(story.write(tmp_path / "interrupted.jsonl")))

    lines = list(text_report(recording))
    client = json.loads("".join(json_report(recording)))["statistics"]["layers"]["client"]

    assert any(line.startswith("  client: ") and ", 1 interrupted and begun again; " in line for line in lines)
    assert (client["errors"], client["interrupted"]) == ({"ENOENT": 1}, 1)


@pytest.mark.parametrize(
    ("count", "words"),
    [(0, "0 B"), (1023, "1023 B"), (1024, "1.0 KiB"), (1_500_000, "1.4 MiB"), (5 << 40, "5,120.0 GiB")],
)
def test_size_is_told_in_powers_of_1024(count: int, words: str) -> None:
    """A number of at most four digits, as long as there are units."""
    assert size(count) == words


@pytest.mark.parametrize(
    ("microseconds", "words"), [(1, "1 µs"), (512, "512 µs"), (1024, "1 ms"), (1 << 20, "1 s"), (1 << 24, "17 s")]
)
def test_duration_is_told_to_its_power_of_two(microseconds: int, words: str) -> None:
    """Rounded to what is known."""
    assert duration(microseconds) == words
