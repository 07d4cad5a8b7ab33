"""A recording as one JSON object, for programs. Its shape is documented in this folder's README.

The recording is read once to know its processes and stages, and then once for each list, from which a row is written as
soon as it is made: a recording of a million events needs no more memory than its model does.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping

from tracer.codec import RecordingError, decode_event
from tracer.decode.text import format_call
from tracer.events import ActionSeen, Event, MessageSeen, SyscallEntered, SyscallExited
from tracer.model import NOBODY, Process, TraceModel
from tracer.model.conversation import CONTAINERD_EVENT
from tracer.model.statistics import Statistics
from tracer.report.numbers import numbers_json
from tracer.report.process_tree import short_command
from tracer.report.tally import tally
from tracer.session.recording import Recording

Row = dict[str, object]
_AT_ONCE = 1000
"""Lines read together."""
_SHOWN_BYTES = 64
"""Of each buffer in a call's text; the messages have all of it."""
_dumps = json.JSONEncoder(ensure_ascii=False).encode


def json_report(recording: Recording) -> Iterator[str]:
    """The object, in pieces. What cannot be read is told in the recording's `damage`, and here under the same key."""
    model = TraceModel(recording.header)
    statistics = Statistics(model)
    _read(recording, model, statistics)
    yield "{\n"
    yield _member("command", list(recording.header.typed or recording.header.command))
    yield _member("client", list(recording.header.command))
    yield _member("recorded_first", list(recording.header.recorded_first))
    stages = (_stage(model, name, table) for name, table in model.stage_table.items())
    yield from _list("stages", stages)
    last = model.applied - 1
    yield from _list("processes", (_process(model, process, last) for process in model.processes.all))
    yield from _list("messages", _rows(recording, model, b'["message",', _message))
    yield from _list("events", _rows(recording, model, b'["message",', _containerd_event))
    yield from _list("actions", _rows(recording, model, b'["action",', _action))
    yield from _list("calls", _rows(recording, model, (b'["exit",', b'["enter",'), _call))
    yield _member("summary", _summary(model))
    for _ in statistics.sort_out():
        pass
    yield _member("statistics", numbers_json(statistics, model))
    yield f'"damage": {_dumps(recording.damage)}\n}}'


def _member(key: str, value: object) -> str:
    return f"{_dumps(key)}: {_dumps(value)},\n"


def _list(key: str, rows: Iterator[Row]) -> Iterator[str]:
    """One row a line, so that grep is of use as well as jq."""
    yield f"{_dumps(key)}: ["
    between = "\n"
    for row in rows:
        yield between + _dumps(row)
        between = ",\n"
    yield "\n],\n"


def _read(recording: Recording, model: TraceModel, statistics: Statistics) -> None:
    """Take everything in that can be."""
    recording.read_all()
    try:
        for line in _lines(recording, len(recording)):
            model.apply_line(line)
            statistics.take(line)
    except RecordingError as error:
        recording.damage = str(error)


def _lines(recording: Recording, stop: int) -> Iterator[bytes]:
    for start in range(0, stop, _AT_ONCE):
        yield from recording.lines(start, min(start + _AT_ONCE, stop))


def _rows(
    recording: Recording,
    model: TraceModel,
    beginning: bytes | tuple[bytes, ...],
    make: Callable[[TraceModel, int, Event], Row | None],
) -> Iterator[Row]:
    """What `make` makes of the events whose lines begin so."""
    for sequence, line in enumerate(_lines(recording, model.applied)):
        if not line.startswith(beginning):
            continue
        try:
            row = make(model, sequence, decode_event(line.decode("utf-8", "replace"), recording.line_number(sequence)))
        except RecordingError as error:
            recording.damage = recording.damage or str(error)
            continue
        if row is not None:
            yield row


def _stage(model: TraceModel, name: str, table: Mapping[str, object]) -> Row:
    seen = next((stage for stage in model.stages if stage.stage == name), None)
    process = model.process_of(seen.sequence) if seen else None
    return {
        "id": name,
        "layer": table.get("layer"),
        "title": table.get("title"),
        "about": table.get("about"),
        "source": table.get("source"),
        "observed": seen is not None,
        "sequence": seen.sequence if seen else None,
        "evidence": seen.evidence if seen else None,
        "pid": process.pid if process else None,
    }


def _process(model: TraceModel, process: Process, last: int) -> Row:
    return {
        "index": process.index,
        "pid": process.pid,
        "nspids": list(process.nspids_at(last)),
        "start_time": process.start_time,
        "parent": process.parent if process.parent != NOBODY else None,
        "layer": process.layer_at(last),
        "command": short_command(model, process, last),
        "executions": [
            {"sequence": one.sequence, "path": one.path, "argv": list(one.argv)} for one in process.executions
        ],
        "threads": len(process.threads) + 1,
        "calls": len(process.calls),
        "born": process.born,
        "ended": process.ended if process.ended >= 0 else None,
        "exit_code": process.exit_code,
        "signal": process.signal,
    }


def _message(model: TraceModel, sequence: int, event: Event) -> Row | None:
    assert isinstance(event, MessageSeen)
    return None if event.protocol == CONTAINERD_EVENT else _any_message(model, sequence, event)


def _containerd_event(model: TraceModel, sequence: int, event: Event) -> Row | None:
    assert isinstance(event, MessageSeen)
    return _any_message(model, sequence, event) if event.protocol == CONTAINERD_EVENT else None


def _any_message(model: TraceModel, sequence: int, event: MessageSeen) -> Row:
    return {
        **_place(model, sequence),
        "connection": event.connection,
        "protocol": event.protocol,
        "direction": event.direction,
        "side": event.side,
        "title": event.title,
        "fields": dict(event.fields),
        "body": event.body,
        "calls": list(event.calls),
    }


def _action(model: TraceModel, sequence: int, event: Event) -> Row:
    assert isinstance(event, ActionSeen)
    return {
        **_place(model, sequence),
        "action": event.action,
        "fields": dict(event.fields),
        "calls": list(event.calls),
    }


def _call(model: TraceModel, sequence: int, event: Event) -> Row:
    assert isinstance(event, SyscallExited | SyscallEntered)
    signature = model.header.syscalls.get(event.number)
    return {
        **_place(model, sequence),
        "tid": event.tid,
        "name": model.call_name(sequence),
        "result": event.result if isinstance(event, SyscallExited) else None,
        "text": format_call(event, signature, _SHOWN_BYTES, model.header.architecture),
    }


def _place(model: TraceModel, sequence: int) -> Row:
    process = model.process_of(sequence)
    return {
        "sequence": sequence,
        "process": process.index if process else None,
        "pid": process.pid if process else None,
        "layer": process.layer_at(sequence) if process else None,
    }


def _summary(model: TraceModel) -> Row:
    layers: Counter[str] = Counter()
    for process in model.processes.all:
        layers[process.layer_at(model.applied) or "other"] += len(process.calls)
    return {
        "events": model.applied,
        "calls": len(model.calls),
        "calls_by_name": dict(tally(model).most_common()),
        "calls_by_layer": dict(layers),
    }
