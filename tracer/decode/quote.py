r"""Bytes as strace prints them: printable ASCII as it is, `\n`, `\0`, octal for the rest, `...` where cut."""

SHOWN = 80
"""Characters of a buffer that a line shows."""

_ESCAPES = {
    0x09: "\\t",
    0x0A: "\\n",
    0x0B: "\\v",
    0x0C: "\\f",
    0x0D: "\\r",
    0x22: '\\"',
    0x5C: "\\\\",
}
_TABLE = [_ESCAPES.get(byte) or (chr(byte) if 0x20 <= byte < 0x7F else f"\\{byte:o}") for byte in range(256)]
_PADDED = [_ESCAPES.get(byte) or (chr(byte) if 0x20 <= byte < 0x7F else f"\\{byte:03o}") for byte in range(256)]
_PLAIN = frozenset(byte for byte in range(256) if len(_TABLE[byte]) == 1)
_DIGITS = frozenset(b"01234567")


def quote(data: bytes, whole: int | None = None, shown: int = SHOWN) -> str:
    """The bytes in double quotes. `whole` is how many there really were, where fewer were captured."""
    head = data[:shown]
    cut = len(data) > shown or (whole is not None and whole > len(data))
    if head.isascii() and head.decode("ascii").isprintable() and b'"' not in head and b"\\" not in head:
        text = head.decode("ascii")
    else:
        # An octal escape must not swallow a digit that follows: then it is written in full.
        last = len(head) - 1
        text = "".join(
            (_PADDED if place < last and head[place + 1] in _DIGITS else _TABLE)[byte]
            for place, byte in enumerate(head)
        )
    return f'"{text}"...' if cut else f'"{text}"'


def quote_hex(data: bytes, whole: int | None = None, shown: int = SHOWN) -> str:
    r"""Bytes that are no text, each in hex: `"\xc1\x29"`."""
    cut = len(data) > shown or (whole is not None and whole > len(data))
    text = "".join(f"\\x{byte:02x}" for byte in data[:shown])
    return f'"{text}"...' if cut else f'"{text}"'


def quote_text(data: bytes) -> str:
    """A path or other string, without its NUL; never cut."""
    end = data.find(b"\0")
    return quote(data if end < 0 else data[:end], shown=4096)
