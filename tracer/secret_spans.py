"""Where secrets stand in captured bytes, told by what is written before them.

    env files, `env`, logs     NAME=value, to the end of the line
    argv, /proc/PID/environ    NAME=value, to the NUL
    JSON                       "NAME=value" (config.json, Engine API), and "password": "value"
    protobuf                   NAME=value with its length before it (wire type 2)
    other text                 NAME=value, to the end of the word: shell scripts, URLs
    HTTP heads                 Authorization, X-Registry-Auth, X-Registry-Config

Nothing is parsed as a whole: buffers are cut anywhere, and a field that is nearly right is worth masking too.
"""

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import NamedTuple

_NAMES = re.compile(
    r"pass(wd|word|phrase)?$|passw|secret|token|credential|api_?key|access_?key|private_?key|(^|_)auth($|_)|(^|_)key$|"
    r"(^|_)pwd?$",
    re.IGNORECASE,
)
_HARMLESS_NAMES = frozenset({"PWD", "OLDPWD", "SSH_AUTH_SOCK", "XAUTHORITY"})
_WORDS = (b"pass", b"secret", b"token", b"credential", b"key", b"auth", b"pw")
"""Each name that matches has one of these in it: seven quick searches save a slow one."""
_HEADER_WORDS = (b"authorization:", b"x-registry-auth:", b"x-registry-config:")
_LARGE = 4096
_WINDOW = 64

_NAME_END = re.compile(rb'[A-Za-z0-9_]{0,127}(?:=|\\?"[ \t]?(:)[ \t]?\\?")')
_NAME_BEGINNING = re.compile(rb"(?<![A-Za-z0-9_])[A-Za-z_][A-Za-z0-9_]*\Z")
_LONGEST_NAME = 128
_HEADER_VALUE = re.compile(rb"[ \t]*(?i:basic[ \t]+|bearer[ \t]+)?([^\r\n\0]*)")
_LINE_SO_FAR = re.compile(rb"(?:^|[\r\n])[ \t]*\Z")
_TO_LINE_END = re.compile(rb"[^\r\n\0]*")
_TO_NUL = re.compile(rb"[^\0]*")
_TO_QUOTE = re.compile(rb'(?:[^"\\\x00-\x1f]|\\.)*')
_TO_ESCAPED_QUOTE = re.compile(rb'(?:[^"\\\x00-\x1f]|\\(?!"))*')
_TO_WORD_END = re.compile(rb"[^\s\x00-\x1f\"'&;,)\]}]*")
_QUOTED = {b"'": re.compile(rb"[^'\x00-\x1f]*"), b'"': re.compile(rb'[^"\x00-\x1f]*')}


class Span(NamedTuple):
    """The bytes `start` up to `end` (not included) are a value that its name calls secret."""

    named_at: int
    """Where its name begins."""
    start: int
    end: int
    open: bool
    """It runs to the end of the buffer, and may go on in the next."""
    certain: bool
    """It stands where environments and credentials stand, so that its value is worth looking for elsewhere."""
    in_json: bool = False
    """It is written as inside a JSON string, with JSON's escapes."""


@lru_cache(1024)
def is_sensitive(name: str) -> bool:
    """Whether a variable's name says that its value is a secret."""
    return name not in _HARMLESS_NAMES and _NAMES.search(name) is not None


def named_values(data: bytes) -> Sequence[Span]:
    """The values in `data` whose names say that they are secret, empty ones left out, in no order."""
    if b"=" not in data and b":" not in data:
        return ()
    lower = (data if len(data) < _LARGE else _before_separators(data)).lower()
    words = [word for word in _WORDS if word in lower]
    if not words and b"registry-config" not in lower:
        return ()
    return list(_spans(data, lower if len(data) < _LARGE else data.lower(), words))


def _spans(data: bytes, lower: bytes, words: list[bytes]) -> Iterator[Span]:
    done: set[int] = set()
    for word in words:
        at = lower.find(word)
        while at >= 0:
            name_end = _NAME_END.match(data, at)
            if name_end and name_end.end() not in done:
                done.add(name_end.end())
                yield from _named_value(data, at, name_end)
            at = lower.find(word, at + len(word))
    if b"auth" in words or b"registry-config" in lower:
        yield from _credentials(data, lower)


