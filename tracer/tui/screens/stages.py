"""All stages of the story: come to, passed over, to come, and, when the recording is over, not observed."""

from collections.abc import Mapping, Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.screen import ModalScreen

from tracer.tui.prose import plain
from tracer.tui.view import TraceView
from tracer.tui.widgets.event_log import EventLog, Piece

ROOM_FOR_WORDS = 52
"""Columns below which the title needs the room: a state is its sign alone, and the layer is not named."""


class StageList(EventLog):
    """One line a stage."""

    def __init__(self, view: TraceView) -> None:
        super().__init__(view, id="stage-list")
        self.remove_class("pane")
        self.tables: list[Mapping[str, object]] = list(view.model.stage_table.values())
        self.over = view.session.ended and view.model.applied == len(view.session.recording)
        """Nothing is recorded any more, and all of it has been read: what was not seen never will be."""
        self.entered = {stage.stage: stage.sequence for stage in reversed(view.model.stages)}
        self.places_entered = [row for row, table in enumerate(self.tables) if str(table.get("id")) in self.entered]
        self.state_width = 1 + max((len(self._state(row)[0]) for row in range(len(self.tables))), default=0)

    def row_count(self) -> int:
        return len(self.tables)

    def write_row(self, row: int, width: int) -> Sequence[Piece]:
        table, ink = self.tables[row], self.view.ink
        layer = str(table.get("layer", ""))
        title = plain(str(table.get("title", "")))
        state, style = self._state(row)
        columns = [(f"{state:<{self.state_width}}", style), (f"{layer:<11}", ink.layer(layer))]
        if width < ROOM_FOR_WORDS:
            columns = [(f"{state:.1} ", style)]
        return [
            (f"{row + 1:>3}  ", ink.dim),
            *columns,
            (title, ink.strong if str(table.get("id")) in self.entered else ink.dim),
        ]

    def _state(self, row: int) -> Piece:
        """What has become of a stage, and the ink to say it in."""
        ink, name = self.view.ink, str(self.tables[row].get("id"))
        current = self.view.model.stage_at(self.view.cursor)
        at = self.entered.get(name)
        if current is not None and current.stage == name:
            return "▶ here", ink.lit
        if at is not None:
            return ("✓ seen", ink.good) if at <= self.view.cursor else ("  ahead", ink.plain)
        if self.over:
            return "– not observed", ink.dim
        if self.places_entered and row < self.places_entered[-1]:
            # Programs run at once: what a later stage has overtaken may be entered yet, for as long as anything runs.
            return "– not yet observed", ink.dim
        return "  to come", ink.dim


class StagesScreen(ModalScreen[int | None]):
    """Choose a stage to go to; Escape leaves things as they are."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,g,5", "dismiss(None)", "close"),
        Binding("enter", "go", "go there"),
    ]

    def __init__(self, view: TraceView) -> None:
        super().__init__()
        self._list = StageList(view)

    def compose(self) -> ComposeResult:
        self._list.border_title = "5 the story, stage by stage"
        self._list.border_subtitle = "Enter goes to a stage that was reached · Esc closes"
        yield self._list

    def on_mount(self) -> None:
        self._list.update_rows(follow=False)
        ids = [table.get("id") for table in self._list.tables]
        current = self._list.view.model.stage_at(self._list.view.cursor)
        self._list.choose(ids.index(current.stage) if current and current.stage in ids else 0, by_hand=False)
        self._list.focus()

    def action_go(self) -> None:
        if not self._list.tables:
            self.dismiss(None)
            return
        at = self._list.entered.get(str(self._list.tables[self._list.chosen].get("id")))
        if at is None:
            self._list.border_subtitle = "that stage has not been reached"
        else:
            self.dismiss(at)
