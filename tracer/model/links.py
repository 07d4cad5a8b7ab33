"""Causes and effects: what lights up in the other panes when a row is chosen.

Two strengths. DIRECT: the same thing seen from another side (the calls that carried a message, the process that made
a call, the response to a request). DURING: it happened while a request was being answered, at the answering program
or below it; that is how a `POST /start` leads to a mount three programs further down.

The chain of requests that an event happened under, outermost first, is its *why*.
"""

from dataclasses import dataclass, field
from enum import IntEnum

from tracer.model.conversation import Message
from tracer.model.processes import NOBODY
from tracer.model.trace import TraceModel
from tracer.stages.layers import Layer

_DEPTH = {layer: depth for depth, layer in enumerate(Layer)}
FOREVER = 0xFFFFFFFF


class Link(IntEnum):
    """How strongly a row belongs to the chosen one."""

    NONE = 0
    DURING = 1
    DIRECT = 2


@dataclass(slots=True)
class Links:
    """What belongs to one event. Sequence numbers for calls and stages, indexes for the rest."""

    origin: int = -1
    calls: set[int] = field(default_factory=set)
    messages: set[int] = field(default_factory=set)
    events: set[int] = field(default_factory=set)
    processes: set[int] = field(default_factory=set)
    stages: set[int] = field(default_factory=set)
    span: tuple[int, int] = (0, -1)
    """While it lasted: from a request to its response, from a process's birth to its end."""
    during_messages: set[int] = field(default_factory=set)
    during_events: set[int] = field(default_factory=set)
    during_processes: set[int] = field(default_factory=set)
    why: list[int] = field(default_factory=list)
    """Indexes of the requests it happened under, outermost first."""

    def call(self, sequence: int) -> Link:
        return Link.DIRECT if sequence in self.calls else Link.NONE

    def message(self, index: int) -> Link:
        return _strength(index, self.messages, self.during_messages)

    def event(self, index: int) -> Link:
        return _strength(index, self.events, self.during_events)

    def process(self, index: int) -> Link:
        return _strength(index, self.processes, self.during_processes)


def _strength(index: int, direct: set[int], during: set[int]) -> Link:
    if index in direct:
        return Link.DIRECT
    return Link.DURING if index in during else Link.NONE


def links_of_event(model: TraceModel, sequence: int) -> Links:
    """What belongs to a call, stage, action or any other single event."""
    links = Links(origin=sequence)
    _add_event(model, links, sequence)
    process = model.process_of(sequence)
    if process is not None:
        links.why = why(model, sequence, process.index)
        links.during_messages.update(links.why)
    return links


def links_of_message(model: TraceModel, message: Message) -> Links:
    """What belongs to a message: who carried it with which calls, its answer, and what happened until then."""
    links = Links(origin=message.sequence)
    partner = model.conversation.messages[message.partner] if message.partner >= 0 else None
    for one in (message, partner):
        if one is not None:
            links.messages.add(one.index)
            for sighting in one.sightings:
                links.processes.add(sighting.process)
                if one is message:
                    links.calls.update(sighting.calls)
    request = message if message.direction == "request" else partner
    if request is not None:
        response = model.conversation.messages[request.partner] if request.partner >= 0 else None
        links.span = (request.sequence, response.complete if response else FOREVER)
        server = request.received.process if request.received else NOBODY
        _add_during(model, links, _depth(model, server, links.span[0]))
    links.why = [index for index in why(model, message.sequence, _carrier(message)) if index not in links.messages]
    links.during_messages.update(links.why)
    return links


def links_of_containerd_event(model: TraceModel, index: int) -> Links:
    """What belongs to one of containerd's events: who passed it on, and the requests under which it arose."""
    event = model.conversation.events[index]
    links = Links(origin=event.sequence, events={index})
    for sighting in event.sightings:
        links.calls.update(sighting.calls)
        links.processes.add(sighting.process)
    links.why = why(model, event.sequence, event.sightings[0].process)
    links.during_messages.update(links.why)
    return links