def _before_separators(data: bytes) -> bytes:
    """What stands before each `=` and `:`, where these are rare, as in an image's layer: a tenth of a large buffer."""
    if (data.count(b"=") + data.count(b":")) * _WINDOW > len(data):
        return data
    windows: list[bytes] = []
    for separator in (b"=", b":"):
        at = data.find(separator)
        while at >= 0:
            windows.append(data[max(0, at - _WINDOW) : at + 1])
            at = data.find(separator, at + 1)
    return b"\n".join(windows)


def _credentials(data: bytes, lower: bytes) -> Iterator[Span]:
    """The values of HTTP header fields that carry them, less the name of the scheme (RFC 9110 section 11.4)."""
    for word in _HEADER_WORDS:
        at = lower.find(word)
        while at >= 0:
            value = _HEADER_VALUE.match(data, at + len(word))
            if value and value[1] and data[max(0, at - 1) : at] in (b"", b"\n", b"-"):
                yield Span(at, value.start(1), value.end(), value.end() == len(data), certain=True)
            at = lower.find(word, at + len(word))


def _named_value(data: bytes, word_at: int, name_end: "re.Match[bytes]") -> Iterator[Span]:
    """The value after a name with a telling word in it, if the name as a whole is one that tells."""
    begin = _NAME_BEGINNING.search(data, max(0, word_at - _LONGEST_NAME), word_at)
    named_at = begin.start() if begin else word_at
    is_member = name_end[1] is not None
    name = data[named_at : name_end.end()].rstrip(b'\\": \t=').decode("ascii")
    # `"Key": "..."` is how JSON writes any map down; as a variable's name KEY means what it says.
    if not is_sensitive(name) or (is_member and name.lower() == "key"):
        return
    start = name_end.end()
    if is_member:
        span = _json_string(data, named_at, start, nested=name_end[0].endswith(b'\\"'))
    else:
        span = _variable(data, named_at, start)
    if span.end > span.start:
        yield span


def _variable(data: bytes, named_at: int, start: int) -> Span:
    """`NAME=value`: where the value ends depends on what stands before the name."""
    before = data[named_at - 1 : named_at] if named_at else b""
    if before == b'"':
        return _json_string(data, named_at, start, nested=data[max(0, named_at - 2) : named_at - 1] == b"\\")
    if before == b"\0":
        return _until(data, _TO_NUL, named_at, start)
    if _LINE_SO_FAR.search(data, max(0, named_at - 80), named_at):
        return _until(data, _TO_LINE_END, named_at, start)
    if end := _end_by_length(data, named_at, start):
        return Span(named_at, start, end, open=False, certain=True)
    if quoted := _QUOTED.get(data[start : start + 1]):
        return _until(data, quoted, named_at, start + 1, certain=False)
    return _until(data, _TO_WORD_END, named_at, start, certain=False)


def _json_string(data: bytes, named_at: int, start: int, *, nested: bool) -> Span:
    """To the quote that is not escaped; in JSON within a JSON string, to the one that is escaped once."""
    found = (_TO_ESCAPED_QUOTE if nested else _TO_QUOTE).match(data, start)
    assert found is not None  # it matches nothing at all, too
    end = found.end()
    if end == len(data) - 1 and data[end:] == b"\\":
        end += 1  # cut in an escape
    closed = data[end : end + 2] == b'\\"' if nested else data[end : end + 1] == b'"'
    return Span(named_at, start, end, open=end == len(data), certain=closed, in_json=not nested)


def _until(data: bytes, pattern: "re.Pattern[bytes]", named_at: int, start: int, *, certain: bool = True) -> Span:
    found = pattern.match(data, start)
    end = found.end() if found else start
    return Span(named_at, start, end, open=end == len(data), certain=certain)


def _end_by_length(data: bytes, named_at: int, start: int) -> int:
    """The end of a protobuf string that begins at `named_at`; 0 where no tag and length stand before it.

    Encoding: https://protobuf.dev/programming-guides/encoding/ (a tag of wire type 2, a varint, the bytes).
    """
    for size in (1, 2):
        if named_at <= size or data[named_at - size - 1] & 7 != 2:
            continue
        length = data[named_at - 1] if size == 1 else data[named_at - 2] & 0x7F | data[named_at - 1] << 7
        well_formed = data[named_at - 1] < 0x80 and (size == 1 or data[named_at - 2] >= 0x80)
        if well_formed and start < named_at + length <= len(data):
            return named_at + length
    return 0
