"""JSON's values back into the types that `events` declares, and what no engine has written refused.

A damaged line must not come to light far from here, in a fold that counts on those types. Each function takes a value
as JSON gives it and answers the field's; a sentence says what is wrong with it otherwise.
"""

import dataclasses
from collections.abc import Callable
from typing import Any, get_args, get_type_hints

from tracer import events

Restorer = Callable[[Any], Any]


class WrongValueError(ValueError):
    """A value is not what its field holds; the message says what stands where."""


def integer(value: Any) -> int:
    """The number. Raises WrongValueError where it is none (JSON's true is none either)."""
    if type(value) is not int:
        raise WrongValueError(f"{str(value)[:40]!r} where a number should be")
    return value


def string(value: Any) -> str:
    """The text. Raises WrongValueError where it is none."""
    if type(value) is not str:
        raise WrongValueError(f"{str(value)[:40]!r} where text should be")
    return value


def maybe(restore: Restorer) -> Restorer:
    """The same, or null."""
    return lambda value: None if value is None else restore(value)


def each(restore: Restorer) -> Restorer:
    """A list of such values, as a tuple. Raises WrongValueError where it is no list."""

    def restore_all(value: Any) -> tuple[Any, ...]:
        if type(value) is not list:
            raise WrongValueError(f"{str(value)[:40]!r} where a list should be")
        return tuple([restore(item) for item in value])

    return restore_all


def mapping(value: Any) -> dict[str, Any]:
    """The object. Raises WrongValueError where it is none."""
    if type(value) is not dict:
        raise WrongValueError(f"{str(value)[:40]!r} where an object should be")
    return value


def signatures(value: Any) -> dict[int, events.SyscallSignature]:
    """A header's table of calls. Raises WrongValueError where an entry is none."""
    table = {}
    for number, entry in mapping(value).items():
        match entry:
            case [str(name), [*arguments]] if all(type(pair) is list and len(pair) == 2 for pair in arguments):
                table[int(number)] = events.SyscallSignature(name, tuple((str(a), str(t)) for a, t in arguments))
            case _:
                raise WrongValueError(f"{str(entry)[:40]!r} where a call's name and arguments should be")
    return table


def one_of(words: tuple[str, ...]) -> Restorer:
    """One of the words that a Literal allows. Raises WrongValueError for others."""

    def restore(value: Any) -> str:
        if value not in words:
            raise WrongValueError(f"{str(value)[:40]!r} where one of {', '.join(words)} should be")
        return str(value)

    return restore


def _data(value: dict[str, str | None]) -> dict[str, bytes | None]:
    return {key: None if text is None else text.encode("latin-1") for key, text in value.items()}


def _files(value: dict[str, str]) -> dict[int, str]:
    return {int(key): string(text) for key, text in value.items()}


def _fields(value: dict[str, events.Scalar]) -> dict[str, events.Scalar]:
    for item in mapping(value).values():
        if not isinstance(item, str | int | None):
            raise WrongValueError(f"{str(item)[:40]!r} where a plain value should be")
    return value


_BY_NAME: dict[str, Restorer] = {"data": _data, "files": _files, "fields": _fields}
_BY_HINT: dict[Any, Restorer] = {
    int: integer,
    str: string,
    int | None: maybe(integer),
    str | None: maybe(string),
    tuple[int, ...]: each(integer),
    tuple[str, ...]: each(string),
}


def restorers(cls: type) -> list[Restorer]:
    """For each field of an event, what checks and restores its value."""
    hints = get_type_hints(cls)
    return [
        _BY_NAME.get(field.name) or _BY_HINT.get(hints[field.name]) or one_of(get_args(hints[field.name]))
        for field in dataclasses.fields(cls)
    ]
