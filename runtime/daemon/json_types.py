"""Check that a request's JSON has the types that the Engine API says, as Go's decoder does before dockerd sees it.

A type is written as what it looks like: `str`, `[str]` (a list of them), `{str: str}` (an object of them), `(list,
str)`
(either), or `{"Name": str}` (an object whose named fields must be there). null is fine anywhere: it means "not said".
"""

from typing import Any

from runtime.daemon.errors import InvalidParameterError


def check_types(where: str, document: dict[str, Any], types: dict[str, Any]) -> None:
    """Refuse the first field whose value is of another type."""
    for key, wanted in types.items():
        value = document.get(key)
        if value is not None and not _fits(value, wanted):
            raise InvalidParameterError(f"invalid {where}: cannot read {key} as {_described(wanted)}")


def _fits(value: Any, wanted: Any) -> bool:
    if isinstance(wanted, tuple):
        return any(_fits(value, one) for one in wanted)
    if isinstance(wanted, list):
        return isinstance(value, list) and all(_fits(item, wanted[0]) for item in value)
    if isinstance(wanted, dict):
        if not isinstance(value, dict):
            return False
        if str in wanted:
            return all(_fits(item, wanted[str]) for item in value.values())
        return all(key in value and _fits(value[key], inner) for key, inner in wanted.items())
    if isinstance(value, bool):
        return wanted is bool  # in Python a bool is an int, in JSON it is not
    return isinstance(value, wanted)


def _described(wanted: Any) -> str:
    if isinstance(wanted, tuple):
        return " or ".join(_described(one) for one in wanted)
    if isinstance(wanted, list):
        return f"list of {_described(wanted[0])}"
    if isinstance(wanted, dict):
        return f"object of {_described(wanted[str])}" if str in wanted else f"object with {', '.join(wanted)}"
    return str(wanted.__name__)
