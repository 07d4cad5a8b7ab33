"""The help page: what is on the screen, what the marks mean, every key, and what tracing cannot show."""

from rich.text import Text

from tracer.tui.keys import GROUPS
from tracer.tui.screens.detail import DetailScreen
from tracer.tui.theme import Ink

INTRODUCTION = """\
You are looking down through every layer of one docker run: six programs that talk over sockets and start one another.
Everything here was observed from outside, by ptrace(2); no program reports about itself.

The story is held at each stage: nothing runs while you read. The lit box at the top is the layer that acts. The four
panes are four views of that one moment. Choose a row with ↑ and ↓ in one, and look at the others.
"""
MARKS = (
    ("❯", "the chosen row"),
    ("●", "the same thing seen from another side: the calls that carried a message, the process that made a call"),
    ("·", "happened while that request was being answered, or is the request it happened under"),
    ("─▶ ◀─", "a message that arrived; ╌▷ ◁╌ one that was written and not read yet"),
    ("▸ ▾", "a run of ordinary calls, folded and unfolded; the count is all of them"),
    ("⧗", "a call that a process is in: it waits, or is held before it begins"),
    ("◆ ● ×", "a process: the one whose calls are listed, a living one, one that has ended"),
    ("4301→1", "a pid outside and inside the container's pid namespace"),
)
LIMITS = """\
What tracing changes: a traced program sees a TracerPid, runs slower (times here order events and measure nothing), and
cannot be traced by another. A stage that was not seen is called not observed, and is never assumed.
"""


class HelpScreen(DetailScreen):
    """Teaches the screen on one page."""

    def __init__(self, ink: Ink) -> None:
        super().__init__("glassbottom: help", _page(ink))


def _page(ink: Ink) -> Text:
    page = Text(INTRODUCTION, style=ink.plain)
    for title, group in GROUPS:
        page.append(f"\n{title}\n", ink.lit)
        for key in group:
            if key.help:
                page.append(f"  {key.shown:<10}", ink.strong)
                page.append(f" {key.help}\n", ink.plain)
    page.append("  Ctrl-]    ", ink.strong)
    page.append(" leave the container's terminal, where every other key goes to the container\n", ink.plain)
    page.append("\nMarks\n", ink.lit)
    for mark, meaning in MARKS:
        page.append(f"  {mark:<10}", ink.strong)
        page.append(f" {meaning}\n", ink.plain)
    page.append("\n" + LIMITS, ink.dim)
    return page
