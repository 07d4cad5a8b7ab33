"""Pane 1: what the programs say to each other. One line a message, both of its ends named."""

from collections.abc import Sequence

from tracer.model import Link
from tracer.model.conversation import Message
from tracer.tui.widgets.event_log import EventLog, Piece

_NAMES = {"http": "HTTP", "grpc": "gRPC", "ttrpc": "ttRPC"}


class Conversation(EventLog):
    """HTTP between client and daemon, gRPC to containerd, ttRPC to the shim."""

    BORDER_TITLE = "1 conversation: HTTP · gRPC · ttRPC"
    empty = "nobody has said anything yet"

    def row_count(self) -> int:
        return self.view.model.conversation.messages_at(self.view.cursor)

    def write_row(self, row: int, width: int) -> Sequence[Piece]:
        message = self._message(row)
        ink = self.view.ink
        answer = message.direction == "response"
        near, far = self._ends(message)
        arrow = "◀─" if answer else "─▶"
        if message.received is None or message.received.sequence > self.view.cursor:
            arrow = "◁╌" if answer else "╌▷"  # written, not read yet
        pieces: list[Piece] = [(f"{_NAMES.get(message.protocol, message.protocol):<6}", ink.dim)]
        ends = f"{near} {arrow} {far}"
        pieces += [(near, ink.layer(near)), (f" {arrow} ", ink.dim), (far, ink.layer(far))]
        pieces.append((" " * max(1, 24 - len(ends)), ink.plain))
        pieces.append((("  " if answer else "") + message.title, ink.plain if answer else ink.strong))
        return pieces

    def link_of(self, row: int) -> Link:
        return self.view.links.message(row)

    def linked_row(self) -> int | None:
        links = self.view.links
        rows = [row for row in links.messages or links.during_messages if row < self.row_count()]
        return max(rows) if rows else None

    def _message(self, row: int) -> Message:
        return self.view.model.conversation.messages[row]

    def _ends(self, message: Message) -> tuple[str, str]:
        """The seats of both ends, the one nearer to the keyboard first."""
        view = self.view
        sent = view.layer_of(message.sent.process, message.sent.sequence) if message.sent else None
        received = view.layer_of(message.received.process, message.received.sequence) if message.received else None
        ends = (sent or "?", received or "?")
        return ends if message.direction != "response" else (ends[1], ends[0])
