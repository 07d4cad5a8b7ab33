"""The stack stays small enough to read: one way through it fits a weekend, and the story's stages lie on that way."""

import re
from pathlib import Path

from tracer.lessons import lesson_ids, load_lesson

RUNTIME = Path(__file__).resolve().parents[2] / "runtime"
LINES = 8000


def reading() -> list[str]:
    """The files that runtime/README.md sends a reader to."""
    chapter = (RUNTIME / "README.md").read_text().partition("## A weekend's reading")[2].partition("\n## ")[0]
    return re.findall(r"`(\w[\w./]*\.py)`", chapter)


def test_a_weekend_is_enough() -> None:
    """Comments and docstrings count: they are what is read."""
    assert sum(len((RUNTIME / name).read_text().splitlines()) for name in reading()) < LINES


def test_every_stage_is_anchored_in_a_file_of_it() -> None:
    """Who follows the story finds the place where it happens without leaving the way."""
    stages = [stage for lesson in lesson_ids() for stage in load_lesson(lesson).stages]
    anchored = {str(stage["source"]).partition(":")[0].removeprefix("runtime/") for stage in stages}

    assert set() == anchored - set(reading())
