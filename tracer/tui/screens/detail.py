"""One thing in full: a message with its body, a call with its arguments, a process, some source lines."""

from typing import ClassVar

from rich.console import RenderableType
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Static


class DetailScreen(ModalScreen[None]):
    """A page to scroll; Escape, Enter or q closes it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,enter,q,o,i", "dismiss", "close"),
        Binding("up,k", "scroll(-1)", "up"),
        Binding("down,j", "scroll(1)", "down"),
        Binding("home", "edge(-1)", "top"),
        Binding("end", "edge(1)", "bottom"),
    ]

    def __init__(self, heading: str, content: RenderableType) -> None:
        super().__init__()
        self._heading = heading
        self._content = content

    def compose(self) -> ComposeResult:
        with VerticalScroll(id="page") as page:
            page.border_title = self._heading
            page.border_subtitle = "↑ ↓ PgUp PgDn scroll · Esc closes"
            yield Static(self._content, id="page-text")

    def action_scroll(self, by: int) -> None:
        self.query_one("#page").scroll_relative(y=by, animate=False)

    def action_edge(self, end: int) -> None:
        page = self.query_one("#page")
        page.scroll_to(y=0 if end < 0 else page.max_scroll_y, animate=False)
