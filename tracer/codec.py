"""Events and commands as JSON lines.

A recording is UTF-8 text: a header object, then one JSON array an event, its first element the event's kind and the
rest the event's fields in the order `events` declares them, trailing default values left out:

    {"glassbottom": 1, "created": "2026-11-24T10:00:00Z", ...}
    ["forked", 0, 0, 4711, 4711, "launched", [4711], 123456, -1]
    ["exit", 1834, 4711, 257, [4294967196, 140244, 524288, 0], 3, 1790, {"1": "/etc/ld.so.cache"}, {}]

Bytes read from tracees are written as latin-1 text, one character a byte, so that paths and HTTP stay readable in
the file and every byte survives. A reader that meets an unknown kind, a short array or half a line raises
`RecordingError` with the line's number.
"""

import dataclasses
import functools
import json
import operator
from collections.abc import Callable, Mapping
from typing import Any

from tracer import commands, events
from tracer.restore import WrongValueError, each, mapping, restorers, signatures, string

VERSION = 1
"""Raised when a reader of the old number would misread a new recording."""


class RecordingError(Exception):
    """A recording (or a command line between session and engine) cannot be read.

    The message names the line and what is wrong with it.
    """


_KINDS: dict[str, type] = {
    "forked": events.ProcessForked,
    "executed": events.ProcessExecuted,
    "exited": events.ProcessExited,
    "enter": events.SyscallEntered,
    "exit": events.SyscallExited,
    "signal": events.SignalDelivered,
    "message": events.MessageSeen,
    "action": events.ActionSeen,
    "stage": events.StageEntered,
    "stop": events.StopReached,
    "released": events.HoldReleased,
    "note": events.NoteMade,
    "ended": events.RecordingEnded,
}
_KIND_OF = {cls: kind for kind, cls in _KINDS.items()}
_COMMANDS: dict[str, type] = {
    cls.__name__: cls
    for cls in (
        commands.Launch,
        commands.Resume,
        commands.StepEvent,
        commands.StepStage,
        commands.Interrupt,
        commands.ArmBreakpoint,
        commands.Quit,
    )
}

_quoted = json.encoder.encode_basestring
_ENTERED = [f'["enter",%d,%d,%d,[{",".join(["%d"] * count)}]' for count in range(8)]
_EXITED = [f'["exit",%d,%d,%d,[{",".join(["%d"] * count)}],%d,%d' for count in range(8)]
_dumps = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), check_circular=False).encode
_LONG = 8
_long_tuple = functools.lru_cache(maxsize=16)(_dumps)
"""An environment of forty variables, which a child mostly has from its parent, is put into JSON once."""


def encode_event(event: events.Event) -> str:
    """One event as a line, newline included."""
    cls = type(event)
    if isinstance(event, events.SyscallExited):
        return encode_syscall_exited(*_EXITED_FIELDS(event))
    if isinstance(event, events.SyscallEntered):
        head = _ENTERED[len(event.arguments)] % (event.time_ns, event.tid, event.number, *event.arguments)
        return _with_memory(head, event.data, event.files)
    values = _FIELDS[cls](event)
    defaults = _DEFAULTS[cls]
    count = len(values)
    while count and _is_default(defaults[count - 1], values[count - 1]):
        count -= 1
    return f'["{_KIND_OF[cls]}",{",".join([_text(value) for value in values[:count]])}]\n'


def _text(value: object) -> str:
    """A field's JSON; by hand where that is easy, which halves the time of a short event."""
    if type(value) is int:  # and not bool
        return str(value)
    if isinstance(value, str):
        return _quoted(value)
    if isinstance(value, tuple) and value:
        if len(value) > _LONG:
            return _long_tuple(value)
        if type(value[0]) is int:
            return f"[{','.join(map(str, value))}]"
    return _dumps(_plain(value))


