"""The client's own terminal: raw while the container has it, as it was on every way out.

Real counterpart: github.com/moby/term. Raw mode means that this terminal no longer turns ctrl-C into a signal, echoes,
or edits lines: every key goes to the container's own terminal, which does all that there. termios(3), tty_ioctl(4).
"""

from __future__ import annotations

import fcntl
import os
import struct
import termios
import tty

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Self


def window_size(fd: int) -> tuple[int, int]:
    """Rows and columns of the terminal at fd; (0, 0) if it is none."""
    try:
        answer = fcntl.ioctl(fd, termios.TIOCGWINSZ, bytes(8))
    except OSError:
        return 0, 0
    rows, columns, _, _ = struct.unpack("HHHH", answer)
    return rows, columns


class RawTerminal:
    """``with RawTerminal(0):`` is raw inside and restored after, however the block is left."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._saved: list[object] | None = None

    def __enter__(self) -> Self:
        if os.isatty(self._fd):
            self._saved = termios.tcgetattr(self._fd)
            # TCSANOW, not the usual TCSAFLUSH: keys typed ahead are for the container and must not be thrown away.
            tty.setraw(self._fd, termios.TCSANOW)
        return self

    def __exit__(self, *_: object) -> None:
        if self._saved is not None:
            termios.tcsetattr(self._fd, termios.TCSANOW, self._saved)  # type: ignore[arg-type]
            self._saved = None


class DetachKeys:
    """Watch typed bytes for the sequence that leaves the container running (default ctrl-p ctrl-q).

    As docker CLI does it (term.NewEscapeProxy): a byte that may begin the sequence is held back until the next one
    tells, so that a completed sequence never reaches the container, and a broken one does so in full.
    """

    def __init__(self, spelled: str) -> None:
        self._keys = _key_bytes(spelled or "ctrl-p,ctrl-q")
        self._matched = 0
        self.seen = False

    def feed(self, data: bytes) -> bytes:
        """What of the typed bytes is for the container."""
        passed = bytearray()
        for byte in data:
            if self._keys and byte == self._keys[self._matched]:
                self._matched += 1
                if self._matched == len(self._keys):
                    self.seen = True
                    break
                continue
            passed += self._keys[: self._matched]
            self._matched = 0
            if self._keys and byte == self._keys[0]:
                self._matched = 1
            else:
                passed.append(byte)
        return bytes(passed)


def _key_bytes(spelled: str) -> bytes:
    """``ctrl-p,ctrl-q,x`` as bytes; ValueError names the part that is no key."""
    keys = bytearray()
    for part in spelled.split(","):
        letter = part.removeprefix("ctrl-")
        if len(letter) != 1 or not letter.isascii():
            raise ValueError(f"invalid detach keys ({spelled}) provided: unknown key {part!r}")
        keys.append(ord(letter.upper()) & 0x1F if part != letter else ord(letter))
    return bytes(keys)
