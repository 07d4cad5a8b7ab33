"""A list of rows that may be a million long: it draws only the lines on the screen, and holds none.

Textual's DataTable needs an object a cell and took 10 s to take 50,000 rows in; this is a ScrollView that is asked for
one line at a time. A subclass says how many rows there are and how to write one; here are the chosen row, following
the end, the link marks, and the search.

    ❯ the chosen row     ● belongs to what is chosen     · happened during it
"""

from collections.abc import Sequence
from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual.binding import Binding, BindingType
from textual.events import Click
from textual.geometry import Region, Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from tracer.model import Link
from tracer.tui.view import TraceView

Piece = tuple[str, Style]
"""Some text and its ink."""
MARKS = {Link.NONE: " ", Link.DURING: "·", Link.DIRECT: "●"}


class EventLog(ScrollView, can_focus=True, inherit_bindings=False):
    """Rows drawn on demand, one of them chosen."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "move(-1)", "up", show=False),
        Binding("down,j", "move(1)", "down", show=False),
        Binding("pageup", "page(-1)", "page up", show=False),
        Binding("pagedown", "page(1)", "page down", show=False),
        Binding("less_than_sign", "edge(-1)", "top", show=False),
        Binding("greater_than_sign", "edge(1)", "bottom", show=False),
    ]
    empty = "nothing yet"
    """What stands in the pane while it has no rows."""

    class Chosen(Message):
        """A row was chosen by hand."""

        def __init__(self, log: "EventLog", row: int) -> None:
            self.log = log
            self.row = row
            super().__init__()

    def __init__(self, view: TraceView, *, id: str) -> None:
        super().__init__(id=id, classes="pane")
        self.view = view
        self.chosen = -1
        self.query_text = ""
        self._rows = 0
        self._ground = Style()

    # --- what a subclass says -------------------------------------------------------------------------------------

    def row_count(self) -> int:
        """How many rows there are at the cursor."""
        raise NotImplementedError

    def write_row(self, row: int, width: int) -> Sequence[Piece]:
        """The pieces of a row."""
        raise NotImplementedError

    def link_of(self, row: int) -> Link:
        """How strongly the row belongs to what is chosen."""
        return Link.NONE

    def linked_row(self) -> int | None:
        """The row to bring into sight when something was chosen elsewhere."""
        return None

    # --- what is searched: rows, unless a subclass hides some (folded calls) ---------------------------------------

    def search_size(self) -> int:
        return self.row_count()

    def search_text(self, place: int) -> str:
        return "".join(text for text, _ in self.write_row(place, 10_000))

    def search_place(self) -> int:
        """The place that the chosen row has in the search order."""
        return self.chosen

    def reveal(self, place: int) -> None:
        """Bring a match into sight and choose it."""
        self.choose(place)

    # --- showing --------------------------------------------------------------------------------------------------

    def update_rows(self, *, follow: bool) -> None:
        """The model or the cursor has changed. `follow`: the last row becomes the chosen one."""
        self._rows = self.row_count()
        self.virtual_size = Size(1, self._rows)
        if follow or self.chosen >= self._rows:
            linked = self.linked_row() if follow else None
            self.chosen = self._rows - 1 if linked is None else linked
            self.bring_into_sight(self.chosen)
        self.refresh()

    def show_links(self) -> None:
        """Something was chosen elsewhere: bring what belongs to it into sight."""
        self._rows = self.row_count()
        self.virtual_size = Size(1, self._rows)
        linked = self.linked_row()
        if linked is not None or self.chosen >= self._rows:
            self.chosen = self._rows - 1 if linked is None else linked
            self.bring_into_sight(self.chosen)
        self.refresh()

    def choose(self, row: int, *, by_hand: bool = True) -> None:
        """Make a row the chosen one."""
        if not self._rows:
            return
        self.chosen = max(0, min(row, self._rows - 1))
        self.bring_into_sight(self.chosen)
        self.refresh()
        if by_hand:
            self.post_message(self.Chosen(self, self.chosen))

    def bring_into_sight(self, row: int) -> None:
        """Scroll as little as needed."""
        if row >= 0:
            self.scroll_to_region(
                Region(0, row, 1, 1), animate=False, force=True, immediate=True, x_axis=False, origin_visible=False
            )

    def render_lines(self, crop: Region) -> list[Strip]:
        self._ground = self.rich_style  # costs as much as a row; once a frame is enough
        return super().render_lines(crop)

    def render_line(self, y: int) -> Strip:
        row = self.scroll_offset.y + y
        width = self.scrollable_content_region.width
        base = self._ground
        ink = self.view.ink
        if row >= self._rows:
            text = f"  {self.empty}" if y == 0 and not self._rows else ""
            return Strip([Segment(text, ink.dim)]).adjust_cell_length(width).apply_style(base)
        chosen = row == self.chosen
        link = self.link_of(row)
        gutter = ("❯" if chosen else " ") + MARKS[link]
        pieces: list[Piece] = [(gutter, ink.lit), *self.write_row(row, width - 2)]
        strip = Strip([Segment(text, style) for text, style in self._with_matches(pieces)])
        if strip.cell_length > width:
            strip = Strip([*strip.crop(0, width - 1), Segment("…", ink.dim)])
        strip = strip.adjust_cell_length(width)
        if chosen:
            shade = ink.chosen if self.has_focus else ink.resting
            return Strip([Segment(segment.text, (segment.style or base) + shade) for segment in strip])
        return strip.apply_style(base)

    def _with_matches(self, pieces: list[Piece]) -> list[Piece]:
        """Underline what the search looks for."""
        if not self.query_text:
            return pieces
        wanted, found = self.query_text.lower(), []
        for text, style in pieces:
            lower, begin = text.lower(), 0
            while (at := lower.find(wanted, begin)) >= 0:
                found += [(text[begin:at], style), (text[at : at + len(wanted)], style + self.view.ink.found)]
                begin = at + len(wanted)
            found.append((text[begin:], style))
        return found

    # --- keys and mouse -------------------------------------------------------------------------------------------

    def action_move(self, by: int) -> None:
        self.choose(self.chosen + by)

    def action_page(self, by: int) -> None:
        self.choose(self.chosen + by * max(1, self.scrollable_content_region.height - 1))

    def action_edge(self, end: int) -> None:
        self.choose(0 if end < 0 else self._rows - 1)

    def on_click(self, event: Click) -> None:
        offset = event.get_content_offset(self)
        if offset is not None:
            self.choose(self.scroll_offset.y + offset.y)

    def on_resize(self) -> None:
        self.virtual_size = Size(1, self._rows)
        self.bring_into_sight(self.chosen)
