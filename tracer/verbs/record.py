"""``glassbottom record``: a run without a screen, kept in a file."""

import os
import signal
import sys

from tracer import cleanup, privileges, procfs
from tracer.cli import CommandError
from tracer.run_words import (
    PORTS_STAY_INSIDE,
    SEATS,
    SEATS_HELP,
    SPEED_HELP,
    RunWords,
    check_speed,
    publishes_nothing,
    refuse_what_docker_would,
    take_apart,
    wants_docker_help,
)

HELP = f"""\
usage: glassbottom record [-o FILE] [options] [--] [docker] run [docker run's flags] IMAGE [COMMAND...]

Run a container on the built-in stack, straight through, and record every layer of it into one file.
The container's output and exit code are passed on, so that a script cannot tell it from docker run.

  glassbottom record -o run.jsonl -- docker run --rm hostbox echo hi
  glassbottom replay run.jsonl
  glassbottom report run.jsonl

  -o, --output FILE    the recording (default: recording.jsonl)
{SEATS_HELP}
  --lesson NAME        the stages to look for (default: 010_docker_run)
{SPEED_HELP}
  --help               this
"""

_TAIL_BYTES = 1 << 16

OPTIONS = (*SEATS, "--lesson", "--speed", "-o", "--output")
_FORWARDED = (
    signal.SIGINT,
    signal.SIGTERM,
    signal.SIGHUP,
    signal.SIGQUIT,
    signal.SIGWINCH,
    signal.SIGUSR1,
    signal.SIGUSR2,
)


def main(argv: list[str]) -> int:
    """Record straight through, and end as the client ended."""
    words = take_apart(argv, OPTIONS)
    if wants_docker_help(words) or not argv:
        print(HELP, end="")
        return 0 if argv else 2
    refused = refuse_what_docker_would(words)
    if refused or "--help" in words.docker:
        return refused
    check_speed(words)
    _refuse_where_nothing_runs()
    words.options.setdefault("-o", words.options.get("--output", "recording.jsonl"))
    cleanup.kill_abandoned()
    if "--attach" not in words.options:  # root of a namespace may not trace what is outside of it
        privileges.become_root_of_a_namespace()
    return record(words)


def record(words: RunWords) -> int:
    """Record one run; the client's exit code. Raises CommandError (125) where there was none."""
    from tracer.attach import prepare_attached
    from tracer.events import RecordingEnded
    from tracer.launch import prepare
    from tracer.session.last_words import last_words
    from tracer.session.live import LiveSession

    if publishes_nothing(words):
        print(f"glassbottom: {PORTS_STAY_INSIDE}", file=sys.stderr)
    with prepare_attached(words) if "--attach" in words.options else prepare(words, hold=False) as prepared:
        foreground = list(prepared.launch.foreground.argv)

        def forward(number: int, _: object) -> None:
            """Pass a signal on to the client, which is in another session and would not get it."""
            for pid in procfs.pids():
                # Somebody else may have typed the same words for the host's daemon: ours is a child of our engine.
                if procfs.argv(pid) == foreground and procfs.parent(procfs.parent(pid)) == os.getpid():
                    os.kill(pid, number)

        for number in _FORWARDED:
            # What nohup(1) or a shell's `&` had us ignore stays ignored, here and in all that we start.
            if signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, forward)
        session = LiveSession(prepared.recording, prepared.launch)
        try:
            session.wait()
        finally:
            session.quit()
        ended = _last_event(prepared.recording)
        if not isinstance(ended, RecordingEnded):
            raise CommandError(session.failure or "the engine ended before the run did")
        if ended.exit_code is None:
            raise CommandError(f"{ended.reason}{last_words(prepared.recording)}")
        return ended.exit_code


def _last_event(path: str) -> object:
    """The last line of a recording, without reading the rest of it; None where there is none that is whole."""
    from tracer.codec import RecordingError, decode_event

    with open(path, "rb") as file:
        file.seek(max(0, os.fstat(file.fileno()).st_size - _TAIL_BYTES))
        last = file.read().rpartition(b"\n")[0].rpartition(b"\n")[2]
    try:
        return decode_event(last.decode("utf-8", "replace"))
    except RecordingError:
        return None


def _refuse_where_nothing_runs() -> None:
    from tracer.doctor import can_run_live

    missing = can_run_live()
    if missing:
        why = "; ".join(f"{finding.detail}: {finding.help}" for finding in missing)
        raise CommandError(f"nothing can be recorded here: {why}")
