"""What the panes look at together: the model, the cursor, and the chosen row with all that belongs to it."""

from collections.abc import Callable
from dataclasses import dataclass, field

from tracer.codec import RecordingError
from tracer.events import Event, MessageSeen
from tracer.model import Links, Process, TraceModel
from tracer.model.links import links_of_event
from tracer.model.trace import StageSeen
from tracer.session.session import Session
from tracer.stages.layers import Layer
from tracer.tui.theme import DARK, Ink, ink_of

REFUSED = (125, 126, 127)
"""docker's exit codes for what it could not run; a container may end with them, too."""
_LAST_HOPS = 64
"""How much of the client's last output is looked through for its complaint."""


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

    def stage_here(self) -> StageSeen | None:
        """The stage that the cursor stands at: where it has just been entered, and where the story is over.

        What ends after the story's last stage is the stack itself, which nobody is to look at.
        """
        cursor = self.cursor
        stage = self.model.stage_at(cursor)
        over = self.model.ended is not None and cursor == self.model.applied - 1
        return stage if stage is not None and (over or cursor - stage.sequence <= 1) else None

    @property
    def never_begins(self) -> bool:
        """What there is of the story ends before its first stage."""
        broken = self.session.failure or self.session.recording.damage
        return not self.model.stages and (self.model.ended is not None or bool(broken))

    def seat_here(self) -> Layer | None:
        """The seat that acts at the cursor: the stage's where it stands at one, else that of the last event."""
        if (stage := self.stage_here()) is not None:
            return Layer(str(self.model.stage_table.get(stage.stage, {}).get("layer", Layer.CLIENT)))
        return self.model.layer_at(self.cursor)

    def look_at_cursor(self) -> None:
        """Choose what is under the cursor: the panes show one moment again."""
        stage = self.stage_here()
        self.links = links_of_event(self.model, self.cursor if stage is None else stage.sequence)
        acting = None if stage is None else self.model.process_of(stage.sequence)
        acting = acting or self.model.acting_at(self.cursor)
        if acting is not None:
            self.process = acting

    def container_is_over(self) -> bool:
        """The container was there, and nobody is left in it."""
        cursor = self.cursor
        inside = [one for one in self.model.processes.all if one.layer_at(cursor) is Layer.CONTAINER]
        return bool(inside) and not any(one.alive_at(cursor) for one in inside)

    def refusal(self) -> str:
        """The client's own words for why it could run nothing: ``docker: Error response from daemon: ...``.

        Empty while the story goes on, and where a container has ended with such a code.
        """
        ended = self.model.ended
        if ended is None or ended.exit_code not in REFUSED:
            return ""
        if any(layer is Layer.CONTAINER for process in self.model.processes.all for _, layer in process.layers):
            return ""  # what it wrote passes through the client as well, whatever it says
        text = ""
        for sequence, process in self.model.conversation.output[-_LAST_HOPS:]:
            event = self.event(sequence)
            if isinstance(event, MessageSeen) and self.layer_of(process, sequence) is Layer.CLIENT:
                text += event.body
        return next((line.strip() for line in reversed(text.splitlines()) if line.startswith("docker: ")), "")

    def refusal_here(self) -> str:
        """The same where the cursor is at the end of the story, of which it is the sum."""
        return self.refusal() if self.cursor == self.model.applied - 1 else ""

    def layer_of(self, process: int, sequence: int) -> Layer | None:
        """The seat a process sits in when an event happens."""
        if not 0 <= process < len(self.model.processes.all):
            return None
        return self.model.processes.all[process].layer_at(sequence)


Chooser = Callable[[Links, int | None], None]
"""How a pane tells that a row was chosen: what belongs to it, and the index of the process to list the calls of."""
