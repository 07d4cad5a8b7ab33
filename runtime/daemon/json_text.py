"""JSON as Go's encoding/json reads it, and its words for what it cannot read (go: encoding/json/scanner.go).

Python's decoder does the reading. Left out: where Go names the letter at which `tru}` or `nonsense` stops being a
literal, the first letter is named.
"""

import json
from typing import Any, Self

from runtime.daemon.errors import UnreadableError

_MOST_DIGITS = 20
"""A longer integer fits no type of Go's; Python would take its time over a million digits, or refuse them."""

_WHERE = {
    "Expecting property name enclosed in double quotes": "looking for beginning of object key string",
    "Illegal trailing comma before end of object": "looking for beginning of object key string",
    "Illegal trailing comma before end of array": "looking for beginning of value",
    "Expecting value": "looking for beginning of value",
    "Expecting ':' delimiter": "after object key",
    "Expecting ',' delimiter": "after object key:value pair",
    "Invalid control character at": "in string literal",
    "Invalid \\escape": "in string escape code",
    "Invalid \\uXXXX escape": "in \\u hexadecimal character escape",
}
"""Python's complaint -> where Go says that it met the character."""


class Number(float):
    """A number that is no integer of 64 bits, and prints as it was written: `1e3`, `107374182400000000000000000000`."""

    text: str

    def __new__(cls, text: str) -> Self:
        """Read a number as JSON writes it; one that no float can hold is infinite."""
        number = super().__new__(cls, text)
        number.text = text
        return number

    def __str__(self) -> str:
        return self.text


def decode(text: str) -> tuple[Any, str]:
    """The first value of a text, and what follows it. Raises UnreadableError in Go's words."""
    start = len(text) - len(text.lstrip(" \t\r\n"))
    if start == len(text):
        raise UnreadableError("EOF")
    try:
        value, end = _DECODER.raw_decode(text, start)
    except json.JSONDecodeError as error:
        raise UnreadableError(_in_words_of_go(error)) from error
    except RecursionError as error:
        raise UnreadableError("exceeded max depth") from error
    return value, text[end:].strip(" \t\r\n")


def decode_whole(text: str) -> Any:
    """A text that is one value and nothing else. Raises UnreadableError in the words of Go's Unmarshal."""
    try:
        value, rest = decode(text)
    except UnreadableError as error:
        if error.message in ("EOF", "unexpected EOF"):
            raise UnreadableError("unexpected end of JSON input") from error
        raise
    if rest:
        raise UnreadableError(f"invalid character {_quoted(rest[0])} after top-level value")
    return value


def _in_words_of_go(error: json.JSONDecodeError) -> str:
    if error.pos >= len(error.doc) or error.msg.startswith("Unterminated string"):
        return "unexpected EOF"
    where = next((words for said, words in _WHERE.items() if error.msg.startswith(said)), error.msg)
    return f"invalid character {_quoted(error.doc[error.pos])} {where}"


def _quoted(character: str) -> str:
    """A character as Go's scanner shows it, between single quotes."""
    return {"'": r"'\''", '"': "'\"'"}.get(character) or "'" + json.dumps(character, ensure_ascii=False)[1:-1] + "'"


def _integer(text: str) -> int | Number:
    return int(text) if len(text) <= _MOST_DIGITS else Number(text)


def _no_constant(name: str) -> None:
    """NaN and Infinity are Python's, not JSON's."""
    raise UnreadableError(f"invalid character '{name.lstrip('-')[0]}' looking for beginning of value")


_DECODER = json.JSONDecoder(parse_float=Number, parse_int=_integer, parse_constant=_no_constant)
