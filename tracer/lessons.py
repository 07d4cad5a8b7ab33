"""The lessons in ``lessons/``: folders of data, no code. Each has the command it is about, and its stages.

    lessons/010_docker_run/lesson.toml          title, command, stages (tracer/stages/pattern.py says what a stage is)
    lessons/010_docker_run/lesson.md            one heading `## stage-id` per stage, and what to try
    lessons/010_docker_run/recording.jsonl.xz   the same run, recorded, for where nothing can be run

The number in a folder's name is the order in which lessons are meant to be taken. Lessons are written by hand, so they
are read strictly: an unknown key, a missing one, or an explanation without a stage is an error that names file and key.
"""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tracer.stages.pattern import StageError, parse_stages

FOLDER = Path(__file__).resolve().parent.parent / "lessons"
FIRST = "010_docker_run"
"""The lesson that every run follows unless told otherwise."""

_TEXT_KEYS = ("title", "summary", "command")
_KEYS = frozenset((*_TEXT_KEYS, "needs", "stages"))
_HEADING = re.compile(r"^## ([a-z0-9]+(?:-[a-z0-9]+)*)\s*$", re.MULTILINE)
_RECORDINGS = ("recording.jsonl", "recording.jsonl.xz", "recording.jsonl.gz")


class LessonError(Exception):
    """A lesson is not there or cannot be read; the message is a lowercase sentence."""


@dataclass(frozen=True)
class Lesson:
    """What one folder says."""

    id: str
    title: str
    summary: str
    command: str
    """The `docker run` command line that the lesson is about."""
    stages: tuple[Mapping[str, object], ...]
    """As the TOML gives them; the engine parses them, and puts them into the recording's header."""
    recording: str
    """Path of the bundled recording, empty where there is none."""
    needs: tuple[str, ...] = ()
    """What a live run needs of the host, in the words of `doctor`."""
    explanations: Mapping[str, str] | None = None
    """Stage id -> the long explanation, Markdown."""


def lesson_ids() -> list[str]:
    """Every lesson, in order."""
    return sorted(path.parent.name for path in FOLDER.glob("*/lesson.toml"))


def load_lesson(lesson_id: str) -> Lesson:
    """Read a lesson, by its folder's name, its number (``010`` or ``10``), or the name after the number."""
    return read_lesson(FOLDER / _resolve(lesson_id))


def read_lesson(folder: Path) -> Lesson:
    """Read and check the lesson in a folder. Raises LessonError, naming the file and the key."""
    file = f"{folder.name}/lesson.toml"
    try:
        data = tomllib.loads((folder / "lesson.toml").read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise LessonError(f"{file} cannot be read: {error}") from error
    for key in data:
        if key not in _KEYS:
            raise LessonError(f"{file}: unknown key {key!r}")
    texts = {key: _text(data, key, file) for key in _TEXT_KEYS}
    needs = data.get("needs", [])
    if not isinstance(needs, list) or not all(isinstance(need, str) for need in needs):
        raise LessonError(f"{file}: key 'needs' is not a list of words")
    tables = data.get("stages", [])
    if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        raise LessonError(f"{file}: key 'stages' is not a list of tables, written [[stages]]")
    try:
        stages = parse_stages(tables)
    except StageError as error:
        raise LessonError(f"{file}: {error}") from error
    recordings = [path for name in _RECORDINGS if (path := folder / name).is_file()]
    return Lesson(
        id=folder.name,
        **texts,
        stages=tuple(tables),
        recording=str(recordings[0]) if recordings else "",
        needs=tuple(needs),
        explanations=_explanations(folder, [stage.id for stage in stages]),
    )


def _explanations(folder: Path, stage_ids: list[str]) -> dict[str, str]:
    """lesson.md, cut at its headings."""
    file = f"{folder.name}/lesson.md"
    try:
        text = (folder / "lesson.md").read_text(encoding="utf-8")
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise LessonError(f"{file} cannot be read: {error}") from error
    parts = _HEADING.split(text)
    found = {name: body.strip() for name, body in zip(parts[1::2], parts[2::2], strict=True)}
    if len(found) != len(parts) // 2:
        raise LessonError(f"{file}: a heading comes twice")
    for name in found:
        if name not in stage_ids:
            raise LessonError(f"{file}: heading {name!r} is no stage of the lesson")
    for name in stage_ids:
        if name not in found:
            raise LessonError(f"{file}: stage {name!r} has no heading '## {name}'")
    return found


def _text(data: Mapping[str, object], key: str, file: str) -> str:
    value = data.get(key)
    if not isinstance(value, str) or not value.strip():
        raise LessonError(f"{file}: key {key!r} is missing or is no text")
    return value


def _resolve(lesson_id: str) -> str:
    known = lesson_ids()
    for folder in known:
        number, _, name = folder.partition("_")
        if lesson_id in (folder, number, number.lstrip("0"), name):
            return folder
    raise LessonError(f"there is no lesson {lesson_id!r}; there are: {', '.join(known) or 'none'}")
