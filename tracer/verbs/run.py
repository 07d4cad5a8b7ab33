"""``glassbottom run``: the main job, live, on a screen."""

import os
import shutil
import sys
import tempfile

from tracer import cleanup, privileges
from tracer.cli import CommandError
from tracer.run_words import (
    SEATS,
    SEATS_HELP,
    SPEED_HELP,
    RunWords,
    check_speed,
    refuse_what_docker_would,
    take_apart,
    wants_docker_help,
)
from tracer.stop_signals import StopSignals

HELP = f"""\
usage: glassbottom run [options] [docker run's flags] IMAGE [COMMAND...]

Start a container on the built-in stack, held at every stage of its way from the keypress to execve.
`hostbox` is an image built from this machine's own programs: nothing is downloaded.

  glassbottom run -it hostbox sh                    a shell; Space goes on to the next stage, ? helps, q quits
  glassbottom run --rm -m 64m hostbox echo hi       follow --memory down to the cgroup
  glassbottom run --runtime runc -it hostbox sh     the real runc in the runtime's seat
  glassbottom run --stack docker -it hostbox sh     the real Docker: first it runs, then its recording is stepped
  glassbottom run --attach dockerd,containerd busybox true    this host's own Docker, with a warning

Options of our own come first, docker's flags after them:
{SEATS_HELP}
  --lesson NAME        the stages to hold at (default: 010_docker_run; `glassbottom lessons` lists them)
{SPEED_HELP}
  -o, --output FILE    keep the recording
  --help               this

docker's flags are those of `docker run`; `glassbottom run --rm --help` lists the ones our client has.
Where nothing can be traced here, the reason is given and the lesson's recording is opened instead.
"""

OPTIONS = (*SEATS, "--lesson", "--speed", "-o", "--output")


def main(argv: list[str]) -> int:
    """Start the stack and the engine first, and the screen while they come up."""
    words = take_apart(argv, OPTIONS)
    if wants_docker_help(words) or not argv:
        print(HELP, end="")
        return 0 if argv else 2
    refused = refuse_what_docker_would(words)
    if refused or "--help" in words.docker:
        return refused
    check_speed(words)
    if not (os.isatty(0) and os.isatty(1)):
        raise CommandError(
            "run needs a terminal; `glassbottom record` does not, and its file can be replayed or reported"
        )
    why_not = _why_not_live()
    if why_not:
        return _replay_instead(words, why_not)
    cleanup.kill_abandoned()
    if "--attach" not in words.options:  # root of a namespace may not trace what is outside of it
        privileges.become_root_of_a_namespace()
    return _run_recorded(words) if words.with_deadlines else _run_live(words)


def _run_live(words: RunWords) -> int:
    from tracer.launch import prepare

    # From here on a signal is something the screen waits for: taking the stack down is never interrupted.
    with StopSignals() as stop, prepare(words, hold=True) as prepared:
        from tracer.session.live import LiveSession

        size = shutil.get_terminal_size()
        session = LiveSession(prepared.recording, prepared.launch, terminal_size=(size.lines, size.columns))
        # Only now: importing the screen takes longer than starting the stack, and both happen at once this way.
        from tracer.tui.app import run_live

        exit_code = run_live(session, stop)
        if session.failure:
            raise CommandError(session.failure)
        return exit_code


def _run_recorded(words: RunWords) -> int:
    """Real parts have deadlines, which a hold would let pass: first the run, on this terminal, then its stages."""
    from tracer.tui.app import run_replay
    from tracer.verbs.record import record

    attached = words.options["--attach"].split(",") if "--attach" in words.options else []
    names = ", ".join([*words.with_deadlines, *attached])
    with tempfile.TemporaryDirectory(prefix="glassbottom-run-") as folder:
        path = words.options.get("--output") or words.options.get("-o") or f"{folder}/run.jsonl"
        words.options["-o"] = words.options["--output"] = path
        print(f"glassbottom: {names} cannot be held: the run comes first, then its stages", file=sys.stderr)
        exit_code = record(words)
        run_replay(path)
    return exit_code


def _why_not_live() -> str:
    from tracer.doctor import can_run_live

    return " ".join(f"{finding.detail}; {finding.help}." for finding in can_run_live())


def _replay_instead(words: RunWords, why_not: str) -> int:
    from tracer.lessons import FIRST, load_lesson
    from tracer.tui.app import run_replay

    lesson = load_lesson(words.options.get("--lesson", FIRST))
    if not lesson.recording:
        raise CommandError(f"nothing can be run here: {why_not} Lesson {lesson.id} has no recording to show instead")
    notice = f"this is a recording, because nothing can be run here: {why_not}"
    print(f"glassbottom: {notice}", file=sys.stderr)
    return run_replay(lesson.recording, notice=notice)
