"""Sightings that came too early, because the kernel reports what happens on two cores in either order.

    client   write(request) ........................ returns, reported: stage `asks`
    daemon           read(request) returns, reported: stage `hears`, which comes after `asks`
    daemon                    write(next request) returns, reported: stage `goes-on`, which comes after `hears`

The daemon's stages are seen before the client's, though nobody would doubt their order. So the reader's sighting is
kept until the writer's end of the same message (same connection, same title) enters its stage; and what comes after a
kept sighting is kept with it. They are then entered in their order.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from tracer.events import MessageSeen, StageEntered
from tracer.stages.pattern import Stage


class Sighting(NamedTuple):
    """One kept observation."""

    stage: Stage
    entered: StageEntered
    connection: str
    """Of the message whose writer is waited for; empty for one that only follows a kept sighting."""
    title: str


class EarlySightings:
    """What was seen while the stage before it was not."""

    def __init__(self) -> None:
        self._kept: dict[str, Sighting] = {}

    def keep_reader(self, stage: Stage, entered: StageEntered, message: MessageSeen) -> None:
        """A message at its reading end; the latest such sighting counts."""
        self._kept.pop(stage.id, None)
        self._kept[stage.id] = Sighting(stage, entered, message.connection, message.title)

    def keep_follower(self, stage: Stage, entered: StageEntered, missing: Sequence[str]) -> None:
        """Anything whose missing stages are all kept here; the first such sighting counts."""
        if stage.id not in self._kept and all(name in self._kept for name in missing):
            self._kept[stage.id] = Sighting(stage, entered, "", "")

    def settle(self, message: MessageSeen, missing: Callable[[Stage], Sequence[str]]) -> list[Sighting]:
        """The writer's end of a message has entered its stage: the sightings that count now, in order."""
        found: list[Sighting] = []
        settled: set[str] = set()
        for sighting in list(self._kept.values()):
            same = (sighting.connection, sighting.title) == (message.connection, message.title)
            follows = not sighting.connection and any(name in settled for name in sighting.stage.after)
            if (same or follows) and settled.issuperset(missing(sighting.stage)):
                settled.add(sighting.stage.id)
                found.append(sighting)
        for sighting in found:
            del self._kept[sighting.stage.id]
        return found