def encode_syscall_exited(
    time_ns: int,
    tid: int,
    number: int,
    arguments: tuple[int, ...],
    result: int,
    entered_ns: int,
    data: Mapping[str, bytes | None],
    files: Mapping[int, str],
) -> str:
    """A `SyscallExited` as a line, without making the event first: the engine's hot path.

    The line is put together by hand: `json.dumps` of the same row takes three times as long.
    """
    head = _EXITED[len(arguments)] % (time_ns, tid, number, *arguments, result, entered_ns)
    return _with_memory(head, data, files)


def _with_memory(head: str, data: Mapping[str, bytes | None], files: Mapping[int, str]) -> str:
    """A call's line, its last two fields left out where they are empty."""
    if not data and not files:
        return head + "]\n"
    pairs = [
        f'"{key}":null' if value is None else f'"{key}":{_quoted(value.decode("latin-1"))}'
        for key, value in data.items()
    ]
    captured = ",".join(pairs)
    if not files:
        return f"{head},{{{captured}}}]\n"
    opened = ",".join([f'"{place}":{_quoted(path)}' for place, path in files.items()])
    return f"{head},{{{captured}}},{{{opened}}}]\n"


def decode_event(line: str, line_number: int = 0) -> events.Event:
    """The event on a line. Raises RecordingError, naming the line."""
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        what = f"{error.msg.lower()}, column {error.colno}" if isinstance(error, json.JSONDecodeError) else ""
        if isinstance(error, RecursionError):
            what = "too deeply nested"
        raise RecordingError(
            f"line {line_number}: not JSON ({what or 'a number too long'}); the recording is truncated or damaged"
        ) from error
    if not isinstance(row, list) or not row or row[0] not in _KINDS:
        kind = row[0] if isinstance(row, list) and row else row
        raise RecordingError(f"line {line_number}: unknown event {str(kind)[:40]!r}, perhaps of a newer glassbottom")
    cls = _KINDS[row[0]]
    restore = _RESTORE[cls]
    try:
        return cls(*[fix(value) for fix, value in zip(restore, row[1:], strict=False)])  # type: ignore[no-any-return]
    except (TypeError, ValueError, AttributeError) as error:
        if len(row) <= _REQUIRED[cls]:
            what = f"{len(row) - 1} of its {_REQUIRED[cls]} values are there"
        else:
            what = _what_is_wrong(error)
        raise RecordingError(f"line {line_number}: a damaged {row[0]!r} event ({what})") from error


def _what_is_wrong(error: Exception) -> str:
    """A restorer's own sentence; other errors speak of Python, and not of the file."""
    return str(error) if isinstance(error, WrongValueError) else "a value in it is not of the kind that stands there"


def encode_header(header: events.RecordingHeader) -> str:
    """The header as the first line, newline included."""
    # Not dataclasses.asdict, which copies the table of calls for 25 ms.
    plain = {field.name: getattr(header, field.name) for field in dataclasses.fields(header)}
    plain.pop("version")
    plain["syscalls"] = {
        str(number): [signature.name, [list(pair) for pair in signature.arguments]]
        for number, signature in header.syscalls.items()
    }
    return _dumps({"glassbottom": header.version, **plain}) + "\n"


def decode_header(line: str) -> events.RecordingHeader:
    """The header on the first line. Raises RecordingError where it is no recording, or one of another version."""
    try:
        plain = json.loads(line)
        version = plain.pop("glassbottom")
    except (ValueError, KeyError, AttributeError, TypeError, RecursionError) as error:
        raise RecordingError(
            "line 1: not a glassbottom recording (it has no header); `glassbottom record -o FILE` makes one"
        ) from error
    if version != VERSION:
        raise RecordingError(
            f"line 1: recording format {str(version)[:40]}; this glassbottom reads format {VERSION}: "
            "read it with the glassbottom that made it, or record the run again"
        )
    if missing := [key for key in _HEADER_REQUIRED if key not in plain]:
        raise _damaged_header(f"it has no {', '.join(missing)}")
    try:
        syscalls = signatures(plain.pop("syscalls"))
        plain["command"] = each(string)(plain["command"])
        plain["typed"] = each(string)(plain.get("typed", []))
        plain["recorded_first"] = each(string)(plain.get("recorded_first", []))
        plain["stages"] = each(mapping)(plain["stages"])
        mapping(plain["seats"])
        for key in ("created", "kernel", "architecture"):
            string(plain[key])
        # Keys that later versions add without a new format number change nothing in what is known here.
        known = {key: plain[key] for key in _HEADER_KEYS if key in plain}
        return events.RecordingHeader(version=version, syscalls=syscalls, **known)
    except (TypeError, ValueError) as error:
        raise _damaged_header(_what_is_wrong(error)) from error


