"""One argument as text: the functions behind the words of `shapes`."""

from collections.abc import Callable

from tracer.decode import flags, structures
from tracer.decode.quote import quote, quote_text
from tracer.events import SyscallEntered, SyscallExited

OMIT = ""
"""Instead of a text: this call does not use that argument."""

_AT_FDCWD = 0xFFFFFF9C


class Shown:
    """One call while it is being printed."""

    __slots__ = ("event", "name", "result")

    def __init__(self, name: str, event: SyscallEntered | SyscallExited) -> None:
        self.name = name
        self.event = event
        self.result = event.result if isinstance(event, SyscallExited) else None
        """None while the call has not returned."""


Show = Callable[[Shown, int], str]


def number(shown: Shown, place: int) -> str:
    """A signed number; 32 bits where it fits."""
    value = shown.event.arguments[place]
    if value > 0xFFFFFFFF:
        return str(value - (1 << 64) if value >> 63 else value)
    return str(value - (1 << 32) if value >> 31 else value)


def unsigned(shown: Shown, place: int) -> str:
    """A number."""
    return str(shown.event.arguments[place])


def hexadecimal(shown: Shown, place: int) -> str:
    """A number in hex."""
    value = shown.event.arguments[place]
    return hex(value) if value else "0"


def pointer(shown: Shown, place: int) -> str:
    """An address; NULL."""
    value = shown.event.arguments[place]
    return hex(value) if value else "NULL"


def fd(shown: Shown, place: int) -> str:
    """A descriptor with its file."""
    file = shown.event.files.get(place)
    text = number(shown, place)
    return f"{text}<{file}>" if file else text


def dirfd(shown: Shown, place: int) -> str:
    """A directory descriptor; AT_FDCWD."""
    if shown.event.arguments[place] & 0xFFFFFFFF == _AT_FDCWD:
        return "AT_FDCWD"
    return fd(shown, place)


def path(shown: Shown, place: int) -> str:
    """A string that was captured, else its address."""
    data = shown.event.data.get(str(place))
    return quote_text(data) if data is not None else pointer(shown, place)


def argv(shown: Shown, place: int) -> str:
    """The strings of an array."""
    data = shown.event.data.get(str(place))
    if data is None:
        return pointer(shown, place)
    words = data.split(b"\0")
    if words and not words[-1]:
        words.pop()
    texts = [quote(word) for word in words[:32]]
    return "[" + ", ".join(texts) + (", ...]" if len(words) > 32 else "]")


def environment(shown: Shown, place: int) -> str:
    """The address of the environment: the executed event has the values."""
    return pointer(shown, place)


def output(shown: Shown, place: int) -> str:
    """A buffer that the call filled."""
    data = shown.event.data.get(str(place))
    if shown.result is None or shown.result < 0:
        return pointer(shown, place)
    if data is None:
        return '""' if shown.result == 0 else pointer(shown, place)
    return quote(data, shown.result)


def given(shown: Shown, place: int) -> str:
    """A buffer that the call was given."""
    data = shown.event.data.get(str(place))
    if data is None:
        return pointer(shown, place)
    arguments = shown.event.arguments
    vector = shown.name in ("writev", "readv")
    whole = None if vector or place + 1 >= len(arguments) else arguments[place + 1]
    return quote(data, whole)


def opening(shown: Shown, place: int) -> str:
    """The flags of open(2)."""
    return structures.open_flags(shown.event.arguments[place] & 0xFFFFFFFF)


def open_more(shown: Shown, place: int) -> str:
    """Those flags of open(2) that dup3 and pipe2 take."""
    return flags.bits(shown.event.arguments[place] & 0xFFFFFFFF, flags.OPEN)


def mode(shown: Shown, place: int) -> str:
    """Permissions, where they are looked at."""
    arguments = shown.event.arguments
    # Only a call that may make a file looks at the mode: O_CREAT, O_TMPFILE.
    if shown.name in ("open", "openat") and not arguments[place - 1] & 0o20000100:
        return OMIT
    return f"0{arguments[place] & 0xFFFF:03o}"


def file_mode(shown: Shown, place: int) -> str:
    """File type and permissions of mknod(2)."""
    value = shown.event.arguments[place]
    kind = flags.FILE_TYPES.get(value & 0o170000)
    permissions = f"0{value & 0o7777:03o}"
    return f"{kind}|{permissions}" if kind else permissions


def device(shown: Shown, place: int) -> str:
    """A device number, where a device is made."""
    if shown.event.arguments[place - 1] & 0o170000 not in (0o020000, 0o060000):
        return OMIT
    value = shown.event.arguments[place]
    major = (value >> 8 & 0xFFF) | (value >> 32 & 0xFFFFF000)
    minor = (value & 0xFF) | (value >> 12 & 0xFFFFFF00)
    return f"makedev({major:#x}, {minor:#x})"


