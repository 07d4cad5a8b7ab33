"""All stages of the story: come to, to come, and, when the recording is over, not observed."""

from collections.abc import Mapping, Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.screen import ModalScreen

from tracer.tui.prose import plain
from tracer.tui.view import TraceView
from tracer.tui.widgets.event_log import EventLog, Piece


class StageList(EventLog):
    """One line a stage."""

    def __init__(self, view: TraceView) -> None:
        super().__init__(view, id="stage-list")
        self.remove_class("pane")
        self.tables: list[Mapping[str, object]] = list(view.model.stage_table.values())
        self.state_width = 15 if view.session.recording.complete else 10  # only then is one not observed
        self.entered = {stage.stage: stage.sequence for stage in reversed(view.model.stages)}

    def row_count(self) -> int:
        return len(self.tables)

    def write_row(self, row: int, width: int) -> Sequence[Piece]:
        table, ink = self.tables[row], self.view.ink
        at = self.entered.get(str(table.get("id")))
        layer = str(table.get("layer", ""))
        current = self.view.model.stage_at(self.view.cursor)
        title = plain(str(table.get("title", "")))
        if current is not None and current.stage == table.get("id"):
            state, style = "▶ here", ink.lit
        elif at is not None:
            state, style = ("✓ seen", ink.good) if at <= self.view.cursor else ("  ahead", ink.plain)
        else:
            state, style = ("– not observed" if self.view.session.recording.complete else "  to come"), ink.dim
        return [
            (f"{row + 1:>3}  ", ink.dim),
            (f"{state:<{self.state_width}}", style),
            (f"{layer:<11}", ink.layer(layer)),
            (title, ink.strong if at is not None else ink.dim),
        ]


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
