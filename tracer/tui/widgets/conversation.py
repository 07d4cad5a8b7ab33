"""Pane 1: what the programs say to each other. One line a message, both of its ends named.

What was said before the story began (the daemon fetching its image into containerd, mostly) is one line with a count.
"""

import re
from collections.abc import Sequence

from tracer.model import Link
from tracer.model.conversation import Message
from tracer.tui.widgets.event_log import EventLog, Piece

_NAMES = {"http": "HTTP", "grpc": "gRPC", "ttrpc": "ttRPC"}
_LONG_ID = re.compile(r"\b([0-9a-f]{12})[0-9a-f]{52}\b")
_VERSION = re.compile(r" /v1\.\d+/")
ENDS_WIDTH = 21


class Conversation(EventLog):
    """HTTP between client and daemon, gRPC to containerd, ttRPC to the shim."""

    BORDER_TITLE = "1 conversation: HTTP · gRPC · ttRPC"
    empty = "nobody has said anything yet"

    _opened = False
    """What was said before the story is listed too."""
    _before = 0
    """How many messages stand folded in the first row."""

    def row_count(self) -> int:
        model, cursor = self.view.model, self.view.cursor
        count = model.conversation.messages_at(cursor)
        self._before = 0 if self._opened else min(count, model.conversation.messages_at(model.story_start - 1))
        return count - self._before + (1 if self._before else 0)

    def message_at(self, row: int) -> Message | None:
        """The message of a row, None for the folded ones."""
        if self._before and row == 0:
            return None
        return self.view.model.conversation.messages[row + self._before - (1 if self._before else 0)]

    def write_row(self, row: int, width: int) -> Sequence[Piece]:
        message = self.message_at(row)
        ink = self.view.ink
        if message is None:
            return [("▸ ", ink.lit), ("before the story", ink.strong), (f"  {self._before:,} messages", ink.dim)]
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
            (f" {arrow} ", ink.dim),
            (far, ink.layer(far)),
            (" " * max(1, ENDS_WIDTH - len(near) - len(far) - 4), ink.plain),
            (short_title(message.title), ink.dim if envelope else ink.plain if answer else ink.strong),
        ]

    def link_of(self, row: int) -> Link:
        message = self.message_at(row)
        return Link.NONE if message is None else self.view.links.message(message.index)

    def linked_row(self) -> int | None:
        links, count = self.view.links, self.view.model.conversation.messages_at(self.view.cursor)
        shown = [index for index in links.messages or links.during_messages if self._before <= index < count]
        return max(shown) - self._before + (1 if self._before else 0) if shown else None

    def toggle_fold(self) -> None:
        """List what was said before the story, or fold it away."""
        self._opened = not self._opened
        self.update_rows(follow=False)

    def _ends(self, message: Message) -> tuple[str, str]:
        """The seats of both ends, the one nearer to the keyboard first."""
        view = self.view
        sent = view.layer_of(message.sent.process, message.sent.sequence) if message.sent else None
        received = view.layer_of(message.received.process, message.received.sequence) if message.received else None
        ends = (sent or "?", received or "?")
        return ends if message.direction == "request" else (ends[1], ends[0])


def short_title(title: str) -> str:
    """A message's title without what is the same in all of them: API version, the rest of a long id."""
    return _LONG_ID.sub(r"\1", _VERSION.sub(" /", title))
