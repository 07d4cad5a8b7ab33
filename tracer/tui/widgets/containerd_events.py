"""Pane 2: containerd's event stream, as it passes from shim to containerd to the daemon."""

from collections.abc import Sequence

from tracer.model import Link
from tracer.tui.widgets.event_log import EventLog, Piece


class ContainerdEvents(EventLog):
    """One line an event: topic, subject, and who has it by now."""

    BORDER_TITLE = "2 containerd events"
    empty = "containerd has published nothing yet"

    def row_count(self) -> int:
        return self.view.model.conversation.events_at(self.view.cursor)

    def write_row(self, row: int, width: int) -> Sequence[Piece]:
        event = self.view.model.conversation.events[row]
        ink = self.view.ink
        pieces: list[Piece] = [(f"{event.topic:<22}", ink.strong), (f" {event.subject[:12]:<13}", ink.dim)]
        for place, layer in enumerate(self._route(row)):
            pieces += [(" ▸ " if place else "", ink.dim), (layer, ink.layer(layer))]
        return pieces

    def link_of(self, row: int) -> Link:
        return self.view.links.event(row)

    def linked_row(self) -> int | None:
        links = self.view.links
        rows = [row for row in links.events or links.during_events if row < self.row_count()]
        return max(rows) if rows else None

    def _route(self, row: int) -> list[str]:
        """The seats that had the event by now, in order."""
        route: list[str] = []
        for sighting in self.view.model.conversation.events[row].sightings:
            layer = self.view.layer_of(sighting.process, sighting.sequence)
            if sighting.sequence <= self.view.cursor and layer is not None and layer not in route:
                route.append(layer)
        return route
