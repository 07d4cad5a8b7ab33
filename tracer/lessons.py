"""The lessons in ``lessons/``: folders of data, no code. Each has the command it is about, and its stages.

    lessons/010_docker_run/lesson.toml       title, command, stages (tracer/stages/pattern.py says what a stage is)
    lessons/010_docker_run/lesson.md         one heading per stage
    lessons/010_docker_run/recording.jsonl   the same run, recorded, for where nothing can be run

The number in a folder's name is the order in which lessons are meant to be taken.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).resolve().parent.parent / "lessons"
FIRST = "010_docker_run"
"""The lesson that every run follows unless told otherwise."""


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


def lesson_ids() -> list[str]:
    """Every lesson, in order."""
    return sorted(path.parent.name for path in FOLDER.glob("*/lesson.toml"))


def load_lesson(lesson_id: str) -> Lesson:
    """Read a lesson, by its folder's name, its number (``010`` or ``10``), or the name after the number."""
    folder = FOLDER / _resolve(lesson_id)
    try:
        with (folder / "lesson.toml").open("rb") as file:
            data = tomllib.load(file)
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise LessonError(f"lesson {lesson_id!r} cannot be read: {error}") from error
    stages = data.get("stages", [])
    if not isinstance(stages, list) or not all(isinstance(stage, dict) for stage in stages):
        raise LessonError(f"lesson {lesson_id!r}: stages are tables, written [[stages]]")
    recordings = [path for name in ("recording.jsonl", "recording.jsonl.gz") if (path := folder / name).is_file()]
    return Lesson(
        id=folder.name,
        title=str(data.get("title", folder.name)),
        summary=str(data.get("summary", data.get("about", ""))),
        command=str(data.get("command", "")),
        stages=tuple(stages),
        recording=str(recordings[0]) if recordings else "",
    )


def _resolve(lesson_id: str) -> str:
    known = lesson_ids()
    for folder in known:
        number, _, name = folder.partition("_")
        if lesson_id in (folder, number, number.lstrip("0"), name):
            return folder
    raise LessonError(f"there is no lesson {lesson_id!r}; there are: {', '.join(known) or 'none'}")