def links_of_process(model: TraceModel, index: int) -> Links:
    """What belongs to a process: the call that made it, its messages, and the requests under which it was born."""
    process = model.processes.all[index]
    links = Links(origin=process.born, processes={index})
    if process.birth_call >= 0:
        links.calls.add(process.birth_call)
    links.span = (process.born, process.ended if process.ended >= 0 else FOREVER)
    for message in model.conversation.messages:
        if any(sighting.process == index for sighting in message.sightings):
            links.messages.add(message.index)
    for event in model.conversation.events:
        if any(sighting.process == index for sighting in event.sightings):
            links.events.add(event.index)
    links.during_processes.update(child for child in process.children)
    if process.parent != NOBODY:
        links.during_processes.add(process.parent)
    links.why = [message for message in why(model, process.born, index) if message not in links.messages]
    links.during_messages.update(links.why)
    return links


def why(model: TraceModel, sequence: int, process: int) -> list[int]:
    """The requests that were being answered when this happened, at this process or above it, outermost first."""
    depth = _depth(model, process, sequence)
    found = []
    for message in model.conversation.messages:
        if message.direction != "request" or message.sequence > sequence:
            continue
        if message.partner >= 0 and model.conversation.messages[message.partner].sequence < sequence:
            continue
        server = message.received.process if message.received else NOBODY
        server_depth = _depth(model, server, sequence)
        if not _depth(model, _carrier(message), message.sequence) < server_depth <= depth:
            continue  # asked of somebody else, or on its way up, as a shim's reports are
        if server_depth >= 0 and not _waits_for_good(message):
            found.append((server_depth, message.index))
    # Of several open requests to one seat the newest is the one being worked on.
    newest = dict(sorted(found))
    return [newest[key] for key in sorted(newest)]


def _waits_for_good(message: Message) -> bool:
    """Requests that stay open while others are served, and so are nobody's cause: waiting, attaching, subscribing."""
    return any(word in message.title for word in ("/wait", "/attach", "/events", "Subscribe", "Wait"))


def _add_event(model: TraceModel, links: Links, sequence: int) -> None:
    """Everything made of the same calls as this event."""
    owner = model.process_of(sequence)
    if owner is not None:
        links.processes.add(owner.index)
    made_of_it = model.carried.get(sequence, [])
    links.calls.add(sequence)
    sequences = {sequence, *made_of_it}
    for stage in model.stages:
        if stage.sequence in sequences:
            links.stages.add(stage.sequence)
            sequences.add(stage.evidence)
            links.calls.add(stage.evidence)
    for message in model.conversation.messages:
        for sighting in message.sightings:
            if sighting.sequence in sequences:
                links.messages.add(message.index)
                links.processes.update(seen.process for seen in message.sightings)
                links.calls.update(sighting.calls)
    for event in model.conversation.events:
        for sighting in event.sightings:
            if sighting.sequence in sequences:
                links.events.add(event.index)
                links.processes.update(seen.process for seen in event.sightings)
                links.calls.update(sighting.calls)
    for action in model.actions:
        if action.sequence in sequences:
            links.calls.update(action.calls)


def _add_during(model: TraceModel, links: Links, depth: int) -> None:
    """What lies in the span, at the answering seat or below it."""
    start, stop = links.span
    if depth < 0:
        return
    for message in model.conversation.messages:
        inside = message.index not in links.messages and start < message.sequence <= stop
        if inside and _depth(model, _carrier(message), message.sequence) >= depth:
            links.during_messages.add(message.index)
    for event in model.conversation.events:
        if start < event.sequence <= stop:
            links.during_events.add(event.index)
    for process in model.processes.all:
        if start < process.born <= stop and _depth(model, process.index, process.born) >= depth:
            links.during_processes.add(process.index)


def _carrier(message: Message) -> int:
    return message.sent.process if message.sent else message.sightings[0].process


def _depth(model: TraceModel, process: int, sequence: int) -> int:
    """How far down the stack a process sits, -1 where that is not known."""
    if not 0 <= process < len(model.processes.all):
        return -1
    layers = model.processes.all[process]
    layer = layers.layer_at(sequence) or (layers.layers[0][1] if layers.layers else None)
    return -1 if layer is None else _DEPTH[layer]
