"""``glassbottom replay``: step through a recording, on any system."""

import argparse
import os

from tracer.cli import CommandError

DESCRIPTION = """\
Step through a recording. Nothing runs: neither Linux, root nor Docker is needed.

  glassbottom record -o run.jsonl -- docker run --rm hostbox echo hi
  glassbottom replay run.jsonl
  glassbottom replay 010                the recording of a lesson (`glassbottom lessons` lists them)
"""


def main(argv: list[str]) -> int:
    """Open a recording on the screen."""
    parser = argparse.ArgumentParser(
        prog="glassbottom replay", description=DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("file", help="a recording (.jsonl, .jsonl.gz or .jsonl.xz), or a lesson's name")
    options = parser.parse_args(argv)
    path = recording_path(options.file)
    if not (os.isatty(0) and os.isatty(1)):
        raise CommandError("replay needs a terminal; `glassbottom report` tells the same as text")
    from tracer.tui.app import run_replay

    return run_replay(path)


def recording_path(name: str) -> str:
    """A file, or the recording that belongs to a lesson."""
    if os.path.exists(name):
        return name
    from tracer.lessons import LessonError, load_lesson

    try:
        lesson = load_lesson(name)
    except LessonError:
        raise CommandError(
            f"{name}: there is no such file, and no such lesson; `glassbottom lessons` lists those there are"
        ) from None
    if not lesson.recording:
        raise CommandError(f"lesson {lesson.id} has no recording; `glassbottom record` makes one")
    return lesson.recording
