"""Skeleton: what one call amounts to."""

from collections.abc import Mapping
from typing import NamedTuple

from tracer.events import Scalar


class Intent(NamedTuple):
    """What a call amounts to, if it succeeds."""

    action: str
    fields: dict[str, Scalar]


def intent(
    name: str, arguments: tuple[int, ...], data: Mapping[str, bytes | None], files: Mapping[int, str]
) -> Intent | None:
    """What this call amounts to, or None for a call that means nothing by itself."""
    return None


def calls_of(action: str) -> frozenset[str]:
    """The calls that can amount to this action."""
    return frozenset()
