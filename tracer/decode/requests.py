"""Calls whose arguments mean what their command says: prctl(2), fcntl(2), ioctl(2), keyctl(2), seccomp(2)."""

import struct

from tracer.decode import flags, flags_requests, seccomp_filter, structures, structures_files
from tracer.decode.quote import quote, quote_text
from tracer.decode.shown import OMIT, Shown, number, pointer, short_hexadecimal

_F_GETFD, _F_SETFD, _F_GETFL, _F_SETFL, _F_ADD_SEALS, _F_GET_SEALS = 1, 2, 3, 4, 1033, 1034
_F_WITH_NUMBER = (0, 8, 10, 1024, 1030, 1031)
_F_WITHOUT = (1, 3, 9, 11, 1025, 1032, 1034)
_F_ASK = (5, 36)
_F_LOCKS = (5, 6, 7, 36, 37, 38)

_PR_PDEATHSIG, _PR_GET_DUMPABLE, _PR_DUMPABLE, _PR_SET_NAME, _PR_GET_NAME = 1, 3, 4, 15, 16
_PR_SECCOMP, _PR_BOUNDING, _PR_GET_SECUREBITS, _PR_SECUREBITS, _PR_AMBIENT = 22, (23, 24), 27, 28, 47
_PR_GET_PDEATHSIG, _PR_GET_SUBREAPER, _CLEAR_ALL = 2, 37, 4
_PR_ADDRESSES = (2, 5, 9, 11, 19, 25, 37, 40)
_PR_NUMBERS = (8, 29, 36, 38, 41)


def prctl_argument(shown: Shown, place: int) -> str:
    """The arguments of prctl(2), those that its option uses."""
    arguments = shown.event.arguments
    option, value = arguments[0] & 0xFFFFFFFF, arguments[place]
    if place > _prctl_uses(option):
        return OMIT
    if option == _PR_AMBIENT and place == 1:
        return flags.enum_hex(value, flags.PR_CAP_AMBIENT)
    if option == _PR_AMBIENT and place == 2 and arguments[1] != _CLEAR_ALL:
        return flags.enum_hex(value, flags.CAPABILITIES)
    if option == _PR_SECCOMP:
        if place == 1:
            return {1: "SECCOMP_MODE_STRICT", 2: "SECCOMP_MODE_FILTER"}.get(value, str(value))
        return bpf_filter(shown, place)
    if place > 1:
        return hex(value) if value else "0"
    if option in _PR_BOUNDING:
        return flags.enum_hex(value, flags.CAPABILITIES)
    if option == _PR_PDEATHSIG:
        return flags.signal_name(value)
    if option == _PR_DUMPABLE:
        return flags.enum(value, flags_requests.DUMPABLE)
    if option == _PR_SECUREBITS:
        return flags.bits(value, flags_requests.SECUREBITS)
    if option in (_PR_SET_NAME, _PR_GET_NAME):
        data = shown.memory(1)
        return quote_text(data) if data is not None else pointer(shown, place)
    data = shown.memory(1)
    if option in (_PR_GET_PDEATHSIG, _PR_GET_SUBREAPER) and data is not None and len(data) == 4:
        found = int.from_bytes(data, "little")
        return f"[{flags.signal_name(found) if option == _PR_GET_PDEATHSIG and found else found}]"
    if option in _PR_NUMBERS:
        return str(value)
    return pointer(shown, place) if option in _PR_ADDRESSES else hex(value) if value else "0"


def _prctl_uses(option: int) -> int:
    """The last argument that an option looks at."""
    if option in (3, 7, 21, 27, 30):
        return 0
    if option == _PR_SECCOMP:
        return 2
    return 1 if option in flags.PRCTL and option not in (35, 38, 39, 41, _PR_AMBIENT, 0x53564D41) else 4


def prctl_answer(shown: Shown) -> str:
    """What a number that prctl(2) returned means: ` (SUID_DUMP_USER)`."""
    option, result = shown.event.arguments[0], shown.result or 0
    if option == _PR_GET_DUMPABLE:
        return f" ({flags.enum(result, flags_requests.DUMPABLE)})"
    if option == _PR_GET_SECUREBITS and result:
        return f" ({flags.bits(result, flags_requests.SECUREBITS)})"
    return ""


def personality(value: int) -> str:
    """`PER_LINUX|ADDR_NO_RANDOMIZE`; -1 only asks."""
    if value == 0xFFFFFFFF:
        return hex(value)
    kind = flags.enum_hex(value & 0xFF, flags_requests.PERSONALITIES)
    rest = value & ~0xFF
    return f"{kind}|{flags.bits(rest, flags_requests.PERSONALITY_FLAGS)}" if rest else kind


def personality_argument(shown: Shown, place: int) -> str:
    """The argument of personality(2)."""
    return personality(shown.event.arguments[place] & 0xFFFFFFFF)


def fcntl_argument(shown: Shown, place: int) -> str:
    """The third argument of fcntl(2)."""
    command, value = shown.event.arguments[1] & 0xFFFFFFFF, shown.event.arguments[place]
    if command in _F_WITHOUT:
        return OMIT
    if command == _F_SETFD:
        return "FD_CLOEXEC" if value == 1 else str(value)
    if command == _F_SETFL:
        return structures.open_flags(value & 0xFFFFFFFF, is_arm=shown.is_arm)
    if command == _F_ADD_SEALS:
        return flags.bits(value, flags.SEALS)
    data = shown.memory(2)
    if command in _F_LOCKS and data is not None:
        return structures_files.flock(data, with_holder=command in _F_ASK and shown.succeeded)
    return number(shown, place) if command in _F_WITH_NUMBER else pointer(shown, place)


