"""One argument as text: the functions behind the plain words of `shapes`."""

import struct
from collections.abc import Callable

from tracer.decode import flags, structures, structures_files
from tracer.decode.quote import SHOWN, quote, quote_hex, quote_text
from tracer.events import SyscallEntered, SyscallExited

OMIT = ""
"""Instead of a text: this call does not use that argument."""

_AT_FDCWD = 0xFFFFFF9C
_TYPE_IS_IGNORED = 0x20 | 0x1000 | 0x2000 | 0x1E0000
"""MS_REMOUNT, MS_BIND, MS_MOVE and the kinds of propagation."""
_REMOUNT = 0x20
_DATA_IS_IGNORED = 0x1000 | 0x2000 | 0x1E0000


class Shown:
    """One call while it is being printed."""

    __slots__ = ("event", "is_arm", "limit", "machine", "name", "result")

    def __init__(
        self, name: str, event: SyscallEntered | SyscallExited, limit: int = SHOWN, machine: str = "x86_64"
    ) -> None:
        self.name = name
        self.event = event
        self.result = event.result if isinstance(event, SyscallExited) else None
        """None while the call has not returned."""
        self.limit = limit
        """Bytes of a buffer that are shown."""
        self.machine = machine
        self.is_arm = machine == "aarch64"
        """Layouts and flags of aarch64, where they differ from those of x86_64."""

    @property
    def succeeded(self) -> bool:
        """The call has returned, without an error."""
        return self.result is not None and self.result >= 0

    def memory(self, place: int, part: str = "") -> bytes | None:
        """What was captured for an argument, or for a part of it."""
        return self.event.data.get(f"{place}{part}")

    def file_names(self, place: int) -> list[str]:
        """What the descriptors in an array are."""
        raw = self.memory(place, ".files")
        return raw.decode("utf-8", "replace").split("\0") if raw else []


Show = Callable[[Shown, int], str]


def number(shown: Shown, place: int) -> str:
    """A signed number; 32 bits where it fits."""
    value = shown.event.arguments[place]
    if value > 0xFFFFFFFF:
        return str(value - (1 << 64) if value >> 63 else value)
    return str(value - (1 << 32) if value >> 31 else value)


def whole_number(shown: Shown, place: int) -> str:
    """A signed number of 64 bits: an offset."""
    value = shown.event.arguments[place]
    return str(value - (1 << 64) if value >> 63 else value)


def unsigned(shown: Shown, place: int) -> str:
    """A number."""
    return str(shown.event.arguments[place])


def short(shown: Shown, place: int) -> str:
    """An unsigned number of 32 bits."""
    return str(shown.event.arguments[place] & 0xFFFFFFFF)


def owner(shown: Shown, place: int) -> str:
    """A user's or group's number; -1 leaves it as it is."""
    value = shown.event.arguments[place] & 0xFFFFFFFF
    return "-1" if value == 0xFFFFFFFF else str(value)


def hexadecimal(shown: Shown, place: int) -> str:
    """A number in hex."""
    value = shown.event.arguments[place]
    return hex(value) if value else "0"


def short_hexadecimal(shown: Shown, place: int) -> str:
    """32 bits in hex."""
    value = shown.event.arguments[place] & 0xFFFFFFFF
    return hex(value) if value else "0"


def pointer(shown: Shown, place: int) -> str:
    """An address; NULL."""
    value = shown.event.arguments[place]
    return hex(value) if value else "NULL"


def omitted(shown: Shown, place: int) -> str:
    """Not looked at by this call."""
    return OMIT


def fd(shown: Shown, place: int) -> str:
    """A descriptor with its file."""
    return number(shown, place) + file_name(shown.event.files.get(place, ""))


def file_name(file: str) -> str:
    """What a descriptor is, in angle brackets; nothing where that is not known."""
    if not file:
        return ""
    return f"<{file[:-10]}>(deleted)" if file.endswith(" (deleted)") else f"<{file}>"


