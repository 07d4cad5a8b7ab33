"""``glassbottom doctor``: what this machine allows, and what would help."""

import argparse
import json
from dataclasses import asdict

from tracer.doctor import Finding, examine

DESCRIPTION = """\
Try what a live run needs, and say what each missing thing costs and what would help.
Exit code 0 means that a live run is possible here, 1 that recordings can be replayed only.

  glassbottom doctor
  glassbottom doctor --json
"""

_HEADINGS = {"live": "Needed to run live", "full": "Makes a live run complete", "seat": "Real parts for the seats"}


def main(argv: list[str]) -> int:
    """Examine, and say."""
    parser = argparse.ArgumentParser(
        prog="glassbottom doctor", description=DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", action="store_true", help="print the findings as JSON")
    options = parser.parse_args(argv)
    findings = examine()
    if options.json:
        print(json.dumps([asdict(finding) for finding in findings], indent=2))
    else:
        print(_text(findings))
    return 1 if any(not finding.ok and finding.needed_for == "live" for finding in findings) else 0


def _text(findings: list[Finding]) -> str:
    lines = []
    for kind, heading in _HEADINGS.items():
        chosen = [finding for finding in findings if finding.needed_for == kind]
        if chosen:
            lines += [heading, *(line for finding in chosen for line in _lines(finding)), ""]
    live = all(finding.ok for finding in findings if finding.needed_for == "live")
    lines.append("A live run is possible here." if live else "Only recordings can be replayed here.")
    return "\n".join(lines)


def _lines(finding: Finding) -> list[str]:
    """The word comes first, so that the list can be read without colour and by ear."""
    word = "yes" if finding.ok else "no"
    first = f"  {word:<4} {finding.name}: {finding.detail}"
    return [first, f"         {finding.help}"] if finding.help and not finding.ok else [first]
