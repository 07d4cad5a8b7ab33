"""How Go reads and writes single values (strconv, fmt): dockerd's refusals quote what it could not read."""

_TRUE = ("1", "t", "T", "TRUE", "true", "True")
_FALSE = ("0", "f", "F", "FALSE", "false", "False")
_ESCAPES = {one: "\\" + letter for one, letter in zip('\a\b\f\n\r\t\v\\"', 'abfnrtv\\"', strict=True)}


def parse_bool(text: str) -> bool | None:
    """What strconv.ParseBool makes of a word; None where it is neither."""
    return True if text in _TRUE else False if text in _FALSE else None


def quoted(text: str) -> str:
    """%q: in double quotes, with what cannot be printed escaped."""
    return '"' + "".join(_escaped(character) for character in text) + '"'


def _escaped(character: str) -> str:
    code = ord(character)
    if character in _ESCAPES:
        return _ESCAPES[character]
    if character.isprintable():
        return character
    if code < 0x20 or code == 0x7F:
        return f"\\x{code:02x}"
    if 0xDC80 <= code <= 0xDCFF:  # a byte that is no UTF-8, as Python keeps it
        return f"\\x{code - 0xDC00:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
