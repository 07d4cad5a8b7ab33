"""The top line: what runs, and in what state the story is. The state is a word, never only a colour."""

from rich.segment import Segment
from textual.strip import Strip
from textual.widget import Widget

from tracer.tui.view import TraceView


class TitleBar(Widget):
    """Name, command line, and the state's badge at the right."""

    def __init__(self, view: TraceView) -> None:
        super().__init__(id="title-bar")
        self.view = view
        self.progress = ""
        """Said while a recording is still being read."""
        self.place = ""
        """Which stage of how many, where nothing else says so."""

    def state(self) -> str:
        """The state in words."""
        session, view = self.view.session, self.view
        if self.progress:
            return self.progress
        if session.failure:
            return "FAILED"
        if session.recording.damage:
            return "DAMAGED RECORDING"
        if not session.is_live:
            return "REPLAY"
        if view.in_the_past and not session.in_turn:
            return "VIEWING THE PAST"
        if session.ended:
            ended = view.model.ended
            return "ENDED" if ended is None or ended.exit_code is None else f"ENDED, exit {ended.exit_code}"
        return "HELD" if session.held else "RUNNING"

    def render_line(self, y: int) -> Strip:
        ink = self.view.ink
        state = f" {self.state()} "
        place = f" {self.place} " if self.place else ""
        room = self.size.width - len(state) - len(place) - 1
        command = self.view.model.command_line
        if room > len(command) + 17:
            left = [Segment(" glassbottom ", ink.lit), Segment(f"  {command}", ink.strong)]
        else:
            left = [Segment(" " + command, ink.strong)]
        strip = Strip(left)
        if strip.cell_length > room > 1:
            strip = Strip([*strip.crop(0, room - 2), Segment("… ", ink.dim)])
        strip = strip.adjust_cell_length(max(0, room))
        badge = ink.badge if state != " RUNNING " else ink.good
        return Strip([*strip, Segment(place, ink.dim), Segment(state, badge), Segment(" ")]).apply_style(
            self.rich_style
        )
