"""Update masks: which part of a record an Update call may change.

Real counterpart: the `fieldpaths` loops in containerd `metadata/{containers,content,images,snapshot}.go`.
"""

from collections.abc import Iterable, MutableMapping
from typing import TypeVar

Value = TypeVar("Value")


def update_map(path: str, field: str, target: MutableMapping[str, Value], source: MutableMapping[str, Value]) -> bool:
    """Apply a path of the form `labels` or `labels.KEY`; return False if the path is about something else.

    A key that the source has not, or has empty, is removed.
    """
    if path == field:
        replace_map(target, source)
        return True
    if not path.startswith(f"{field}."):
        return False
    key = path.removeprefix(f"{field}.")
    replace_map(
        target, {**target, key: source[key]} if source.get(key) else {k: v for k, v in target.items() if k != key}
    )
    return True


def replace_map(target: MutableMapping[str, Value], source: MutableMapping[str, Value]) -> None:
    """Make a map field equal to another map."""
    kept = _copies(source.items())
    target.clear()
    for key, value in kept.items():
        if isinstance(value, str):
            target[key] = value
        else:
            # A map field of messages takes no assignment, only copying into the entry that reading it creates.
            target[key].CopyFrom(value)  # type: ignore[attr-defined]


def _copies(items: Iterable[tuple[str, Value]]) -> dict[str, Value]:
    copies: dict[str, Value] = {}
    for key, value in items:
        copies[key] = value if isinstance(value, str) else type(value).FromString(value.SerializeToString())  # type: ignore[attr-defined]
    return copies