def _damaged_header(what: str) -> RecordingError:
    return RecordingError(f"line 1: a damaged header ({what}); nothing can be read without it: copy or record it again")


def encode_command(command: commands.Command) -> str:
    """One command as a line, newline included."""
    plain = dataclasses.asdict(command)
    return _dumps([type(command).__name__, plain]) + "\n"


def decode_command(line: str) -> commands.Command:
    """The command on a line. Raises RecordingError."""
    try:
        name, plain = json.loads(line)
        cls = _COMMANDS[name]
        if cls is commands.Launch:
            plain["background"] = tuple(_program(program) for program in plain["background"])
            plain["foreground"] = _program(plain["foreground"])
            plain["preparations"] = tuple(_program(program) for program in plain["preparations"])
            plain["stages"] = tuple(plain["stages"])
            plain["typed"] = tuple(plain["typed"])
            plain["attach"] = tuple(commands.Attached(**attached) for attached in plain["attach"])
            plain["recorded_first"] = tuple(plain["recorded_first"])
        return cls(**plain)  # type: ignore[no-any-return]
    except (ValueError, KeyError, TypeError) as error:
        raise RecordingError(f"not a command: {line[:80]!r} ({error})") from error


def _program(plain: dict[str, Any]) -> commands.Program:
    plain["argv"] = tuple(plain["argv"])
    plain["environment"] = tuple(plain["environment"])
    return commands.Program(**plain)


def _plain(value: object) -> object:
    if isinstance(value, int | str | tuple):
        return value  # asking for a Mapping costs a microsecond
    if isinstance(value, Mapping):
        return {key: item.decode("latin-1") if isinstance(item, bytes) else item for key, item in value.items()}
    return value


def _is_default(default: object, value: object) -> bool:
    """Whether a trailing value may be left out; `MISSING` stands for a field without a default."""
    return default is not dataclasses.MISSING and value == default


def _default(field: "dataclasses.Field[Any]") -> object:
    if field.default is not dataclasses.MISSING or field.default_factory is dataclasses.MISSING:
        return field.default
    return field.default_factory()


_FIELDS: dict[type, Callable[[Any], tuple[Any, ...]]] = {
    cls: operator.attrgetter(*[field.name for field in dataclasses.fields(cls)]) for cls in _KINDS.values()
}
# A dataclass with one field would make attrgetter answer the value instead of a tuple.
_FIELDS[events.HoldReleased] = lambda event: (event.time_ns,)
_HEADER_KEYS = tuple(field.name for field in dataclasses.fields(events.RecordingHeader))
_HEADER_REQUIRED = ("created", "kernel", "architecture", "command", "seats", "stages", "syscalls")
"""What headers had from the beginning; the others came later, and may be missing."""
_EXITED_FIELDS = _FIELDS[events.SyscallExited]
_DEFAULTS = {cls: [_default(field) for field in dataclasses.fields(cls)] for cls in _KINDS.values()}
_REQUIRED = {cls: defaults.count(dataclasses.MISSING) for cls, defaults in _DEFAULTS.items()}
"""How many values an event of each kind has at least."""
_RESTORE = {cls: restorers(cls) for cls in _KINDS.values()}
