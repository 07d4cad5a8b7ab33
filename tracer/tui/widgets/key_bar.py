"""The bottom line: the keys that matter now, or what was said last."""

from rich.cells import cell_len
from rich.segment import Segment
from textual.strip import Strip
from textual.widget import Widget

from tracer.tui.keys import GROUPS, OF_PANES
from tracer.tui.view import TraceView


class KeyBar(Widget):
    """As many keys as fit, the most useful first. A sentence, once said, stands before them until the next key.

    One that is longer than the line is not shown here but by `notice`.
    """

    def __init__(self, view: TraceView) -> None:
        super().__init__(id="key-bar")
        self.view = view
        self.said = ""
        self.typing = False
        """The container has the keyboard."""
        self.panes_fit = True
        """The keys that are about panes do something."""

    def holds(self, sentence: str) -> bool:
        """Whether a sentence fits on the line."""
        return cell_len(sentence) + 2 <= self.screen.size.width

    def render_line(self, y: int) -> Strip:
        ink, width = self.view.ink, self.size.width
        pieces = [Segment(" ")]
        if self.said and self.holds(self.said):
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
        return Strip(pieces).adjust_cell_length(width).apply_style(self.rich_style)

    def _keys(self) -> list[tuple[str, str]]:
        """What helps most in the story's state first; then what always helps; then the rest."""
        session = self.view.session
        useful = (key for _, group in GROUPS for key in group if key.label)
        if not self.panes_fit:
            useful = (key for key in useful if key.action.partition("(")[0] not in OF_PANES)
        keys = [(key.shown, key.label) for key in useful]
        if not session.is_live or session.held:
            names = ["Space", "c", "r", "←", "→"]
        elif session.ended:
            names = ["←", "→"]
        else:
            names = ["p", "6", "←", "→"]
            if self.panes_fit:
                keys.append(("6", "type in the container"))
        names += ["?", "q"]
        first = [pair for name in names for pair in keys if pair[0] == name]
        useless = {"p"} if session.held or session.ended else set()
        if session.is_live and not session.held:
            useless |= {"Space", "c", "r"}
        return [*first, *(pair for pair in keys if pair not in first and pair[0] not in useless)]
