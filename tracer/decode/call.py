"""One system call as the recognisers see it: raw arguments, and the memory and files that were captured with them."""

from collections.abc import Mapping
from typing import NamedTuple

from tracer.events import Scalar


class Intent(NamedTuple):
    """What a call amounts to, if it succeeds."""

    action: str
    fields: dict[str, Scalar]


class Call(NamedTuple):
    """A call's name and inputs."""

    name: str
    arguments: tuple[int, ...]
    data: Mapping[str, bytes | None]
    files: Mapping[int, str]
    machine: str = "x86_64"
    """Where it was made."""

    def text(self, place: int) -> str:
        """The string that this argument points to; empty where it could not be read."""
        value = self.data.get(str(place))
        return value.split(b"\0", 1)[0].decode("utf-8", "replace") if value else ""

    def raw(self, place: int) -> bytes:
        """The memory that this argument points to."""
        return self.data.get(str(place)) or b""

    def number(self, place: int) -> int:
        """An argument as the kernel's int: 32 bits, signed."""
        value = self.arguments[place] & 0xFFFFFFFF
        return value - (1 << 32) if value >= 1 << 31 else value

    def flags(self, place: int) -> int:
        """An argument as unsigned 32 bits."""
        return self.arguments[place] & 0xFFFFFFFF

    def path(self, place: int) -> str:
        """A path argument, made absolute by the directory descriptor before it where it is relative."""
        text = self.text(place)
        directory = self.files.get(place - 1, "")
        if text.startswith("/") or not directory:
            return text
        return f"{directory.rstrip('/')}/{text}" if text else directory