def dirfd(shown: Shown, place: int) -> str:
    """A directory descriptor, or AT_FDCWD with the working directory."""
    if shown.event.arguments[place] & 0xFFFFFFFF == _AT_FDCWD:
        return "AT_FDCWD" + file_name(shown.event.files.get(place, ""))
    return fd(shown, place)


def path(shown: Shown, place: int) -> str:
    """A string that was captured, else its address."""
    data = shown.memory(place)
    return quote_text(data) if data is not None else pointer(shown, place)


def late_path(shown: Shown, place: int) -> str:
    """A string that the call wrote."""
    data = shown.memory(place)
    return quote_text(data) if data is not None and shown.succeeded else pointer(shown, place)


def argv(shown: Shown, place: int) -> str:
    """The strings of an array."""
    data = shown.memory(place)
    if data is None:
        return pointer(shown, place)
    words = data.split(b"\0") if data else []
    texts = [quote(word, None, shown.limit) for word in words[:32]]
    return "[" + ", ".join(texts) + (", ...]" if len(words) > 32 else "]")


def environment(shown: Shown, place: int) -> str:
    """The environment's address and how many variables it has; the executed event has their values."""
    count = shown.memory(place, ".count")
    text = pointer(shown, place)
    if count is None:
        return text
    return f"{text} /* {int(count)} var{'' if count == b'1' else 's'} */"


def output(shown: Shown, place: int) -> str:
    """A buffer that the call filled."""
    data = shown.memory(place)
    if shown.result is None or shown.result < 0:
        return pointer(shown, place)
    if data is None:
        return '""' if shown.result == 0 and shown.event.arguments[place] else pointer(shown, place)
    return quote(data, shown.result, shown.limit)


def random_bytes(shown: Shown, place: int) -> str:
    """Bytes without meaning, in hex."""
    data = shown.memory(place)
    if data is None or not shown.succeeded:
        return pointer(shown, place)
    return quote_hex(data, shown.result, shown.limit)


def given(shown: Shown, place: int) -> str:
    """A buffer that the call was given."""
    data = shown.memory(place)
    if data is None:
        return pointer(shown, place)
    arguments = shown.event.arguments
    whole = arguments[place + 1] if place + 1 < len(arguments) else None
    return quote(data, whole, shown.limit)


def entries(shown: Shown, place: int) -> str:
    """How many names a directory gave."""
    data = shown.memory(place)
    if data is None or not shown.succeeded:
        return pointer(shown, place)
    count = data.count(b"\0") + 1 if data else 0
    return f"{pointer(shown, place)} /* {count} entr{'y' if count == 1 else 'ies'} */"


def opening(shown: Shown, place: int) -> str:
    """The flags of open(2)."""
    return structures.open_flags(shown.event.arguments[place] & 0xFFFFFFFF, is_arm=shown.is_arm)


def open_how(shown: Shown, place: int) -> str:
    """A struct open_how."""
    data = shown.memory(place)
    return structures.open_how(data, is_arm=shown.is_arm) if data is not None else pointer(shown, place)


def open_more(shown: Shown, place: int) -> str:
    """Those flags of open(2) that dup3 and pipe2 take."""
    return flags.bits(shown.event.arguments[place] & 0xFFFFFFFF, flags.OPEN_AARCH64 if shown.is_arm else flags.OPEN)


def mode(shown: Shown, place: int) -> str:
    """Permissions, where they are looked at."""
    arguments = shown.event.arguments
    # Only a call that may make a file looks at the mode: O_CREAT, and the bit of O_TMPFILE that is not O_DIRECTORY.
    if shown.name in ("open", "openat") and not arguments[place - 1] & 0o20000100:
        return OMIT
    return f"0{arguments[place] & 0xFFFF:02o}"


def file_mode(shown: Shown, place: int) -> str:
    """File type and permissions of mknod(2)."""
    return structures_files.file_mode(shown.event.arguments[place] & 0xFFFF)


