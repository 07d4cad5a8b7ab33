"""What the `--filter` of several list commands has in common (moby: api/types/filters)."""

import re
from collections.abc import Collection, Iterable, Mapping

from runtime.daemon.errors import InvalidParameterError


def refuse_unknown(filters: Iterable[str], known: Collection[str]) -> None:
    """Raise InvalidParameterError for a key that a list does not filter by."""
    for key in filters:
        if key not in known:
            raise InvalidParameterError(f"Invalid filter '{key}'")


def has_labels(labels: Mapping[str, str] | None, wanted: list[str]) -> bool:
    """Whether all of `KEY` and `KEY=VALUE` are there."""
    pairs = [text.partition("=") for text in wanted]
    labels = labels or {}
    return all(key in labels and (not equals or labels[key] == value) for key, equals, value in pairs)


def is_like(name: str, pattern: str) -> bool:
    """Whether a name fits a regular expression; as in dockerd, what is none is a name."""
    try:
        return re.search(pattern, name) is not None
    except re.error:
        return name == pattern


def truth(key: str, values: list[str], *, digits: bool = True) -> bool | None:
    """What a filter for yes or no says; None where it is not given. Raises InvalidParameterError.

    As recorded from dockerd 20.10: exactly these words, and among several yes goes first. Of images and of tasks it
    reads no digits.
    """
    if not values:
        return None
    for answer, word, digit in ((True, "true", "1"), (False, "false", "0")):
        if word in values or (digits and digit in values):
            return answer
    raise InvalidParameterError(f"Invalid filter '{key}=[{' '.join(values)}]'")
