"""Sightings that came too early: kept until the stages before them were entered, and entered then, in their order.

The kernel reports what happens on two cores in either order:

    client   write(request) ........................ returns, reported: stage `asks`
    daemon           read(request) returns, reported: stage `hears`, which comes after `asks`
    daemon                    write(next request) returns, reported: stage `goes-on`, which comes after `hears`

The daemon's stages are seen before the client's, though nobody would doubt their order. So the reader's sighting is
kept until the writer's end of the same message (same connection, same title) enters its stage; and what comes after a
kept sighting is kept with it.

And independent processes are as fast as they are: a program may have ended before the client is told that it runs. A
stage that is told behind another (`Stage.behind`) is kept while that one is under way, so that the same run tells the
same story every time.
"""

from collections.abc import Callable, Collection
from typing import NamedTuple

from tracer.events import MessageSeen, StageEntered
from tracer.stages.pattern import Stage


class Sighting(NamedTuple):
    """One kept observation."""

    stage: Stage
    entered: StageEntered
    connection: str = ""
    """Of the message whose writer is waited for; empty where only other stages are."""
    title: str = ""


class EarlySightings:
    """What was seen while a stage before it was not."""

    def __init__(self) -> None:
        self._kept: dict[str, Sighting] = {}

    def __contains__(self, stage: object) -> bool:
        return stage in self._kept

    def keep_reader(self, stage: Stage, entered: StageEntered, message: MessageSeen) -> None:
        """A message at its reading end; the latest such sighting counts, unless one counts already."""
        if stage.id in self._kept and not self._kept[stage.id].connection:
            return
        self._kept.pop(stage.id, None)
        self._kept[stage.id] = Sighting(stage, entered, message.connection, message.title)

    def keep(self, stage: Stage, entered: StageEntered, missing: Collection[str]) -> None:
        """Anything whose missing stages are all kept here, or may be overtaken; the first such sighting counts."""
        if stage.id not in self._kept and all(name in self._kept or name in stage.overtakes for name in missing):
            self._kept[stage.id] = Sighting(stage, entered)

    def writer_seen(self, message: MessageSeen) -> None:
        """The writer's end of a message has entered its stage: its reader's sighting counts from now on."""
        for name, sighting in self._kept.items():
            if sighting.connection and (sighting.connection, sighting.title) == (message.connection, message.title):
                self._kept[name] = Sighting(sighting.stage, sighting.entered)

    def next_ready(self, ready: Callable[[Stage], bool]) -> Sighting | None:
        """Take out the earliest sighting that counts and whose stage may be entered; None where there is none."""
        for name, sighting in self._kept.items():
            if not sighting.connection and ready(sighting.stage):
                return self._kept.pop(name)
        return None
