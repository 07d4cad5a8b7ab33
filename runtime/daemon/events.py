"""What happened, for everyone who listens (moby: daemon/events). Not to be confused with containerd's own events.

The last 256 are kept for `--since`. A listener that does not read does not hold anybody up: its events wait in memory.
"""

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator
from typing import Any

from runtime.api.engine_api import EventMessage
from runtime.daemon.container import Container

_KEPT = 256


class EventLog:
    """Publishes events and lets clients follow them."""

    def __init__(self) -> None:
        self._recent: deque[EventMessage] = deque(maxlen=_KEPT)
        self._listeners: set[asyncio.Queue[EventMessage]] = set()

    @property
    def listener_count(self) -> int:
        """How many clients follow (`docker info`)."""
        return len(self._listeners)

    def container(self, action: str, container: Container, **attributes: str) -> None:
        """Something happened to a container. Its labels are attributes too."""
        labels = {key: str(value) for key, value in (container.config.get("Labels") or {}).items()}
        actor = {**labels, "image": container.image_name, "name": container.name, **attributes}
        self.publish("container", action, container.id, dict(sorted(actor.items())), container.image_name)

    def publish(self, kind: str, action: str, id: str, attributes: dict[str, str], origin: str = "") -> None:
        """Tell everyone."""
        now = time.time_ns()
        message: EventMessage = {}
        if kind in ("container", "image"):
            message |= {"status": action, "id": id}
            if origin:
                message["from"] = origin  # type: ignore[typeddict-unknown-key]  # a keyword cannot be a field's name
        message |= {
            "Type": kind,
            "Action": action,
            "Actor": {"ID": id, "Attributes": attributes},
            "scope": "local",
            "time": now // 10**9,
            "timeNano": now,
        }
        self._recent.append(message)
        for listener in self._listeners:
            listener.put_nowait(message)

    async def follow(
        self, filters: dict[str, list[str]], since_ns: int | None, until_ns: int | None
    ) -> AsyncIterator[EventMessage]:
        """Kept events from `since` on, then new ones until `until` (for ever without it)."""
        queue: asyncio.Queue[EventMessage] = asyncio.Queue()
        self._listeners.add(queue)
        alarm = None
        if until_ns is not None:
            # `until` is a moment that the client chose, the one thing here that only a clock can tell.
            loop = asyncio.get_running_loop()
            end: EventMessage = {}
            alarm = loop.call_later(max(0.0, (until_ns - time.time_ns()) / 1e9), queue.put_nowait, end)
        try:
            if since_ns is not None:
                for message in [m for m in self._recent if since_ns <= m["timeNano"] <= (until_ns or m["timeNano"])]:
                    if matches(message, filters):
                        yield message
            while message := await queue.get():
                if matches(message, filters):
                    yield message
        finally:
            self._listeners.discard(queue)
            if alarm is not None:
                alarm.cancel()


def matches(message: EventMessage, filters: dict[str, list[str]]) -> bool:
    """Whether an event passes every filter; within one key, any value will do."""
    return all(any(_matches_one(message, key, value) for value in values) for key, values in filters.items() if values)


def _matches_one(message: EventMessage, key: str, value: str) -> bool:
    actor = message["Actor"]
    attributes: dict[str, Any] = actor["Attributes"]
    kind = message["Type"]
    if key == "type":
        return kind == value
    if key == "event":
        action = message["Action"]
        return action == value or action.partition(":")[0] == value
    if key == "scope":
        return message["scope"] == value
    if key == "label":
        name, equals, wanted = value.partition("=")
        return name in attributes and (not equals or attributes[name] == wanted)
    if key == "image":
        image = attributes.get("image", attributes.get("name", ""))
        return kind in ("container", "image") and value in (actor["ID"], image, image.rpartition(":")[0])
    if key in ("container", "network", "volume"):
        named = kind == key and (actor["ID"].startswith(value) or attributes.get("name") == value)
        return named or attributes.get(key, "").startswith(value)
    return False