def fcntl_answer(shown: Shown) -> str | None:
    """What fcntl(2) returned, where it is flags: `0x8001 (flags O_WRONLY|O_LARGEFILE)`."""
    command, result = shown.event.arguments[1] & 0xFFFFFFFF, shown.result or 0
    text = hex(result) if result else "0"
    if command == _F_GETFL:
        return f"{text} (flags {structures.open_flags(result, is_arm=shown.is_arm)})"
    if command == _F_GETFD and result:
        return f"{text} (flags FD_CLOEXEC)" if result == 1 else text
    if command == _F_GET_SEALS and result:
        return f"{text} (seals {flags.bits(result, flags.SEALS)})"
    return None


def ioctl_argument(shown: Shown, place: int) -> str:
    """The third argument of ioctl(2)."""
    request, value = shown.event.arguments[1] & 0xFFFFFFFF, shown.event.arguments[place]
    data = shown.memory(2)
    if request in (0x5450, 0x5451, 0x5422, 0xB701, 0xB702, 0xB703):
        return OMIT
    if data is None:
        return str(value) if request in (0x540B, 0x540C, 0x540D, 0x540E) else pointer(shown, place)
    if request in (0x5413, 0x5414):
        return structures.window_size(data)
    if request in (0x5401, 0x5402, 0x5403, 0x5404):
        return structures_files.terminal_modes(data)
    if request in (0x540F, 0x5410, 0x541B, 0x5421, 0x80045430, 0x40045431):
        return structures.integers(data)
    if request >> 8 == 0x89 and len(data) >= 20:
        return _interface_request(request, data)
    return quote(data, None, shown.limit)


def _interface_request(request: int, data: bytes) -> str:
    """A struct ifreq: a network interface by name, and what is asked or said of it; netdevice(7)."""
    name = f"ifr_name={quote_text(data[:16])}"
    if request in (0x8913, 0x8914):
        return f"{{{name}, ifr_flags={flags.bits(int.from_bytes(data[16:18], 'little'), flags.INTERFACE)}}}"
    if request in (0x8910, 0x8933):
        return f"{{{name}, ifr_ifindex={int.from_bytes(data[16:20], 'little')}}}"
    return f"{{{name}, ...}}"


def keyctl_argument(shown: Shown, place: int) -> str:
    """The arguments of keyctl(2), by operation."""
    operation, value = shown.event.arguments[0] & 0xFFFFFFFF, shown.event.arguments[place]
    uses = {0: 2, 1: 1, 3: 1, 4: 3, 5: 2, 6: 3, 7: 1, 8: 2, 9: 2, 10: 4, 11: 3, 15: 2}.get(operation, 4)
    if place > uses:
        return OMIT
    data = shown.memory(place)
    if operation == 1:
        return quote_text(data) if data is not None else pointer(shown, place)
    if place == 1 or (place == 2 and operation in (8, 9)):
        return keyring(shown, place)
    if operation == 5:
        return flags.bits(value & 0xFFFFFFFF, flags_requests.KEY_PERMISSIONS)
    if operation in (6, 11) and place == 2:
        if shown.result is not None and shown.result > _room(shown) and value:
            return '""'
        return quote_text(data) if data is not None and shown.succeeded else pointer(shown, place)
    if operation == 10 and data is not None:
        return quote_text(data)
    return number(shown, place)


def _room(shown: Shown) -> int:
    """How much room keyctl(2) was given."""
    return shown.event.arguments[3]


def keyring(shown: Shown, place: int) -> str:
    """A keyring by its number, or its special name."""
    serial = shown.event.arguments[place] & 0xFFFFFFFF
    serial = serial - (1 << 32) if serial >> 31 else serial
    return flags_requests.KEYRINGS.get(serial, str(serial))


def bpf_filter(shown: Shown, place: int) -> str:
    """A BPF program of seccomp(2), and what it comes to."""
    head, program = shown.memory(place), shown.memory(place, ".program")
    if program is None or head is None or len(head) < 16:
        return pointer(shown, place)
    at = int.from_bytes(head[8:16], "little")
    return f"{{len={len(program) // 8}, filter={hex(at)} /* {seccomp_filter.summary(program, shown.machine)} */}}"


def seccomp_argument(shown: Shown, place: int) -> str:
    """The third argument of seccomp(2), by operation."""
    operation, data = shown.event.arguments[0], shown.memory(place)
    if operation == 1:
        return bpf_filter(shown, place)
    if operation == 2 and data is not None and len(data) == 4:
        return f"[{flags.enum_hex(int.from_bytes(data, 'little'), flags_requests.SECCOMP_ACTIONS)}]"
    if operation == 3 and data is not None and len(data) == 6 and shown.succeeded:
        asked, answered, about = struct.unpack("<3H", data)
        return f"{{seccomp_notif={asked}, seccomp_notif_resp={answered}, seccomp_data={about}}}"
    return pointer(shown, place)


def seccomp_flags(shown: Shown, place: int) -> str:
    """Flags, which only a filter has."""
    if shown.event.arguments[0] == 1:
        return flags.bits(shown.event.arguments[place], flags.SECCOMP_FLAGS)
    return short_hexadecimal(shown, place)
