"""From a command line to an engine that may be started: a stack planned, a recording's path, the stages to look for.

What was prepared is taken down again when the block is left, however that happens; what a SIGKILL leaves is found by
the next one that begins here.
"""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import cast

from tracer import cleanup
from tracer.cli import CommandError
from tracer.commands import Launch, Speed
from tracer.lessons import FIRST, load_lesson
from tracer.run_words import RunWords
from tracer.stack import plan_stack


@dataclass(frozen=True)
class Prepared:
    """Everything the engine needs to be told."""

    launch: Launch
    recording: str
    """Where the engine is to write."""


@contextmanager
def prepare(words: RunWords, *, hold: bool) -> Iterator[Prepared]:
    """Clean up after the dead, plan a stack, and take it down in the end."""
    lesson = load_lesson(words.options.get("--lesson", FIRST))
    kept = words.options.get("--output", words.options.get("-o", ""))
    is_new = bool(kept) and not os.path.lexists(kept)
    if kept:
        check_writable(kept)
    try:
        cleanup.cleanup_abandoned()
        plan = plan_stack(**_seats(words))
    except BaseException:
        if is_new:
            os.unlink(kept)
        raise
    recording = f"{plan.registry}/recording.jsonl"
    try:
        if kept:
            # Through a link, so that the engine's other files (what the programs print) are beside it, and go with it.
            os.symlink(os.path.abspath(kept), recording)
            os.truncate(kept, 0)  # or the session would take an older header for the engine's
        launch = Launch(
            background=plan.background(curtain=hold),
            foreground=plan.foreground(["run", *words.docker], os.getcwd()),
            stages=lesson.stages,
            lesson=lesson.id,
            typed=("docker", "run", *words.docker),
            seats=plan.seats,
            hold=hold,
            preparations=plan.preparations(),
            speed=_speed(words),
            recorded_first=words.with_deadlines,
        )
        yield Prepared(launch, recording)
    finally:
        report = cleanup.cleanup_stack(plan)
        if report.problems:
            raise CommandError("; ".join(report.problems))


def _speed(words: RunWords) -> Speed:
    """As asked; else the daemons of a real Docker are left nearly alone, and everything else is watched whole."""
    asked = words.options.get("--speed") or ("wire" if words.options.get("--stack") == "docker" else "full")
    return cast("Speed", asked)


def _seats(words: RunWords) -> dict[str, str]:
    """Real parts by our options, or the runtime that docker's own --runtime names: the daemon has to know its path."""
    seats = words.seats
    if "runtime" not in seats and "client" not in seats:
        from runtime.client.flags import parse
        from runtime.client.run_flags import RUN_FLAGS

        asked = parse(RUN_FLAGS, words.docker)[0].text("runtime")
        if asked and asked != "glassbottom":
            seats["runtime"] = asked
    return seats


def check_writable(path: str) -> None:
    """Make the file if it is not there, or say why not before anything is started. What is in it is kept for now.

    A pipe or a device is refused: the recording is read again while it grows, and a FIFO would wait here for a reader.
    """
    try:
        if os.path.exists(path) and not (os.path.isfile(path) or os.path.isdir(path)):
            raise OSError(errno.EINVAL, "it is a device or a pipe, and a recording must be a file")
        with open(path, "ab"):
            pass
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise CommandError(f"cannot write {path}: {reason}; choose another file with -o") from error
