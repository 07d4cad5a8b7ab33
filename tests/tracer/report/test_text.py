"""Reports over a generated recording: linear text, and the process tree."""

import dataclasses
from pathlib import Path

import pytest

from tests.tui.story import docker_run
from tracer.model import TraceModel
from tracer.report.process_tree import tree_text
from tracer.report.text import text_report
from tracer.session.recording import Recording


@pytest.fixture(name="recording")
def _recording(tmp_path: Path) -> Recording:
    return Recording(str(docker_run().write(tmp_path / "story.jsonl")))


def test_text_report_tells_every_stage_in_order(recording: Recording) -> None:
    """Each stage that was come to has a heading with its number in the story."""
    lines = list(text_report(recording))

    headings = [line.split(".")[0] for line in lines if line.startswith("Stage ")]

    assert headings == [f"Stage {number} of 15" for number in range(1, 16) if number != 14]


def test_text_report_begins_with_what_the_user_typed(recording: Recording) -> None:
    """Quoted as a shell needs it; the client's own words, which a recording of old has alone, come near it."""
    old = next(text_report(recording))
    recording.header = dataclasses.replace(recording.header, typed=("docker", "run", "hostbox", "sh", "-c", "echo hi"))

    assert old == "docker run -i -t --name alpine hostbox sh"
    assert next(text_report(recording)) == "docker run hostbox sh -c 'echo hi'"


def test_text_report_names_what_was_not_observed(recording: Recording) -> None:
    """A stage that was not seen is said to be not observed, and is not assumed."""
    lines = list(text_report(recording))

    after = lines[lines.index("Not observed in this run:") + 1]

    assert after == "  runtime: A stage that this run does not come to."


def test_text_report_counts_add_up(recording: Recording) -> None:
    """The calls counted stage by stage are all calls of the recording."""
    lines = list(text_report(recording))

    counted = sum(int(line.split()[0]) for line in lines if line.endswith(".") and " system calls until here" in line)

    assert f"In all {counted} calls in {len(recording)} events." in lines


def test_text_report_needs_no_drawing(recording: Recording) -> None:
    """Nothing in it is drawn with lines or colours: it can be heard."""
    text = "\n".join(text_report(recording))

    assert not set("│├└─╰╭\x1b") & set(text)


def test_text_report_of_a_truncated_recording_says_so(tmp_path: Path) -> None:
    """What is there is told, and then what is wrong."""
    path = docker_run().write(tmp_path / "cut.jsonl")
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:200]))

    lines = list(text_report(Recording(str(path))))

    assert lines[-1].startswith("Attention: the recording is truncated")


def test_text_report_of_a_corrupt_recording_names_the_line(tmp_path: Path) -> None:
    """Up to a corrupt line everything is told; the line is named."""
    path = docker_run().write(tmp_path / "corrupt.jsonl")
    lines = path.read_text().splitlines(keepends=True)
    lines[200] = "[[[\n"
    path.write_text("".join(lines))

    report = list(text_report(Recording(str(path))))

    assert report[-1].startswith("Attention: line 201: ")


def test_process_tree_shows_both_pids_and_former_programs(recording: Recording) -> None:
    """The container's process stands below the runtime that made it, with its pid inside."""
    recording.read_all()
    model = TraceModel(recording.header)
    for line in recording.lines(0, len(recording)):
        model.apply_line(line)

    lines = list(tree_text(model, model.applied - 1))

    assert "      └─ 4301→1 container sh [exit 0]" in lines
