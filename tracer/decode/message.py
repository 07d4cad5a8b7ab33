"""What the protocol decoders hand to the pipeline: a message without the circumstances of its calls."""

import json
from collections.abc import Mapping
from typing import NamedTuple

from tracer.events import Direction, Scalar

BODY_LIMIT = 64 << 10
"""Characters of a body that a recording keeps."""
_FIELDS_LIMIT = 256
_TEXT_LIMIT = 2048


class Decoded(NamedTuple):
    """One message as its protocol sees it."""

    protocol: str
    direction: Direction
    title: str
    fields: dict[str, Scalar]
    body: str
    calls: tuple[int, ...]


def flatten(value: object, fields: dict[str, Scalar], prefix: str = "") -> None:
    """JSON as dotted names: objects are descended into, lists kept as JSON text; bounded."""
    if not isinstance(value, Mapping):
        return
    for key, item in value.items():
        if len(fields) >= _FIELDS_LIMIT:
            return
        name = f"{prefix}{key}"
        if isinstance(item, Mapping):
            flatten(item, fields, name + ".")
        elif isinstance(item, str):
            fields[name] = item if len(item) <= _TEXT_LIMIT else item[:_TEXT_LIMIT] + "..."
        elif isinstance(item, bool | int) or item is None:
            fields[name] = item
        else:
            text = json.dumps(item, ensure_ascii=False, separators=(",", ":"))
            fields[name] = text if len(text) <= _TEXT_LIMIT else text[:_TEXT_LIMIT] + "..."


def parse_json(text: str) -> object:
    """The value, or None where it is not JSON."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def bounded(text: str) -> str:
    """A body as a recording keeps it: what is too long says so."""
    if len(text) <= BODY_LIMIT:
        return text
    return f"{text[:BODY_LIMIT]}\n[... {len(text) - BODY_LIMIT} more characters]"


def printable(data: bytes) -> str:
    """Bytes as text: UTF-8 where they are, else one character a byte."""
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return data.decode("latin-1")


def glimpse(data: bytes, limit: int = 48) -> str:
    r"""The beginning of some output, quoted: `"hello\r\n"`."""
    text = json.dumps(printable(data[: limit * 2])[:limit], ensure_ascii=False)
    return text + ("..." if len(data) > limit else "")
