"""Pane 1: what the programs say to each other. One line a message, both of its ends named."""

from collections.abc import Sequence

from tracer.model import Link
from tracer.model.conversation import Message
from tracer.tui.short_text import short_title
from tracer.tui.widgets.event_log import Piece
from tracer.tui.widgets.story_log import StoryLog

_NAMES = {"http": "HTTP", "grpc": "gRPC", "ttrpc": "ttRPC"}
ENDS_WIDTH = 19


class Conversation(StoryLog):
    """HTTP between client and daemon, gRPC to containerd, ttRPC to the shim."""

    BORDER_TITLE = "1 conversation: HTTP · gRPC · ttRPC"
    empty = "nobody has said anything yet"
    noun = "messages"

    def count_at(self, cursor: int) -> int:
        return self.view.model.conversation.messages_at(cursor)

    def message_at(self, row: int) -> Message | None:
        """The message of a row, None for the folded ones."""
        index = self.index_of(row)
        return None if index is None else self.view.model.conversation.messages[index]

    def write_item(self, index: int, width: int) -> Sequence[Piece]:
        message = self.view.model.conversation.messages[index]
        ink = self.view.ink
        answer = message.direction != "request"
        near, far = self._ends(message)
        arrow = "◀─" if answer else "─▶"
        if message.received is None or message.received.sequence > self.view.cursor:
            arrow = "◁╌" if answer else "╌▷"  # written, not read yet
        # Only an envelope around one of containerd's events, which have a pane of their own.
        envelope = message.title.startswith("Events/")
        return [
            (f"{_NAMES.get(message.protocol, message.protocol):<6}", ink.dim),
            (near, ink.layer(near)),
            (arrow, ink.dim),
            (far, ink.layer(far)),
            (" " * max(1, ENDS_WIDTH - len(near) - len(far) - len(arrow)), ink.plain),
            (short_title(message.title), ink.dim if envelope else ink.plain if answer else ink.strong),
        ]

    def link_of(self, row: int) -> Link:
        index = self.index_of(row)
        return Link.NONE if index is None else self.view.links.message(index)

    def linked_items(self) -> set[int]:
        return self.view.links.messages or self.view.links.during_messages

    def _ends(self, message: Message) -> tuple[str, str]:
        """The seats of both ends, the one nearer to the keyboard first."""
        view = self.view
        sent = view.layer_of(message.sent.process, message.sent.sequence) if message.sent else None
        received = view.layer_of(message.received.process, message.received.sequence) if message.received else None
        ends = (sent or "?", received or "?")
        return ends if message.direction == "request" else (ends[1], ends[0])
