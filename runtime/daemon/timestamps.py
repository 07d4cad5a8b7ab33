"""Instants as the Engine API writes and reads them: RFC 3339 with nanoseconds, or Unix seconds with a fraction."""

import re
import time
from datetime import UTC, datetime

from runtime.daemon.errors import InvalidParameterError, ServerError

ZERO = "0001-01-01T00:00:00Z"
"""Go's zero time: never happened."""

_DURATION_UNITS_NS = {"h": 3600 * 10**9, "m": 60 * 10**9, "s": 10**9, "ms": 10**6, "us": 10**3, "ns": 1}


def rfc3339(time_ns: int) -> str:
    """An instant with nanoseconds, trailing zeros dropped as Go drops them."""
    seconds, fraction = divmod(time_ns, 10**9)
    text = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))
    digits = f"{fraction:09d}".rstrip("0")
    return f"{text}.{digits}Z" if digits else f"{text}Z"


def rfc3339_fixed(time_ns: int) -> str:
    """The same with all nine digits: log lines are aligned."""
    seconds, fraction = divmod(time_ns, 10**9)
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + f".{fraction:09d}Z"


def from_rfc3339(text: str) -> int:
    """Nanoseconds since 1970; the zero time is 0."""
    match = re.fullmatch(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d)", text)
    if match is None:
        raise InvalidParameterError(f"invalid timestamp: {text}")
    if match[1].startswith("0001-"):
        return 0
    whole = datetime.fromisoformat(match[1] + match[3].replace("Z", "+00:00"))
    return int(whole.timestamp()) * 10**9 + int((match[2] or "0").ljust(9, "0"))


def from_query(text: str, now_ns: int) -> int | None:
    """A `since` or `until`: Unix seconds with a fraction, RFC 3339, or a duration back from now; empty is None."""
    if not text or text == "0":
        return None
    if match := re.fullmatch(r"(\d{1,12})(?:\.(\d{1,9}))?", text):
        return int(match[1]) * 10**9 + int((match[2] or "0").ljust(9, "0"))
    if re.fullmatch(r"(\d+(?:\.\d+)?(?:ns|us|ms|h|m|s))+", text):
        parts = re.findall(r"(\d+(?:\.\d+)?)(ns|us|ms|h|m|s)", text)
        return now_ns - int(sum(float(count) * _DURATION_UNITS_NS[unit] for count, unit in parts))
    try:
        return from_rfc3339(text)
    except InvalidParameterError as error:
        whole, _, fraction = text.partition(".")
        number = whole if not re.fullmatch(r"[+-]?\d{1,18}", whole) else fraction
        why = "value out of range" if re.fullmatch(r"[+-]?\d+", number) else "invalid syntax"
        raise ServerError(f'strconv.ParseInt: parsing "{number}": {why}') from error


def from_protobuf(timestamp: object) -> int:
    """Nanoseconds of a google.protobuf.Timestamp."""
    return int(timestamp.ToNanoseconds())  # type: ignore[attr-defined]


def utc_offset_free_date(time_ns: int) -> str:
    """The date and second in UTC, without a fraction (volumes' CreatedAt)."""
    return datetime.fromtimestamp(time_ns // 10**9, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def human_duration(seconds: float) -> str:
    """A duration as `docker ps` says it (docker/go-units HumanDuration)."""
    whole = int(seconds)
    for limit, text in ((1, "Less than a second"), (2, "1 second"), (60, f"{whole} seconds")):
        if whole < limit:
            return text
    minutes, hours = whole // 60, round(whole / 3600)
    steps = (
        (minutes < 2, "About a minute"),
        (minutes < 60, f"{minutes} minutes"),
        (hours < 2, "About an hour"),
        (hours < 48, f"{hours} hours"),
        (hours < 24 * 7 * 2, f"{hours // 24} days"),
        (hours < 24 * 30 * 2, f"{hours // 24 // 7} weeks"),
        (hours < 24 * 365 * 2, f"{hours // 24 // 30} months"),
    )
    return next((text for matches, text in steps if matches), f"{hours // 24 // 365} years")
