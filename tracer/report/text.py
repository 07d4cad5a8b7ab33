"""A recording as linear text, for people and screen readers.

Stage by stage: what it is about, and then, in the order in which it happened, every message, action, containerd event
and process, one sentence each; calls are counted, not listed. Nothing depends on columns, colour or box drawing. It is
made while the recording is read, and holds nothing of its size.
"""

from collections import Counter
from collections.abc import Iterator

from tracer.codec import RecordingError
from tracer.events import (
    ActionSeen,
    Event,
    MessageSeen,
    NoteMade,
    ProcessExecuted,
    ProcessExited,
    ProcessForked,
    RecordingEnded,
    StageEntered,
)
from tracer.model import TraceModel
from tracer.model.conversation import CONTAINERD_EVENT, STDIO
from tracer.model.statistics import Statistics
from tracer.report.numbers import numbers_text
from tracer.report.process_tree import describe_end, tree_text
from tracer.report.tally import tally
from tracer.session.recording import Recording

_SIDES = {"sent": "sends", "received": "receives"}


def text_report(recording: Recording) -> Iterator[str]:
    """The report's lines, without line ends."""
    model = TraceModel(recording.header)
    header = recording.header
    yield model.command_line
    yield f"Recorded {header.created} on Linux {header.kernel}, {header.architecture}."
    if header.recorded_first:
        names = ", ".join(header.recorded_first)
        yield f"Recorded first, to be stepped afterwards: {names} would not wait while everything is held."
    yield "Times under a tracer are distorted: only the numbers at the end have any."
    statistics = Statistics(model)
    yield from _story(recording, model, statistics)
    yield from _ending(recording, model, statistics)


def _followed(recording: Recording, model: TraceModel, statistics: Statistics) -> Iterator[tuple[int, Event]]:
    """Read the recording into the model; every event that is not a call, once it has been taken in."""
    while recording.refresh():
        while model.applied < len(recording):
            for line in recording.lines(model.applied, min(model.applied + 1000, len(recording))):
                sequence = model.applied
                try:
                    model.apply_line(line)
                    statistics.take(line)
                    if not line.startswith((b'["exit",', b'["enter",')):
                        yield sequence, recording.event(sequence)
                except RecordingError as error:
                    recording.damage = str(error)
                    return


def _story(recording: Recording, model: TraceModel, statistics: Statistics) -> Iterator[str]:
    calls: Counter[str] = Counter()
    counted = 0
    yield ""
    yield "Before the story: containerd and the daemon are made ready."
    for sequence, event in _followed(recording, model, statistics):
        for call in model.calls[counted:]:
            process = model.process_of(call)
            calls[(process and process.layer_at(call)) or "other"] += 1
        counted = len(model.calls)
        if isinstance(event, StageEntered):
            yield from _counts(calls)
            calls.clear()
            yield from _stage_heading(model, event)
        elif model.stages or isinstance(event, NoteMade):
            yield from _sentence(model, sequence, event)
    yield from _counts(calls)


def _stage_heading(model: TraceModel, event: StageEntered) -> Iterator[str]:
    table = model.stage_table.get(event.stage, {})
    number = list(model.stage_table).index(event.stage) + 1 if table else len(model.stages)
    yield ""
    yield f"Stage {number} of {len(model.stage_table)}. {table.get('layer', '')}: {table.get('title', event.stage)}."
    if about := str(table.get("about", "")).strip():
        yield about
    if source := table.get("source"):
        yield f"Source: {source}"


def _counts(calls: Counter[str]) -> Iterator[str]:
    if calls:
        each = ", ".join(f"{layer} {count:,}" for layer, count in calls.most_common())
        yield f"  {calls.total():,} system calls until here: {each}."


def _sentence(model: TraceModel, sequence: int, event: Event) -> Iterator[str]:
    who = _who(model, sequence)
    if isinstance(event, MessageSeen) and event.protocol == STDIO:
        yield f"  {who} {_SIDES[event.side]} output: {event.body.rstrip()!r}."
    elif isinstance(event, MessageSeen):
        kind = "containerd event" if event.protocol == CONTAINERD_EVENT else f"{event.protocol} {event.direction}"
        yield f"  {who} {_SIDES[event.side]} {kind}: {event.title}."
    elif isinstance(event, ActionSeen):
        fields = ", ".join(f"{name} {value}" for name, value in event.fields.items())
        yield f"  {who}: {event.action}{' (' + fields + ')' if fields else ''}."
    elif isinstance(event, ProcessForked) and event.how == "attached":
        yield f"  The tracer follows process {event.pid}, which runs already."
    elif isinstance(event, ProcessForked) and event.tid == event.pid:
        process = model.process_of(sequence)
        parent = model.processes.all[process.parent] if process and process.parent < len(model.processes.all) else None
        maker = f"{parent.layer_at(sequence) or 'process'} {parent.pid}" if parent else "the tracer"
        inner = "".join(f", {pid} inside its pid namespace" for pid in event.nspids[1:])
        yield f"  {maker} makes process {event.pid}{inner}."
    elif isinstance(event, ProcessExecuted):
        yield f"  {who} {'now runs' if event.generation else 'runs'}: {' '.join(event.argv)}."
    elif isinstance(event, ProcessExited) and event.tid == event.pid:
        process = model.process_of(sequence)
        yield f"  {who} ends: {describe_end(process) if process else 'ended'}."
    elif isinstance(event, NoteMade):
        yield f"  Note, {event.topic}: {event.text}"


def _who(model: TraceModel, sequence: int) -> str:
    process = model.process_of(sequence)
    return "somebody" if process is None else f"{process.layer_at(sequence) or 'process'} {process.pid}"


def _ending(recording: Recording, model: TraceModel, statistics: Statistics) -> Iterator[str]:
    missing = set(model.stage_table) - {stage.stage for stage in model.stages}
    if missing:
        yield ""
        yield "Not observed in this run:"
        for name, table in model.stage_table.items():
            if name in missing:
                yield f"  {table.get('layer', '')}: {table.get('title', name)}."
    yield ""
    yield "Processes, each under the one that made it:"
    for line in tree_text(model, model.applied - 1, drawn=False):
        yield f"  {line}"
    yield ""
    for _ in statistics.sort_out():
        pass
    yield from numbers_text(statistics, model)
    yield ""
    yield "System calls by name: " + ", ".join(f"{name} {count:,}" for name, count in tally(model).most_common()) + "."
    yield f"In all {len(model.calls):,} calls in {model.applied:,} events."
    if recording.damage:
        yield f"Attention: {recording.damage}."
    elif isinstance(model.ended, RecordingEnded):
        code = model.ended.exit_code
        yield f"The run ended: {model.ended.reason}" + (f", exit code {code}." if code is not None else ".")
