"""JSON by the half of Python's json package that is written in C.

`json` itself imports `re`, and with it `enum`, `functools` and `collections`: 6 ms, more than all else that `start` and
`delete` import, and a container's life has at least three of them. `_json` is CPython's own and promised to nobody, so
whatever it lacks or refuses goes to `json`, which then answers, or raises in its usual words.
"""

try:
    # at the top, because a startContainer hook's state is written where there is nothing left to import from
    import _json
except ImportError:
    _json = None  # type: ignore[assignment]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

WHITE_SPACE = " \t\n\r"
"""RFC 8259, section 2."""


class _Rules:
    """The defaults of json.JSONDecoder, under the names that the scanner asks for."""

    strict = True
    object_hook = None
    object_pairs_hook = None
    array_hook = None
    parse_float = float
    parse_int = int
    parse_constant = float


def loads(content: bytes) -> "Any":
    """The value of a JSON text in UTF-8. Raises ValueError and RecursionError, as json.loads does."""
    try:
        text = content.decode().lstrip(WHITE_SPACE)
        value, end = _json.make_scanner(_Rules)(text, 0)  # type: ignore[arg-type]
        if not text[end:].strip(WHITE_SPACE):
            return value
    except (AttributeError, TypeError, ValueError, StopIteration):
        pass
    import json

    return json.loads(content)


def dumps(value: object) -> str:
    """A value as JSON text on one line. Raises TypeError for what is not JSON."""
    try:
        encoder = _json.make_encoder(None, _refuse, _json.encode_basestring_ascii, None, ": ", ", ", False, False, True)
        return "".join(encoder(value, 0))
    except (AttributeError, TypeError):
        import json

        return json.dumps(value)


def _refuse(value: object) -> "Any":
    raise TypeError(f"{type(value).__name__} is not JSON")
