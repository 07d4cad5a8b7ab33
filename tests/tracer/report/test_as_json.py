"""The JSON report keeps what its keys promise, and every number in it can be looked up in it."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from tests.tui.story import docker_run
from tracer.report.as_json import json_report
from tracer.session.recording import Recording


@pytest.fixture(name="path")
def _path(tmp_path: Path) -> Path:
    return docker_run().write(tmp_path / "story.jsonl")


def report_of(recording: Recording) -> Any:
    return json.loads("".join(json_report(recording)))


def test_json_report_has_its_keys(path: Path) -> None:
    """Stages, processes, messages, events and calls are lists; the rest says what they are lists of."""
    whole = report_of(Recording(str(path)))

    lists = {"stages", "processes", "messages", "events", "actions", "calls"}
    assert set(whole) == lists | {"command", "client", "recorded_first", "summary", "statistics", "damage"}
    assert all(isinstance(whole[key], list) and whole[key] for key in lists)
    assert [stage["observed"] for stage in whole["stages"]].count(False) == 1
    assert {process["layer"] for process in whole["processes"]} == {
        "client", "daemon", "containerd", "shim", "runtime", "container",
    }  # fmt: skip
    assert whole["events"][0]["title"] == "/tasks/create"


def test_json_report_holds_every_call_that_anything_refers_to(path: Path) -> None:
    """A message's `calls` are sequence numbers in `calls`, and the counts in the summary are those of the list."""
    recording = Recording(str(path))
    whole = report_of(recording)

    calls = {call["sequence"]: call for call in whole["calls"]}
    cited = {call for key in ("messages", "events", "actions") for row in whole[key] for call in row["calls"]}

    assert cited
    assert cited <= set(calls)
    assert whole["summary"]["calls"] == sum(call["result"] is not None for call in calls.values())
    assert whole["summary"]["calls"] == sum(whole["summary"]["calls_by_name"].values())
    assert whole["summary"]["events"] == len(recording)


def test_json_report_tells_a_call_in_words(path: Path) -> None:
    """With its process, its name, its result, and the line that strace would print."""
    whole = report_of(Recording(str(path)))

    call = next(call for call in whole["calls"] if call["name"] == "openat" and call["result"] >= 0)

    assert set(call) == {"sequence", "process", "pid", "layer", "tid", "name", "result", "text"}
    assert call["text"].startswith("openat(")
    assert whole["processes"][call["process"]]["pid"] == call["pid"]


def test_json_report_tells_what_the_user_typed_and_what_the_client_was_given(path: Path) -> None:
    """The same where the recording knows no more."""
    recording = Recording(str(path))
    old = report_of(recording)
    recording.header = dataclasses.replace(recording.header, typed=("docker", "run", "x"))

    new = report_of(recording)

    assert old["command"] == old["client"]
    assert (new["command"], new["client"]) == (["docker", "run", "x"], old["client"])


def test_json_report_of_a_corrupt_recording_is_whole_up_to_there(path: Path) -> None:
    """It is valid JSON, with what was read before the line, and says which line it is."""
    lines = path.read_text().splitlines(keepends=True)
    lines[200] = "[[[\n"
    path.write_text("".join(lines))
    recording = Recording(str(path))

    whole = report_of(recording)

    assert whole["summary"]["events"] == 199
    assert whole["damage"] == recording.damage
    assert whole["damage"].startswith("line 201: ")


def test_json_report_of_a_call_that_cannot_be_read_names_its_line(path: Path) -> None:
    """The model reads only the beginning of a call's line; the rest is found out when the call is told."""
    lines = path.read_text().splitlines(keepends=True)
    at = next(number for number, line in enumerate(lines) if number > 100 and line.startswith('["exit",'))
    lines[at] = lines[at].rstrip().rstrip("]") + "\n"
    path.write_text("".join(lines))

    whole = report_of(Recording(str(path)))

    assert whole["damage"].startswith(f"line {at + 1}: ")
    assert at - 1 not in {call["sequence"] for call in whole["calls"]}
    assert whole["calls"][-1]["sequence"] > at
