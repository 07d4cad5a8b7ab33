"""The bottom line: the keys that matter now, or what was said last."""

from rich.cells import cell_len
from rich.segment import Segment
from textual.strip import Strip
from textual.widget import Widget

from tracer.tui.keys import GROUPS, OF_PANES
from tracer.tui.view import TraceView


class KeyBar(Widget):
    """As many keys as fit, the most useful first, and always the way out.

    A sentence, once said, stands before them until the next key. One that is longer than the line is
    not shown here but by `notice`.
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
        for shown, label in _that_fit(keys, width - Strip(pieces).cell_length):
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


def _that_fit(keys: list[tuple[str, str]], width: int) -> list[tuple[str, str]]:
    """As many as fit, in their order; the way out, where it is one of them, before all others."""
    way_out = next((key for key in keys if key[0] == "q"), None)
    room = width - (_width_of(way_out) if way_out else 0)
    if room < 0:
        way_out, room = None, width
    fit: list[tuple[str, str]] = []
    for key in keys:
        if key != way_out and (room := room - _width_of(key)) < 0:
            return [*fit, way_out] if way_out and way_out not in fit else fit
        fit.append(key)
    return fit


def _width_of(key: tuple[str, str]) -> int:
    """Key, blank, label, and the two blanks before the next."""
    return len(key[0]) + len(key[1]) + 3
