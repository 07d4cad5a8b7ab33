"""Where one pane has the screen, which of the six it is."""

from rich.segment import Segment
from textual.strip import Strip
from textual.widget import Widget

from tracer.tui.view import TraceView

NAMES = ("conversation", "events", "processes", "calls", "story", "terminal")


class TabBar(Widget):
    """One line of numbered names, the front one in brackets and lit; where they do not all fit, only its name."""

    def __init__(self, view: TraceView) -> None:
        super().__init__(id="tab-bar")
        self.view = view
        self.front = 4

    def render_line(self, y: int) -> Strip:
        ink = self.view.ink
        every_name = sum(len(name) + 4 for name in NAMES) <= self.size.width
        pieces = []
        for number, name in enumerate(NAMES, start=1):
            if number == self.front:
                pieces.append(Segment(f"[{number} {name}]", ink.badge))
            else:
                pieces.append(Segment(f" {number} {name} " if every_name else f" {number} ", ink.dim))
        return Strip(pieces).adjust_cell_length(self.size.width).apply_style(self.rich_style)
