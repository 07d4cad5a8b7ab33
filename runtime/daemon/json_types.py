"""Check that a request's JSON has the types that the Engine API says, as Go's decoder does before dockerd sees it.

A type is written as what it looks like: `str`, `bool`, `INT64`, `[str]` (a list of them), `{str: str}` (an object of
them), `([str], str)` (either), or `{"Name": str}` (an object whose named fields, where they are there, are of these
types). null is fine for every field: it means "not said". Left out: Go names the struct that a field is in, here it is
the one that encloses them all.
"""

from dataclasses import dataclass
from typing import Any

from runtime.daemon.errors import UnreadableError


@dataclass(frozen=True)
class Integer:
    """One of Go's integer types: its name, and what fits."""

    name: str
    least: int
    most: int


INT = Integer("int", -(2**63), 2**63 - 1)
INT64 = Integer("int64", -(2**63), 2**63 - 1)
UINT = Integer("uint", 0, 2**64 - 1)
UINT16 = Integer("uint16", 0, 2**16 - 1)
UINT64 = Integer("uint64", 0, 2**64 - 1)

_GO_NAMES = {str: "string", bool: "bool", dict: "struct", list: "slice", type(None): "nil"}


def check_types(struct: str, document: dict[str, Any], types: dict[str, Any]) -> None:
    """Refuse the first field whose value is of another type, in Go's words; `struct` is what Go calls the document."""
    for key, wanted in types.items():
        value = document.get(key)
        if value is not None:
            _check(f"{struct}.{key}", value, wanted)


def _check(place: str, value: Any, wanted: Any) -> None:
    if isinstance(wanted, tuple):
        *others, last = wanted
        if not any(_fits(value, one) for one in others):
            _check(place, value, last)
    elif isinstance(wanted, list) and isinstance(value, list):
        for item in value:
            _check(place, item, wanted[0])
    elif isinstance(wanted, dict) and isinstance(value, dict):
        if str in wanted:
            for item in value.values():
                _check(place, item, wanted[str])
        else:
            check_types(place, value, wanted)
    elif not _is_one(value, wanted):
        raise UnreadableError(
            f"json: cannot unmarshal {_described(value, wanted)} into Go struct field {place} of type {_go(wanted)}"
        )


def _fits(value: Any, wanted: Any) -> bool:
    try:
        _check("", value, wanted)
    except UnreadableError:
        return False
    return True


def _is_one(value: Any, wanted: Any) -> bool:
    """Whether a value is of a type that is not made of others."""
    if isinstance(wanted, Integer):
        return type(value) is int and wanted.least <= value <= wanted.most  # in Python a bool is an int, too
    return isinstance(wanted, type) and isinstance(value, wanted)


def _described(value: Any, wanted: Any) -> str:
    kind = kind_of(value)
    return f"number {value}" if kind == "number" and isinstance(wanted, Integer) else kind


def kind_of(value: Any) -> str:
    """What Go calls a value of JSON: `string`, `number`, `bool`, `array`, `object`, `null`."""
    kinds = ((bool, "bool"), (str, "string"), (list, "array"), (dict, "object"), (type(None), "null"))
    return next((name for kind, name in kinds if isinstance(value, kind)), "number")


def _go(wanted: Any) -> str:
    if isinstance(wanted, Integer):
        return wanted.name
    if isinstance(wanted, tuple):
        return _go(wanted[-1])
    if isinstance(wanted, list):
        return f"[]{_go(wanted[0])}"
    if isinstance(wanted, dict):
        return f"map[string]{_go(wanted[str])}" if str in wanted else "struct"
    return _GO_NAMES[wanted]
