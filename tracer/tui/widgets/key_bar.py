"""The bottom line: the keys that matter now, or what was said last."""

from rich.segment import Segment
from textual.strip import Strip
from textual.widget import Widget

from tracer.tui.keys import GROUPS
from tracer.tui.view import TraceView


class KeyBar(Widget):
    """As many keys as fit, the most useful first. A sentence, once said, stands before them until the next key."""

    def __init__(self, view: TraceView) -> None:
        super().__init__(id="key-bar")
        self.view = view
        self.said = ""
        self.typing = False
        """The container has the keyboard."""

    def render_line(self, y: int) -> Strip:
        ink, width = self.view.ink, self.size.width
        pieces = [Segment(" ")]
        if self.said:
            pieces += [Segment(f"{self.said}  ", ink.lit)]
        keys = self._keys()
        if self.typing:
            keys = [("Ctrl-]", "leaves the terminal")]
            if self.view.session.held:
                keys.append(("then Space", "goes on: everything is held"))
        for shown, label in keys:
            length = Strip(pieces).cell_length + len(shown) + len(label) + 3
            if length > width:
                break
            pieces += [Segment(shown, ink.strong), Segment(f" {label}  ", ink.dim)]
        strip = Strip(pieces)
        if strip.cell_length > width:
            strip = Strip([*strip.crop(0, width - 1), Segment("…", ink.dim)])
        return strip.adjust_cell_length(width).apply_style(self.rich_style)

    def _keys(self) -> list[tuple[str, str]]:
        """What helps most in the story's state first; then what always helps; then the rest."""
        session = self.view.session
        keys = [(key.shown, key.label) for _, group in GROUPS for key in group if key.label]
        if not session.is_live or session.held:
            names = ["Space", "c", "r", "←", "→"]
        elif session.ended:
            names = ["←", "→"]
        else:
            names = ["p", "6", "←", "→"]
            keys.append(("6", "type in the container"))
        names += ["?", "q"]
        first = [pair for name in names for pair in keys if pair[0] == name]
        useless = {"p"} if session.held or session.ended else set()
        if session.is_live and not session.held:
            useless |= {"Space", "c", "r"}
        return [*first, *(pair for pair in keys if pair not in first and pair[0] not in useless)]
