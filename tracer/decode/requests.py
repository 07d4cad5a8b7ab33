"""Calls whose arguments mean what their command says: prctl(2), fcntl(2), ioctl(2)."""

from tracer.decode import flags, structures
from tracer.decode.quote import quote, quote_text
from tracer.decode.shown import OMIT, Shown, number, pointer

_F_SETFD, _F_SETFL, _F_ADD_SEALS = 2, 4, 1033
_F_WITH_NUMBER = (0, 8, 10, 1024, 1030, 1031)
_F_WITHOUT = (1, 3, 9, 11, 1025, 1032, 1034)


def prctl_argument(shown: Shown, place: int) -> str:
    """The arguments of prctl(2), those that its option uses."""
    arguments = shown.event.arguments
    option, value = arguments[0] & 0xFFFFFFFF, arguments[place]
    if place > _prctl_uses(option):
        return OMIT
    if option == 47:
        return (
            flags.enum(value, flags.PR_CAP_AMBIENT if place == 1 else flags.CAPABILITIES) if place < 3 else str(value)
        )
    if option in (23, 24):
        return flags.enum(value, flags.CAPABILITIES)
    if option == 1:
        return flags.enum(value, flags.SIGNALS)
    if option == 15:
        data = shown.event.data.get("1")
        return quote_text(data) if data is not None else pointer(shown, place)
    if option == 22:
        if place == 1:
            return {1: "SECCOMP_MODE_STRICT", 2: "SECCOMP_MODE_FILTER"}.get(value, str(value))
        program = shown.event.data.get("2.program")
        return f"{{len={len(program) // 8}}}" if program is not None else pointer(shown, place)
    if option in (4, 8, 36, 38, 41):
        return str(value)
    return hex(value) if value else "0"


def _prctl_uses(option: int) -> int:
    """The last argument that an option looks at."""
    if option in (3, 7, 21, 27, 30):
        return 0
    if option == 47:
        return 4
    if option == 22:
        return 2
    return 1 if option in flags.PRCTL and option not in (35, 38, 39, 0x53564D41) else 4


def fcntl_argument(shown: Shown, place: int) -> str:
    """The third argument of fcntl(2)."""
    command, value = shown.event.arguments[1], shown.event.arguments[place]
    if command in _F_WITHOUT:
        return OMIT
    if command == _F_SETFD:
        return "FD_CLOEXEC" if value == 1 else str(value)
    if command == _F_SETFL:
        return structures.open_flags(value & 0xFFFFFFFF)
    if command == _F_ADD_SEALS:
        return flags.bits(value, flags.SEALS)
    return number(shown, place) if command in _F_WITH_NUMBER else pointer(shown, place)


def ioctl_argument(shown: Shown, place: int) -> str:
    """The third argument of ioctl(2)."""
    request, value = shown.event.arguments[1] & 0xFFFFFFFF, shown.event.arguments[place]
    data = shown.event.data.get("2")
    if request in (0x5413, 0x5414) and data is not None:
        return structures.window_size(data)
    if request in (0x5401, 0x5402, 0x5403, 0x5404) and data is not None and len(data) >= 16:
        return _terminal_modes(data)
    if request in (0x540F, 0x5410, 0x541B, 0x5421, 0x80045430, 0x40045431) and data is not None:
        return structures.integers(data)
    if request in (0x540E, 0x540D, 0x540C, 0x5422):
        return str(value)
    if request in (0x5450, 0x5451, 0xB701, 0xB702, 0xB703):
        return OMIT
    if data is not None:
        return quote(data)
    return hex(value) if value else "0"


def _terminal_modes(data: bytes) -> str:
    """The flags of a struct termios that tell a raw terminal from a cooked one."""
    local = int.from_bytes(data[12:16], "little")
    on = [name for bit, name in ((0x1, "isig"), (0x2, "icanon"), (0x8, "echo")) if local & bit]
    off = ["-" + name for bit, name in ((0x1, "isig"), (0x2, "icanon"), (0x8, "echo")) if not local & bit]
    return "{" + " ".join([*on, *off, "..."]) + "}"
