"""``glassbottom lessons``: what is in ``lessons/``."""

import argparse
import json
import textwrap

from tracer.lessons import Lesson, lesson_ids, load_lesson

DESCRIPTION = """\
List the lessons, in the order in which they are meant to be taken.

  glassbottom lessons
  glassbottom run --lesson 010 -it hostbox sh       follow one live
  glassbottom replay 010                            or in its recording
"""


def main(argv: list[str]) -> int:
    """List them."""
    parser = argparse.ArgumentParser(
        prog="glassbottom lessons", description=DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", action="store_true", help="print the list as JSON")
    options = parser.parse_args(argv)
    lessons = [load_lesson(lesson_id) for lesson_id in lesson_ids()]
    if options.json:
        print(json.dumps([_as_json(lesson) for lesson in lessons], indent=2))
        return 0
    for lesson in lessons:
        print(f"{lesson.id}  {lesson.title}")
        print(textwrap.indent(textwrap.fill(lesson.summary, 90), "    ")) if lesson.summary else None
        recorded = "recorded" if lesson.recording else "live only"
        print(f"    {len(lesson.stages)} stages, {recorded}: {lesson.command}")
    return 0


def _as_json(lesson: Lesson) -> dict[str, object]:
    stages = [str(stage.get("id", "")) for stage in lesson.stages]
    return {
        "id": lesson.id,
        "title": lesson.title,
        "command": lesson.command,
        "stages": stages,
        "recording": lesson.recording,
    }