def device(shown: Shown, place: int) -> str:
    """A device number, where a device is made."""
    if shown.event.arguments[place - 1] & 0o170000 not in (0o020000, 0o060000):
        return OMIT
    return structures_files.device(shown.event.arguments[place])


def mount_type(shown: Shown, place: int) -> str:
    """The file system's type, where mount(2) looks at it."""
    return pointer(shown, place) if shown.event.arguments[3] & _TYPE_IS_IGNORED else path(shown, place)


def mount_data(shown: Shown, place: int) -> str:
    """The options, where mount(2) looks at them."""
    asked = shown.event.arguments[3]
    return pointer(shown, place) if asked & _DATA_IS_IGNORED and not asked & _REMOUNT else path(shown, place)


def mapped(shown: Shown, place: int) -> str:
    """The file of mmap(2), or -1."""
    return "-1" if shown.event.arguments[place] & 0xFFFFFFFF == 0xFFFFFFFF else fd(shown, place)


def stat(shown: Shown, place: int) -> str:
    """A struct stat, where the call filled one."""
    data = shown.memory(place)
    if data is None or not shown.succeeded:
        return pointer(shown, place)
    return structures_files.stat(data, is_arm=shown.is_arm)


def statx_flags(shown: Shown, place: int) -> str:
    """Flags of statx(2), of which two bits say whether a network file system is asked."""
    value = shown.event.arguments[place] & 0xFFFFFFFF
    rest = flags.bits(value, flags.AT, zero="")
    return "|".join(part for part in ("" if value & 0x6000 else "AT_STATX_SYNC_AS_STAT", rest) if part)


def statx_mask(shown: Shown, place: int) -> str:
    """What is asked for."""
    return structures_files.statx_mask(shown.event.arguments[place] & 0xFFFFFFFF)


def moved(shown: Shown, place: int) -> str:
    """A file offset that the call moves on: `[0] => [64]`."""
    before, after = shown.memory(place, ".before"), shown.memory(place)
    if not before or len(before) < 8:
        return pointer(shown, place)
    text = f"[{int.from_bytes(before, 'little', signed=True)}]"
    if not after or not shown.succeeded or after == before:
        return text
    return f"{text} => [{int.from_bytes(after, 'little', signed=True)}]"


def descriptors(shown: Shown, place: int) -> str:
    """An array of descriptors that the call has filled, with their files: `[3<pipe:[7]>, 4<pipe:[7]>]`."""
    data = shown.memory(place)
    if data is None or not shown.succeeded:
        return pointer(shown, place)
    return named_descriptors(data, shown.file_names(place))


def named_descriptors(raw: bytes, names: list[str]) -> str:
    """Descriptors of 32 bits each with their files, as far as these are known."""
    texts = []
    for place, (value,) in enumerate(struct.iter_unpack("<i", raw[: len(raw) // 4 * 4])):
        name = names[place] if place < len(names) else ""
        texts.append(f"{value}{file_name(name)}")
    return "[" + ", ".join(texts) + "]"


def bits_of(table: flags.Table, zero: str = "0") -> Show:
    """Shows an argument as bits of a table."""

    def show(shown: Shown, place: int) -> str:
        value = shown.event.arguments[place]
        return flags.bits(value if value >> 32 and value < 1 << 63 else value & 0xFFFFFFFF, table, zero)

    return show


def value_of(table: flags.Table) -> Show:
    """Shows an argument as one value of a table: all of these are ints, whose upper half counts for nothing."""

    def show(shown: Shown, place: int) -> str:
        return flags.enum(shown.event.arguments[place] & 0xFFFFFFFF, table)

    return show


def structure(function: Callable[[bytes], str], *, late: bool) -> Show:
    """Shows what an argument points to; `late`: only the kernel fills it, so only after success."""

    def show(shown: Shown, place: int) -> str:
        data = shown.memory(place)
        if data is None or (late and not shown.succeeded):
            return pointer(shown, place)
        return function(data)

    return show
