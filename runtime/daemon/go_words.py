"""How Go reads and writes single values (strconv, fmt): dockerd's refusals quote what it could not read."""

import json

_TRUE = ("1", "t", "T", "TRUE", "true", "True")
_FALSE = ("0", "f", "F", "FALSE", "false", "False")


def parse_bool(text: str) -> bool | None:
    """What strconv.ParseBool makes of a word; None where it is neither."""
    return True if text in _TRUE else False if text in _FALSE else None


def quoted(text: str) -> str:
    """%q: in double quotes, with what cannot be printed escaped."""
    return json.dumps(text, ensure_ascii=False)
