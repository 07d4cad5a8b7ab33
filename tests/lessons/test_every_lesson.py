"""Every lesson in `lessons/` is right: it parses, its sources exist, its recording shows its stages."""

import ast
import re
from pathlib import Path

import pytest

from tracer.decode.pipeline import Pipeline
from tracer.events import ActionSeen, Event, MessageSeen, RecordingHeader, StageEntered, SyscallEntered, SyscallExited
from tracer.lessons import Lesson, LessonError, lesson_ids, load_lesson, read_lesson
from tracer.session.recording import Recording
from tracer.stages.matcher import Matcher
from tracer.stages.pattern import parse_stages

ROOT = Path(__file__).resolve().parents[2]
LESSONS = [load_lesson(name) for name in lesson_ids()]
RECORDED = [lesson for lesson in LESSONS if lesson.recording]
NAMES = [lesson.id for lesson in LESSONS]


def test_the_first_lesson_has_its_stages() -> None:
    """From the command line to the last exit: at least 25 stages, and a recording for where nothing can be run."""
    lesson = load_lesson("010_docker_run")

    assert len(lesson.stages) >= 25
    assert lesson.stages[0]["id"] == "client-parses"
    assert lesson.recording


@pytest.mark.parametrize("lesson", LESSONS, ids=NAMES)
def test_lesson_explains_every_stage(lesson: Lesson) -> None:
    """lesson.md has one heading per stage, in the stages' order, and something to do."""
    explanations = lesson.explanations or {}

    assert list(explanations) == [stage["id"] for stage in lesson.stages]
    assert all(len(text) > 40 for text in explanations.values())
    assert any("**Predict:**" in text for text in explanations.values())
    assert any("**Try it yourself:**" in text for text in explanations.values())


@pytest.mark.parametrize("lesson", LESSONS, ids=NAMES)
def test_stage_names_are_kebab_case_and_about_is_short(lesson: Lesson) -> None:
    """Ids are stable names; what is said at a stop fits beside the panes."""
    for stage in parse_stages(lesson.stages):
        assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", stage.id)
        assert len(stage.title) <= 72
        assert 40 <= len(stage.about) <= 320


@pytest.mark.parametrize("lesson", LESSONS, ids=NAMES)
def test_source_anchors_exist(lesson: Lesson) -> None:
    """The tracer shows the very lines that make a stage happen: they must be there."""
    for stage in parse_stages(lesson.stages):
        file, _, name = stage.source.partition(":")
        assert name in _names(ast.parse((ROOT / file).read_text())), stage.source


def _names(tree: ast.Module) -> set[str]:
    """`function`, `Class` and `Class.method` of a module."""
    found: set[str] = set()
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found.add(node.name)
        if isinstance(node, ast.ClassDef):
            functions = [n for n in node.body if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)]
            found |= {f"{node.name}.{function.name}" for function in functions}
    return found


@pytest.fixture(scope="module", params=RECORDED, ids=[lesson.id for lesson in RECORDED])
def recorded(request: pytest.FixtureRequest) -> tuple[Lesson, RecordingHeader, list[Event]]:
    """A lesson, and its recording read once."""
    lesson: Lesson = request.param
    recording = Recording(lesson.recording)
    recording.read_all()
    assert recording.damage == ""
    return lesson, recording.header, [event for _, event in recording.events()]


def test_recording_shows_every_stage_once_and_in_causal_order(
    recorded: tuple[Lesson, RecordingHeader, list[Event]],
) -> None:
    """Also the optional ones: the recording is of the lesson's own command; nothing comes before what it is after."""
    lesson, _, events = recorded
    entered = [event.stage for event in events if isinstance(event, StageEntered)]

    assert sorted(entered) == sorted(str(stage["id"]) for stage in lesson.stages)
    for stage in parse_stages(lesson.stages):
        for earlier in stage.after:
            assert entered.index(earlier) < entered.index(stage.id)


def test_recording_is_of_todays_stages(recorded: tuple[Lesson, RecordingHeader, list[Event]]) -> None:
    """A changed lesson needs a new recording: the header holds the stages that were looked for."""
    lesson, header, _ = recorded

    assert [stage["id"] for stage in header.stages] == [stage["id"] for stage in lesson.stages]
    assert header.lesson == lesson.id


def test_decoding_the_recording_again_finds_the_same(recorded: tuple[Lesson, RecordingHeader, list[Event]]) -> None:
    """Decoding is pure: the calls of the recording give the messages, actions and stages that it holds."""
    lesson, header, events = recorded
    names = {number: signature.name for number, signature in header.syscalls.items()}
    pipeline, matcher = Pipeline(names), Matcher(parse_stages(lesson.stages), names)
    exits, entries = pipeline.exit_numbers | matcher.exit_numbers, pipeline.entry_numbers | matcher.entry_numbers
    derived: list[Event] = []
    stages: list[str] = []

    for sequence, event in enumerate(events):
        skipped = (
            isinstance(event, MessageSeen | ActionSeen | StageEntered)
            or (isinstance(event, SyscallExited) and event.number not in exits)
            or (isinstance(event, SyscallEntered) and event.number not in entries)
        )
        if not skipped:
            found = pipeline.feed(sequence, event)
            derived += found
            stages += [entered.stage for each in (*found, event) for entered in matcher.feed(sequence, each)]

    assert len(derived) == sum(isinstance(event, MessageSeen | ActionSeen) for event in events)
    assert stages == [event.stage for event in events if isinstance(event, StageEntered)]


STAGE = """
title = "T"
summary = "S"
command = "docker run box"
{extra}
[[stages]]
id = "only"
layer = "client"
title = "t"
about = "a"
source = "runtime/client/run.py:run"
{stage}
[stages.on]
process = "executed"
"""


@pytest.mark.parametrize(
    ("extra", "stage", "text", "words"),
    [
        ('colour = "red"', "", "## only\nx", "unknown key 'colour'"),
        ('needs = "root"', "", "## only\nx", "key 'needs'"),
        ("", 'stopp = "entry"', "## only\nx", "stage 'only': unknown key 'stopp'"),
        ("", "", "## other\nx", "heading 'other' is no stage"),
        ("", "", "# none", "stage 'only' has no heading"),
        ("", "", "## only\nx\n\n## only\ny", "a heading comes twice"),
        ("[[", "", "## only", "cannot be read"),
    ],
)
def test_wrong_lesson_is_refused_by_file_and_key(tmp_path: Path, extra: str, stage: str, text: str, words: str) -> None:
    """Whoever writes a lesson is told where the mistake is."""
    folder = tmp_path / "990_wrong"
    folder.mkdir()
    (folder / "lesson.toml").write_text(STAGE.format(extra=extra, stage=stage))
    (folder / "lesson.md").write_text(text)

    with pytest.raises(LessonError, match=r"990_wrong/lesson\.(toml|md)") as caught:
        read_lesson(folder)

    assert words in str(caught.value)


def test_unknown_lesson_names_the_known_ones() -> None:
    """A mistyped name is answered with the list."""
    with pytest.raises(LessonError, match="there are: 010_docker_run"):
        load_lesson("nonesuch")
