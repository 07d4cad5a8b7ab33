"""The event exchange: everything that happens in containerd, told to whoever subscribes.

Real counterpart: containerd `events/exchange/exchange.go`. Two ways in, one way out:

    containerd's own services  --publish-->  exchange  --Envelope-->  every subscription whose filter matches
    shims (over ttrpc)         --forward-->     |                      (ctr events, dockerd, our daemon)

Publishing is synchronous and appends to each subscriber's own queue, so that all subscribers see all events in one
order: the order of causes. As in containerd the queue of a subscriber that does not read grows without bound; events
are never dropped.
"""

import asyncio
from collections import deque
from collections.abc import Sequence

from google.protobuf.any_pb2 import Any
from google.protobuf.message import DecodeError, Message

from runtime.api.containerd import events_pb2, image_events_pb2
from runtime.api.containerd.events_service_pb2 import Envelope
from runtime.containerd import clock, filters, identifiers
from runtime.containerd.errors import InvalidArgumentError

_EVENT_MODULES = {"containerd.events": events_pb2, "containerd.services.images.v1": image_events_pb2}
"""Where the messages of an event's package are."""


class Subscription:
    """One subscriber's queue, read as an async iterator."""

    def __init__(self, exchange: "Exchange", wanted: filters.Filter) -> None:
        self._exchange = exchange
        self._wanted = wanted
        self._queue: deque[Envelope] = deque()
        self._waiting = asyncio.Event()

    def offer(self, envelope: Envelope) -> None:
        """Queue the envelope if the filter lets it through."""
        if self._wanted.matches(_envelope_reader(envelope)):
            self._queue.append(envelope)
            self._waiting.set()

    def __aiter__(self) -> "Subscription":
        return self

    async def __anext__(self) -> Envelope:
        while not self._queue:
            self._waiting.clear()
            await self._waiting.wait()
        return self._queue.popleft()

    async def aclose(self) -> None:
        """End the subscription."""
        self._exchange.leave(self)


class Exchange:
    """Where events go in and subscriptions hang on."""

    def __init__(self) -> None:
        self._subscriptions: list[Subscription] = []

    def publish(self, namespace: str, topic: str, event: Message) -> None:
        """Tell subscribers of an event of our own."""
        # The bare message name, not Any.Pack's "type.googleapis.com/...": containerd's typeurl registers names
        # without a host.
        packed = Any(type_url=event.DESCRIPTOR.full_name, value=event.SerializeToString())
        self.publish_packed(namespace, topic, packed)

    def publish_packed(self, namespace: str, topic: str, event: Any) -> None:
        """Tell subscribers of an event that a client has packed."""
        self.forward(Envelope(timestamp=clock.now(), namespace=namespace, topic=topic, event=event))

    def forward(self, envelope: Envelope) -> None:
        """Pass on an event that a shim has put into its envelope."""
        _validate(envelope)
        for subscription in self._subscriptions:
            subscription.offer(envelope)

    def subscribe(self, texts: Sequence[str]) -> Subscription:
        """Start to queue events that match one of the filters (all events if there is none)."""
        subscription = Subscription(self, filters.parse(texts))
        self._subscriptions.append(subscription)
        return subscription

    def leave(self, subscription: Subscription) -> None:
        """Stop queueing for this subscription."""
        if subscription in self._subscriptions:
            self._subscriptions.remove(subscription)


def _validate(envelope: Envelope) -> None:
    identifiers.require_identifier(envelope.namespace, "event envelope has invalid namespace: ")
    if not envelope.topic.startswith("/"):
        raise InvalidArgumentError(f"envelope topic \"{envelope.topic}\": must start with '/'")
    for component in envelope.topic[1:].split("/"):
        if why := identifiers.problem(component):
            raise InvalidArgumentError(
                f'envelope topic "{envelope.topic}": failed validation on component "{component}": {why}'
            )
    if not envelope.HasField("timestamp"):
        raise InvalidArgumentError("timestamp must be set on forwarded event")


def _envelope_reader(envelope: Envelope) -> filters.FieldReader:
    """Fields are namespace, topic, and event.FIELD of the message inside (which is decoded only when a filter asks)."""

    def read(path: Sequence[str]) -> str | None:
        if path[0] == "event":
            inside = unpack(envelope.event)
            return filters.message_reader(inside)(path[1:]) if inside is not None and len(path) > 1 else None
        if len(path) != 1:
            return None
        return {"namespace": envelope.namespace, "topic": envelope.topic}.get(path[0]) or None

    return read


def unpack(packed: Any) -> Message | None:
    """Return the event inside an Any; None for a type that is not containerd's or bytes that are not that type."""
    package, _, name = packed.type_url.rpartition("/")[2].rpartition(".")
    kind = getattr(_EVENT_MODULES.get(package), name, None)
    if not (isinstance(kind, type) and issubclass(kind, Message)):
        return None
    try:
        return kind.FromString(packed.value)
    except DecodeError:
        return None
