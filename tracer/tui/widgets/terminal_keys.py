"""What a terminal sends for a key: Textual's key names to the byte sequences of console_codes(4) and xterm."""

_PLAIN = {
    "enter": b"\r",
    "tab": b"\t",
    "shift+tab": b"\x1b[Z",
    "backspace": b"\x7f",
    "escape": b"\x1b",
    "delete": b"\x1b[3~",
    "insert": b"\x1b[2~",
    "pageup": b"\x1b[5~",
    "pagedown": b"\x1b[6~",
    "ctrl+@": b"\x00",
    "ctrl+backslash": b"\x1c",
    "ctrl+circumflex_accent": b"\x1e",
    "ctrl+underscore": b"\x1f",
    "f1": b"\x1bOP",
    "f2": b"\x1bOQ",
    "f3": b"\x1bOR",
    "f4": b"\x1bOS",
    "f5": b"\x1b[15~",
    "f6": b"\x1b[17~",
    "f7": b"\x1b[18~",
    "f8": b"\x1b[19~",
    "f9": b"\x1b[20~",
    "f10": b"\x1b[21~",
}
_CURSOR = {"up": "A", "down": "B", "right": "C", "left": "D", "home": "H", "end": "F"}


def sequence_for(key: str, character: str | None, application_mode: bool) -> bytes:
    """The bytes to write to the pty; empty for a key that terminals do not send.

    In application mode (DECCKM, which full-screen programs set) the cursor keys have another second byte.
    """
    if key in _PLAIN:
        return _PLAIN[key]
    if key in _CURSOR:
        return ("\x1bO" if application_mode else "\x1b[").encode() + _CURSOR[key].encode()
    if key.startswith("ctrl+") and len(key) == 6 and key[5].isalpha():
        return bytes([ord(key[5].lower()) - ord("a") + 1])
    return character.encode() if character else b""
