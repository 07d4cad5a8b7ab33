"""What the stage is about, and why the chosen row happened."""

from rich.text import Text
from textual.widgets import Static

from tracer.tui.prose import prose
from tracer.tui.short_text import short_title
from tracer.tui.view import TraceView


class Explanation(Static):
    """A few lines of prose that belong to the cursor and the chosen row."""

    def __init__(self, view: TraceView) -> None:
        super().__init__(id="explanation")
        self.view = view

    def update_text(self) -> None:
        """Write it anew from the view."""
        view, ink = self.view, self.view.ink
        stage = view.model.stage_at(view.cursor)
        table = view.model.stage_table.get(stage.stage, {}) if stage else {}
        text = Text()
        if refusal := view.refusal_here():
            code = view.model.ended.exit_code if view.model.ended else None
            text.append(f"Exit code {code}: {refusal}\n", ink.bad)
        elif view.session.failure:
            text.append(f"The run has ended before its time: {view.session.failure}\n", ink.bad)
        elif (ended := view.model.ended) is not None and view.cursor == view.model.applied - 1:
            text.append(f"The run is over: {ended.reason}.\n", ink.lit)
        if view.never_begins:
            if view.session.recording.damage:
                text.append(
                    "The recording breaks off before its first stage. End shows what there is of it.", ink.plain
                )
        elif not stage:
            text.append(
                "containerd and the daemon are started first, so that the story can begin with your command. "
                "Their start-up is recorded too, and folded. Space goes to the first stage.",
                ink.plain,
            )
        elif not refusal:  # a stage's sentences count on a container
            text.append_text(prose(str(table.get("about", "")).strip(), ink))
        if because := self.because():
            text.append("\nwhy: ", ink.lit)
            text.append(because, ink.plain)
        self.update(text)

    def because(self) -> str:
        """The requests that the chosen row happened under, outermost first."""
        messages = self.view.model.conversation.messages
        return " ▸ ".join(short_title(messages[index].title) for index in self.view.links.why)
