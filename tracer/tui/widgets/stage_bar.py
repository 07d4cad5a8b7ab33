"""Which stage of how many, what it is called, and which comes next.

Stage 7 of 31  ━━━━━━━╸─────────────────────────  daemon: The daemon asks containerd for a task  ▸ now containerd
"""

from collections.abc import Mapping

from rich.segment import Segment
from textual.strip import Strip
from textual.widget import Widget

from tracer.tui.prose import plain
from tracer.tui.view import TraceView

ROOM_FOR_PROGRESS = 78
"""Columns from which the stage's title leaves room for a bar."""


class StageBar(Widget):
    """Two lines: where we are, and what comes next."""

    def __init__(self, view: TraceView) -> None:
        super().__init__(id="stage-bar")
        self.view = view

    def place(self) -> tuple[int, int]:
        """The stage's number in the story's table (0 before the first), and how many there are."""
        stages = list(self.view.model.stage_table)
        stage = self.view.model.stage_at(self.view.cursor)
        return (stages.index(stage.stage) + 1 if stage and stage.stage in stages else 0), len(stages)

    def place_in_words(self) -> str:
        """``Stage 7 of 55``."""
        number, total = self.place()
        return f"Stage {number} of {total}" if number else f"Before stage 1 of {total}"

    def current(self) -> Mapping[str, object]:
        """The current stage's table, empty before the first."""
        stage = self.view.model.stage_at(self.view.cursor)
        return self.view.model.stage_table.get(stage.stage, {}) if stage else {}

    def next(self) -> Mapping[str, object]:
        """The stage to come: the one recorded next where that is known, else the next in the table."""
        model, cursor = self.view.model, self.view.cursor
        for stage in model.stages:
            if stage.sequence > cursor:
                return model.stage_table.get(stage.stage, {})
        seen = {stage.stage for stage in model.stages}
        if self.view.session.ended or self.view.never_begins:
            return {}
        place, _ = self.place()
        return next((table for name, table in list(model.stage_table.items())[place:] if name not in seen), {})

    def render_line(self, y: int) -> Strip:
        width = self.size.width
        strip = Strip(self._here(width) if y == 0 else self._following(width))
        if strip.cell_length > width:
            strip = Strip([*strip.crop(0, width - 1), Segment("…", self.view.ink.dim)])
        return strip.adjust_cell_length(width).apply_style(self.rich_style)

    def _here(self, width: int) -> list[Segment]:
        ink, stage = self.view.ink, self.current()
        number, total = self.place()
        pieces = [Segment(f" {self.place_in_words()} ", ink.badge)]
        gap = " "
        if width >= ROOM_FOR_PROGRESS:
            length = min(40, width - 70)
            done = length * number // total if total else 0
            pieces += [Segment(" "), Segment("━" * done, ink.lit), Segment("─" * (length - done), ink.dim)]
            gap = "  "
        if not stage:
            came_up = "the stack is coming up"
            if self.view.never_begins:
                came_up = "no stage is recorded" if self.view.session.recording.damage else "the stack did not come up"
            return [*pieces, Segment(f"{gap}{came_up}", ink.strong)]
        layer = str(stage.get("layer", ""))
        title = "Nothing was run" if self.view.refusal_here() else plain(str(stage.get("title", "")))
        pieces += [Segment(f"{gap}{layer}: ", ink.layer(layer)), Segment(title, ink.strong)]
        seat = self.view.seat_here()
        if seat is not None and seat != layer:  # between two stages: whose seat is lit above
            pieces += [Segment("  ▸ now ", ink.dim), Segment(seat, ink.layer(seat))]
        return pieces

    def _following(self, width: int) -> list[Segment]:
        ink, following = self.view.ink, self.next()
        text = plain(f"{following['layer']}: {following['title']}") if following else "the end of the story"
        pieces = [Segment(f" next   {text}", ink.dim)]
        source = f"[o] {self.current().get('source', '')} "
        if len(source) > 5 and (gap := width - Strip(pieces).cell_length - len(source)) > 1:
            pieces += [Segment(" " * gap), Segment(source, ink.dim)]
        return pieces
