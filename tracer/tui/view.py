"""What the panes look at together: the model, the cursor, and the chosen row with all that belongs to it."""

from collections.abc import Callable
from dataclasses import dataclass, field

from tracer.codec import RecordingError
from tracer.events import Event
from tracer.model import Links, Process, TraceModel
from tracer.model.links import links_of_event
from tracer.session.session import Session
from tracer.stages.layers import Layer
from tracer.tui.theme import DARK, Ink, ink_of


@dataclass(slots=True)
class TraceView:
    """Shared by all panes of one trace screen, which reads and writes it; panes only read."""

    session: Session
    model: TraceModel
    links: Links = field(default_factory=Links)
    process: Process | None = None
    """Whose calls are listed; None before anything is known."""
    everyone: bool = False
    """List everyone's calls instead."""
    ink: Ink = field(default_factory=lambda: ink_of(DARK))

    @property
    def cursor(self) -> int:
        """The last event on show, as far as the recording has been read."""
        return min(self.session.cursor.position, self.model.applied - 1)

    @property
    def in_the_past(self) -> bool:
        return self.session.is_live and not self.session.cursor.at_end

    def event(self, sequence: int) -> Event | None:
        """A decoded event, None where its line is damaged."""
        try:
            return self.session.recording.event(sequence)
        except RecordingError:
            return None

    def look_at_cursor(self) -> None:
        """Choose what is under the cursor: the panes show one moment again."""
        cursor = self.cursor
        stage = self.model.stage_at(cursor)
        # Right after a stage was entered, the stage and what showed it is the moment; else the last event is.
        at_stage = stage is not None and cursor - stage.sequence <= 1
        sequence = stage.sequence if stage is not None and at_stage else cursor
        self.links = links_of_event(self.model, sequence)
        acting = self.model.process_of(stage.sequence) if stage is not None and at_stage else None
        acting = acting or self.model.acting_at(cursor)
        if acting is not None:
            self.process = acting

    def layer_of(self, process: int, sequence: int) -> Layer | None:
        """The seat a process sits in when an event happens."""
        if not 0 <= process < len(self.model.processes.all):
            return None
        return self.model.processes.all[process].layer_at(sequence)


Chooser = Callable[[Links, int | None], None]
"""How a pane tells that a row was chosen: what belongs to it, and the index of the process to list the calls of."""
