"""The help page: what is on the screen, what the marks mean, every key, and what tracing cannot show."""

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from tracer.tui.keys import GROUPS
from tracer.tui.screens.detail import DetailScreen
from tracer.tui.theme import Ink

INTRODUCTION = (
    "You are looking down through every layer of one docker run: six programs that talk over sockets and start one "
    "another. Everything here was observed from outside, by ptrace(2); no program reports about itself.\n\n"
    "The story is held at each stage: nothing runs while you read. The lit box at the top is the layer that acts. The "
    "four panes are four views of that one moment. Choose a row in one with ↑ and ↓, and look at the others.\n"
)
MARKS = (
    ("❯", "the chosen row"),
    ("●", "the same thing seen from another side: the calls that carried a message, the process that made a call"),
    ("·", "happened while that request was being answered, or is the request it happened under"),
    ("─▶ ◀─", "a message that arrived; ╌▷ ◁╌ one that was written and not read yet"),
    ("▸ ▾", "a run of ordinary calls, folded and unfolded; the count is all of them"),
    ("◔", "a call that a process is in: it waits, or is held before it begins"),
    ("◆ ● ×", "a process: the one whose calls are listed, a living one, one that has ended"),
    ("4301→1", "a pid outside and inside the container's pid namespace"),
)
LIMITS = (
    "\nWhat tracing changes: a traced program sees a TracerPid, runs slower (times here order events and measure "
    "nothing), and cannot be traced by another. A stage that was not seen is called not observed, never assumed."
)


class HelpScreen(DetailScreen):
    """Teaches the screen on one page."""

    def __init__(self, ink: Ink) -> None:
        super().__init__("glassbottom: help", _page(ink))


def _page(ink: Ink) -> Group:
    parts: list[RenderableType] = [Text(INTRODUCTION, style=ink.plain)]
    for title, group in GROUPS:
        parts += [Text(title, style=ink.lit), _two_columns(ink, [(key.shown, key.help) for key in group if key.help])]
    terminal = [("Ctrl-]", "leave it; every other key goes to the container")]
    parts += [Text("In the container's terminal", style=ink.lit), _two_columns(ink, terminal)]
    parts += [Text("Marks", style=ink.lit), _two_columns(ink, MARKS), Text(LIMITS, style=ink.dim)]
    return Group(*parts)


def _two_columns(ink: Ink, rows: Sequence[tuple[str, str]]) -> Padding:
    table = Table.grid(padding=(0, 2))
    table.add_column(style=ink.strong, no_wrap=True, min_width=9)
    table.add_column(style=ink.plain)
    for shown, meaning in rows:
        table.add_row(Text(shown), Text(meaning))
    return Padding(table, (0, 0, 1, 2))
