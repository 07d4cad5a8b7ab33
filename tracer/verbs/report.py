"""``glassbottom report``: a recording as text to be read from top to bottom, as JSON, or as a log of strace."""

import argparse
import sys

from tracer.cli import CommandError
from tracer.verbs.replay import recording_path

DESCRIPTION = """\
Tell a recording as text: stage by stage, one sentence for each message, event and process.
Made for reading aloud as much as for reading; nothing depends on columns or colour.

  glassbottom report run.jsonl
  glassbottom report run.jsonl --format json | jq '.stages[].id'
  glassbottom report run.jsonl --format strace | grep mount
  glassbottom report 010                            the recording of a lesson
"""


def main(argv: list[str]) -> int:
    """Write the report, piece by piece as the recording is read."""
    parser = argparse.ArgumentParser(
        prog="glassbottom report", description=DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("file", help="a recording (.jsonl, .jsonl.gz or .jsonl.xz), or a lesson's name")
    parser.add_argument(
        "--format",
        choices=["text", "json", "strace"],
        default="text",
        help="text for people; json with the keys command, client, recorded_first, stages, processes, messages, "
        "events, actions, calls, summary, statistics, damage; strace: every call on a line, as strace -f -y prints it",
    )
    options = parser.parse_args(argv)
    path = recording_path(options.file)
    from tracer.report.as_json import json_report
    from tracer.report.as_strace import strace_report
    from tracer.report.text import text_report
    from tracer.session.recording import Recording

    recording = Recording(path)
    # A recording may hold text that the terminal's encoding, or any, cannot say.
    sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    if options.format == "json":
        for piece in json_report(recording):
            sys.stdout.write(piece)
        sys.stdout.write("\n")
    else:
        for line in (strace_report if options.format == "strace" else text_report)(recording):
            sys.stdout.write(f"{line}\n")
    sys.stdout.flush()
    if recording.damage:
        raise CommandError(
            f"{path}: {recording.damage}. The report ends there; copy or record the run again for the rest"
        )
    return 0