def clone_flags(shown: Shown, place: int) -> str:
    """The flags of clone(2), with the signal of its low byte."""
    value = shown.event.arguments[place]
    named = flags.bits(value & ~0xFF, flags.CLONE, zero="")
    signal = flags.SIGNALS.get(value & 0xFF, "")
    return "|".join(part for part in (named, signal) if part) or "0"


def socket_type(shown: Shown, place: int) -> str:
    """SOCK_STREAM and flags."""
    value = shown.event.arguments[place]
    kind = flags.enum(value & 0xF, flags.SOCKET_TYPES)
    rest = value & 0xFFFFFFF0
    return f"{kind}|{flags.bits(rest, flags.SOCKET_FLAGS)}" if rest else kind


def socket_protocol(shown: Shown, place: int) -> str:
    """The protocol of socket(2), by family."""
    value, family = shown.event.arguments[place], shown.event.arguments[0]
    if family == 16:
        return flags.enum(value, flags.NETLINK)
    return flags.enum(value, flags.IP_PROTOCOLS) if family in (2, 10) else str(value)


def message_header(shown: Shown, place: int) -> str:
    """A struct msghdr."""
    data = shown.event.data
    payload = data.get(str(place))
    if payload is None:
        return pointer(shown, place)
    parts = []
    name, control = data.get(f"{place}.name"), data.get(f"{place}.control")
    if name:
        parts.append("msg_name=" + structures.sockaddr(name))
    parts.append(f"msg_iov={quote(payload, shown.result if shown.result and shown.result > 0 else None)}")
    if control:
        parts.append("msg_control=" + structures.control_messages(control))
    return "{" + ", ".join(parts) + "}"


def signal_action(shown: Shown, place: int) -> str:
    """A struct sigaction."""
    data = shown.event.data.get(str(place))
    if data is None or len(data) < 32:
        return pointer(shown, place)
    handler = int.from_bytes(data[:8], "little")
    named = {0: "SIG_DFL", 1: "SIG_IGN"}.get(handler, hex(handler))
    bits = flags.bits(int.from_bytes(data[8:16], "little"), flags.SIGNAL_ACTIONS)
    return f"{{sa_handler={named}, sa_flags={bits}}}"


def bpf_filter(shown: Shown, place: int) -> str:
    """A BPF program of seccomp(2), summarised."""
    program = shown.event.data.get(f"{place}.program")
    if program is None:
        return pointer(shown, place)
    return f"{{len={len(program) // 8}, answers: {structures.bpf_summary(program)}}}"


def mapped(shown: Shown, place: int) -> str:
    """The file of mmap(2), or -1."""
    return "-1" if shown.event.arguments[place] & 0xFFFFFFFF == 0xFFFFFFFF else fd(shown, place)


def futex_operation(shown: Shown, place: int) -> str:
    """The operation of futex(2)."""
    value = shown.event.arguments[place] & 0xFFFFFFFF
    named = flags.enum(value & 0x7F, flags.FUTEX)
    return named + ("_PRIVATE" if value & 0x80 else "") + ("|FUTEX_CLOCK_REALTIME" if value & 0x100 else "")


def poll_fds(shown: Shown, place: int) -> str:
    """An array of struct pollfd: {int fd, short events, short revents}."""
    data = shown.event.data.get(str(place))
    if data is None:
        return pointer(shown, place)
    items = []
    for start in range(0, len(data) // 8 * 8, 8):
        fd = int.from_bytes(data[start : start + 4], "little", signed=True)
        asked, got = data[start + 4] | data[start + 5] << 8, data[start + 6] | data[start + 7] << 8
        answer = f", revents={flags.bits(got, flags.POLL)}" if got and shown.result else ""
        items.append(f"{{fd={fd}, events={flags.bits(asked, flags.POLL)}{answer}}}")
    return "[" + ", ".join(items) + "]"


def bits_of(table: flags.Table) -> Show:
    """Shows an argument as bits of a table."""

    def show(shown: Shown, place: int) -> str:
        return flags.bits(shown.event.arguments[place], table)

    return show


def value_of(table: flags.Table) -> Show:
    """Shows an argument as one value of a table."""

    def show(shown: Shown, place: int) -> str:
        return flags.enum(shown.event.arguments[place], table)

    return show


def structure(function: Callable[[bytes], str], *, late: bool) -> Show:
    """Shows what an argument points to; `late`: only the kernel fills it, so only after success."""

    def show(shown: Shown, place: int) -> str:
        data = shown.event.data.get(str(place))
        if data is None or (late and (shown.result is None or shown.result < 0)):
            return pointer(shown, place)
        return function(data)

    return show
