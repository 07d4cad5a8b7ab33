"""``glassbottom cleanup``: remove what killed runs left behind."""

import argparse
import json
import sys
from dataclasses import asdict

from tracer import cleanup, privileges
from tracer.cli import CommandError
from tracer.stack import owner_lives, registered

DESCRIPTION = """\
Remove processes, mounts, cgroups, network links and files of stacks whose owner was killed.
Every run, record and stack up does this when it starts; nobody else's containers are ever touched.

  glassbottom cleanup                  say what was removed
  glassbottom cleanup --json           the same for programs
  glassbottom cleanup --all --force    take down stacks that are in use, too
"""


def main(argv: list[str]) -> int:
    """Clean up, and say what that took."""
    parser = argparse.ArgumentParser(
        prog="glassbottom cleanup", description=DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--all", action="store_true", help="also stacks that are in use (asks first)")
    parser.add_argument("--force", action="store_true", help="with --all: do not ask")
    parser.add_argument("--json", action="store_true", help="print the reports as JSON")
    options = parser.parse_args(argv)
    if not registered():
        print("[]" if options.json else "nothing to clean up")
        return 0
    if options.all and not options.force:
        _ask()
        sys.argv.append("--force")  # asked once, answered once: the command may be started again below
    cleanup.kill_abandoned(also_alive=options.all)
    privileges.become_root_of_a_namespace(private_network=False)
    reports = cleanup.cleanup_abandoned(also_alive=options.all)
    if options.json:
        print(json.dumps([asdict(report) for report in reports], indent=2))
    else:
        for report in reports:
            print("\n".join(report.sentences()))
        in_use = [plan.id for plan in registered() if owner_lives(plan)]
        if in_use:
            print(f"left alone, because they are in use: {', '.join(in_use)} (--all takes them down)")
        elif not reports:
            print("nothing to clean up")
    return 1 if any(report.problems for report in reports) else 0


def _ask() -> None:
    in_use = [plan for plan in registered() if owner_lives(plan)]
    if not in_use:
        return
    if not sys.stdin.isatty():
        raise CommandError(f"{len(in_use)} stacks are in use; add --force to take them down")
    for plan in in_use:
        print(plan.describe(), end="")
    try:
        answer = input("take these down, with everything that runs on them? [y/N] ")
    except EOFError:  # Ctrl-D: no answer is no
        answer = ""
        print()
    if answer.strip().lower() != "y":
        raise CommandError("nothing was touched")
