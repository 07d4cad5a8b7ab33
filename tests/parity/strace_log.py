"""A run under the real strace, as lines of its threads.

`strace -f -o FILE` writes the thread's number before each line, and cuts a call in two where another thread's line
comes between its beginning and its return: `read(3, <unfinished ...>` and `<... read resumed>"x", 1) = 1`.
"""

import re
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

STRACE = ("strace", "-f", "-y", "-s", "256")
_LINE = re.compile(r"(\d+) +(.*)")
_UNFINISHED = " <unfinished ...>"
_SUPERSEDED = re.compile(r"\+\+\+ superseded by execve in pid (\d+) \+\+\+")
_RESUMED = re.compile(r"<\.\.\. \w+ resumed>(.*)")
_PADDED_RESULT = re.compile(r"\) +(= (?:-?\d|0x|\?)[^\"]*)$")


class Line(NamedTuple):
    """What one thread did, in strace's words."""

    tid: int
    text: str


NOTHING = Line(0, "")


def record(argv: Sequence[str], directory: Path, environment: Mapping[str, str]) -> list[Line]:
    """Run a program under strace; its lines in the order in which the calls began."""
    log = directory / "strace.log"
    done = subprocess.run(
        [*STRACE, "-o", str(log), *argv],
        cwd=directory, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
        timeout=120,
    )  # fmt: skip
    assert log.exists(), done.stderr
    return parse(log.read_text(errors="replace"))


def parse(text: str) -> list[Line]:
    """The log's lines, with each call that was cut in two put together."""
    lines: list[Line] = []
    open_calls: dict[int, int] = {}
    for row in text.splitlines():
        found = _LINE.fullmatch(row)
        assert found, f"not a line of strace -f -o: {row!r}"
        tid, said = int(found[1]), found[2]
        resumed = _RESUMED.fullmatch(said)
        superseded = _SUPERSEDED.fullmatch(said)
        if superseded:
            # From here on the thread that called execve has the number of the leader, which is gone.
            open_calls.pop(tid, None)
            place = open_calls.pop(int(superseded[1]))
            lines += [Line(tid, said), Line(tid, lines[place].text)]
            lines[place] = NOTHING
            open_calls[tid] = len(lines) - 1
            continue
        if resumed:
            place = open_calls.pop(tid)
            lines[place] = Line(tid, _plain(lines[place].text + resumed[1]))
            continue
        if said.endswith(_UNFINISHED):
            open_calls[tid] = len(lines)
            said = said.removesuffix(_UNFINISHED)
        lines.append(Line(tid, _plain(said)))
    return [line for line in lines if line is not NOTHING]


def _plain(said: str) -> str:
    """Without the spaces that put the results in a column."""
    return _PADDED_RESULT.sub(r") \1", said)
