"""containerd's filter language: `topic=="/tasks/exit",namespace==moby`.

Real counterpart: containerd `filters/parser.go` and `filters/scanner.go`.

    filter    = selector ("," selector)*          all must match; a list of filters matches if any does
    selector  = fieldpath [operator value]        without an operator: the field is present
    fieldpath = field ("." field)*                a field is a word or a quoted string: labels."a.b"
    operator  = "==" | "!=" | "~="                equal, not equal, regular expression
    value     = word | "quoted", and after ~= also /regex/ | |regex|

Left out on purpose: Go's RE2 (Python's `re` stands in, which knows more) and Go's octal escapes in quoted strings.
"""

import re
from collections.abc import Callable, Sequence
from typing import NamedTuple

from google.protobuf.message import Message

from runtime.containerd.errors import InvalidArgumentError

FieldReader = Callable[[Sequence[str]], str | None]
"""Gives the text of a field path of some object; None where the object has no such field, or an empty one."""

_TOKEN = re.compile(r"\s*(?:(?P<quoted>\"(?:[^\"\\]|\\.)*\")|(?P<word>\w+)|(?P<operator>[=!~<>]+)|(?P<mark>[.,]))")
_VALUE = re.compile(
    r"\s*(?:(?P<quoted>\"(?:[^\"\\]|\\.)*\")|(?P<regex>/(?:[^/\\]|\\.)*/|\|(?:[^|\\]|\\.)*\|)|(?P<word>[^\s,\"/|][^\s,\"]*))"
)


class Selector(NamedTuple):
    """One condition."""

    path: tuple[str, ...]
    operator: str
    value: str

    def matches(self, read: FieldReader) -> bool:
        """Say whether the object whose fields `read` gives meets the condition."""
        found = read(self.path)
        if self.operator == "":
            return found is not None
        if self.operator == "!=":
            return (found or "") != self.value
        if found is None:
            return False
        return found == self.value if self.operator == "==" else re.search(self.value, found) is not None


class Filter(NamedTuple):
    """Any of these lists of selectors; no list at all matches everything."""

    alternatives: tuple[tuple[Selector, ...], ...]

    def matches(self, read: FieldReader) -> bool:
        """Say whether one of the alternatives matches in full."""
        return not self.alternatives or any(all(s.matches(read) for s in one) for one in self.alternatives)


def parse(texts: Sequence[str]) -> Filter:
    """Parse the filters of a request; raise InvalidArgumentError with the place of the fault."""
    return Filter(tuple(_parse_one(text) for text in texts if text.strip()))


def _parse_one(text: str) -> tuple[Selector, ...]:
    selectors: list[Selector] = []
    position = 0
    while True:
        selector, position = _selector(text, position)
        selectors.append(selector)
        token = _TOKEN.match(text, position)
        if token is None or token["mark"] != ",":
            if text[position:].strip():
                raise _fault(text, position, f"unexpected input: {text[position]}")
            return tuple(selectors)
        position = token.end()


def _selector(text: str, position: int) -> tuple[Selector, int]:
    path: list[str] = []
    while True:
        token = _TOKEN.match(text, position)
        if token is None or (token["quoted"] is None and token["word"] is None):
            raise _fault(text, position, "expected field or quoted")
        path.append(_unquote(token["quoted"]) if token["quoted"] else token["word"])
        position = token.end()
        token = _TOKEN.match(text, position)
        if token is None or token["mark"] != ".":
            break
        position = token.end()
    # The operator is followed by a value or a quote; "=~" is one (unknown) operator, not "=" and a word.
    token = _TOKEN.match(text, position)
    if token is None or token["operator"] is None:
        return Selector(tuple(path), "", ""), position
    operator = token["operator"]
    if operator not in ("==", "!=", "~="):
        raise _fault(text, position, f'unsupported operator "{operator}"')
    position = token.end()
    value = _VALUE.match(text, position)
    if value is None:
        raise _fault(text, position, "expected value or quoted")
    if value["regex"] and operator != "~=":
        raise _fault(text, position, "invalid quote encountered")
    quoted = value["quoted"] or value["regex"]
    word = _unquote(quoted) if quoted else value["word"]
    if operator == "~=":
        try:
            re.compile(word)
        except re.error as error:
            raise _fault(text, position, f'unable to compile "{word}": {error}') from None
    return Selector(tuple(path), operator, word), value.end()


def _unquote(quoted: str) -> str:
    return re.sub(
        r"\\(.)", lambda m: {"n": "\n", "t": "\t"}.get(m[1], m[1]) if quoted[0] == '"' else m[0], quoted[1:-1]
    )


def _fault(text: str, position: int, why: str) -> InvalidArgumentError:
    return InvalidArgumentError(
        f"filters: parse error: [{text[:position]} >|{text[position : position + 1]}|< {text[position + 1 :]}]: {why}"
    )


def message_reader(message: Message) -> FieldReader:
    """Read field paths by a protobuf message's own field names; a map field takes the rest of the path as key."""

    def read(path: Sequence[str]) -> str | None:
        here: object = message
        for depth, name in enumerate(path):
            if not isinstance(here, Message):
                return None
            field = here.DESCRIPTOR.fields_by_name.get(name)
            if field is None:
                return None
            here = getattr(here, name)
            if field.message_type is not None and field.message_type.GetOptions().map_entry:
                key = ".".join(path[depth + 1 :])
                return here.get(key) if hasattr(here, "get") else None
            if field.enum_type is not None:
                return str(field.enum_type.values_by_number[here].name.lower()) if here else None  # type: ignore[index]
        if isinstance(here, bool):
            return "true" if here else "false"
        return str(here) if isinstance(here, str | int) and here else None

    return read
