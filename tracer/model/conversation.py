"""What the programs say to each other: messages, seen by both ends, paired into exchanges, and containerd's events.

The tracer sees a message twice, once as the sender's writes and once as the receiver's reads, in either order (the
kernel may wake the reader before the writer's call returns). Both sightings are one message here. A response is
paired with the oldest unanswered request of its connection (HTTP/1.1 pipelining, RFC 9112 section 9.3.2), or of its
stream where the protocol has streams (HTTP/2, ttrpc).
"""

import re
from array import array
from bisect import bisect_right
from collections import defaultdict, deque
from dataclasses import dataclass, field

from tracer.events import MessageSeen

CONVERSATIONS = frozenset({"http", "grpc", "ttrpc"})
"""The protocols of the conversation pane."""
_LASTING = re.compile("Subscribe")
"""Requests that are answered for as long as they last."""
CONTAINERD_EVENT = "containerd-event"
STDIO = "stdio"


@dataclass(frozen=True, slots=True)
class Sighting:
    """A message as one end saw it."""

    sequence: int
    process: int
    side: str
    connection: str
    calls: tuple[int, ...]


@dataclass(slots=True)
class Message:
    """One message, seen by one or both of its ends."""

    index: int
    connection: str
    protocol: str
    direction: str
    title: str
    sent: Sighting | None = None
    received: Sighting | None = None
    partner: int = -1
    """Index of the request this answers, or of the response that answered this; -1 for none (yet)."""

    @property
    def sequence(self) -> int:
        """When it was first seen."""
        return min(sighting.sequence for sighting in self.sightings)

    @property
    def sightings(self) -> tuple[Sighting, ...]:
        return tuple(sighting for sighting in (self.sent, self.received) if sighting is not None)

    @property
    def complete(self) -> int:
        """When the last of its ends had seen it."""
        return max(sighting.sequence for sighting in self.sightings)


@dataclass(slots=True)
class ContainerdEvent:
    """One event of containerd, with everyone who passed it on: shim -> containerd -> whoever subscribed."""

    index: int
    topic: str
    subject: str
    """The container (or image, snapshot, ...) it is about."""
    sightings: list[Sighting] = field(default_factory=list)

    @property
    def sequence(self) -> int:
        return self.sightings[0].sequence


class Conversation:
    """Messages and containerd events in the order in which they were first seen."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.events: list[ContainerdEvent] = []
        self.output: list[tuple[int, int]] = []
        """(sequence number, process index) of output on its way up, each hop of it, as it was written."""
        self._message_starts: array[int] = array("I")
        self._half_seen: dict[tuple[str, str, str], deque[Message]] = defaultdict(deque)
        self._unanswered: dict[tuple[str, str, object], deque[Message]] = defaultdict(deque)
        self._topics: dict[tuple[str, str], list[ContainerdEvent]] = defaultdict(list)

    def seen(self, sequence: int, process: int, event: MessageSeen) -> None:
        """Take one sighting in."""
        sighting = Sighting(sequence, process, event.side, event.connection, event.calls)
        if event.protocol == CONTAINERD_EVENT:
            self._containerd_event(event, sighting)
        elif event.protocol == STDIO:
            if event.side == "sent" and event.fields.get("stream") != "stdin":
                self.output.append((sequence, process))
        elif event.protocol in CONVERSATIONS:
            self._message(event, sighting)

    def messages_at(self, cursor: int) -> int:
        """How many messages had been seen by then; they are kept in that order."""
        return bisect_right(self._message_starts, cursor)

    def events_at(self, cursor: int) -> int:
        """How many of containerd's events had been seen by then."""
        return bisect_right(self.events, cursor, key=lambda event: event.sequence)

    def output_between(self, after: int, cursor: int) -> list[tuple[int, int]]:
        """The hops of output after one event, up to and including another."""
        first = bisect_right(self.output, after, key=lambda hop: hop[0])
        return self.output[first : bisect_right(self.output, cursor, key=lambda hop: hop[0])]

    def _message(self, event: MessageSeen, sighting: Sighting) -> None:
        stream = event.fields.get("stream")
        half_seen = self._half_seen[event.connection, event.protocol, event.direction]
        for message in half_seen:
            other = message.received if event.side == "sent" else message.sent
            if other is not None and message.title == event.title:
                half_seen.remove(message)
                self._note(message, event.side, sighting)
                return
        message = Message(len(self.messages), event.connection, event.protocol, event.direction, event.title)
        self._note(message, event.side, sighting)
        self.messages.append(message)
        self._message_starts.append(sighting.sequence)
        half_seen.append(message)
        waiting = self._unanswered[event.connection, event.protocol, stream]
        if event.direction == "request":
            waiting.append(message)
        elif waiting and not _LASTING.search(waiting[0].title):
            # The first message of a streamed answer is an answer; so is a response's head, unless it says 100.
            request = waiting[0] if event.title.startswith("100 ") else waiting.popleft()
            request.partner, message.partner = message.index, request.index

    @staticmethod
    def _note(message: Message, side: str, sighting: Sighting) -> None:
        if side == "sent":
            message.sent = sighting
        else:
            message.received = sighting

    def _containerd_event(self, event: MessageSeen, sighting: Sighting) -> None:
        fields = event.fields
        subject = str(fields.get("container_id") or fields.get("id") or fields.get("key") or fields.get("name") or "")
        known_events = self._topics[event.title, subject]
        # The same event on another hop is one not seen there yet; on a hop where it was, the topic has come again.
        hop = (sighting.process, sighting.side, sighting.connection)
        for known in known_events:
            if hop not in {(seen.process, seen.side, seen.connection) for seen in known.sightings}:
                known.sightings.append(sighting)
                return
        known_events.append(ContainerdEvent(len(self.events), event.title, subject, [sighting]))
        self.events.append(known_events[-1])
