"""Pane 2: containerd's event stream, as it passes from shim to containerd to the daemon."""

from collections.abc import Sequence

from tracer.model import Link
from tracer.stages.layers import Layer
from tracer.tui.widgets.event_log import Piece
from tracer.tui.widgets.story_log import StoryLog

SUBJECT_WIDTH = 14


class ContainerdEvents(StoryLog):
    """One line an event: topic, subject, and who has it by now."""

    BORDER_TITLE = "2 containerd events"
    empty = "containerd has published nothing yet"
    noun = "events"

    def count_at(self, cursor: int) -> int:
        return self.view.model.conversation.events_at(cursor)

    def write_item(self, index: int, width: int) -> Sequence[Piece]:
        event = self.view.model.conversation.events[index]
        ink = self.view.ink
        subject = event.subject[:12] if len(event.subject) == 64 else event.subject.rsplit("/", 1)[-1]
        pieces: list[Piece] = [
            (f"{event.topic:<20} ", ink.strong),
            (f"{subject[: SUBJECT_WIDTH - 1]:<{SUBJECT_WIDTH}}", ink.dim),
        ]
        for place, layer in enumerate(self._route(index)):
            pieces += [("▸" if place else "", ink.dim), (layer, ink.layer(layer))]
        return pieces

    def link_of(self, row: int) -> Link:
        index = self.index_of(row)
        return Link.NONE if index is None else self.view.links.event(index)

    def linked_items(self) -> set[int]:
        return self.view.links.events or self.view.links.during_events

    def _route(self, index: int) -> list[Layer]:
        """The seats that had the event by now, in the order in which it passes them: up, from the shim to the client.

        Not in that of the recording: a reader may be seen to have it before the end of the call that wrote it is seen.
        """
        sightings = self.view.model.conversation.events[index].sightings
        seen = {self.view.layer_of(one.process, one.sequence) for one in sightings if one.sequence <= self.view.cursor}
        return [layer for layer in reversed(Layer) if layer in seen]
