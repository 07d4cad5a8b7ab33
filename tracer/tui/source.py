"""The source lines behind a stage, read (never imported) from the stack that is installed beside the tracer."""

import re
from pathlib import Path

from rich.syntax import Syntax

ROOT = Path(__file__).resolve().parents[2]
LINES_BEFORE = 3
LINES_SHOWN = 200


def source_lines(anchor: str, *, dark: bool = True) -> Syntax | str:
    """The file of an anchor `runtime/oci/rootfs.py:pivot` from its function on; a sentence where that cannot be."""
    name, _, function = anchor.partition(":")
    path = (ROOT / name).resolve()
    if not path.is_relative_to(ROOT) or path.suffix != ".py" or not path.is_file():
        return f"{name} is not to be had here"
    code = path.read_text(encoding="utf-8")
    lines = code.splitlines()
    at = _line_of(lines, function)
    return Syntax(
        code,
        "python",
        theme="nord" if dark else "friendly",
        background_color="default",
        line_numbers=True,
        line_range=(max(1, at - LINES_BEFORE), at + LINES_SHOWN),
        highlight_lines=set(range(at, _end_of(lines, at) + 1)),
        word_wrap=True,
    )


def _line_of(lines: list[str], function: str) -> int:
    """The line on which `function` or `Class.method` is defined, 1 where it is not found."""
    at = 1
    for name in filter(None, function.split(".")):
        pattern = re.compile(rf"^\s*(async def|def|class) {re.escape(name)}\b|^{re.escape(name)}\b")
        at = next((number for number in range(at, len(lines) + 1) if pattern.match(lines[number - 1])), 1)
    return at


def _end_of(lines: list[str], at: int) -> int:
    """The last line of the block that begins at a line."""
    indent = len(lines[at - 1]) - len(lines[at - 1].lstrip())
    end = at
    for number in range(at + 1, len(lines) + 1):
        line = lines[number - 1]
        if line.strip() and len(line) - len(line.lstrip()) <= indent and not line.lstrip().startswith((")", "]")):
            break
        if line.strip():
            end = number
    return end
