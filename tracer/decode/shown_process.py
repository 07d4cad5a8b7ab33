"""Arguments of calls about processes, signals and waiting: clone, rt_sigaction, wait4, futex, poll, select."""

import struct

from tracer.decode import flags, structures
from tracer.decode.shown import OMIT, Show, Shown, pointer, short
from tracer.decode.siginfo import siginfo

_SETTLS, _PARENT_SETTID, _PIDFD = 0x80000, 0x100000, 0x1000
_CHILD_TID = 0x01000000 | 0x200000
_WAKE_OPERATIONS = frozenset({1})
_TIMED = frozenset({0, 6, 9, 11, 13})
_COMPARED = frozenset({4, 12})
_BITSET = frozenset({9, 10})


def clone_flags(shown: Shown, place: int) -> str:
    """The flags of clone(2), with the signal of its low byte."""
    value = shown.event.arguments[place]
    named = flags.bits(value & ~0xFF, flags.CLONE, zero="")
    signal = flags.signal_name(value & 0xFF) if value & 0xFF else ""
    return "|".join(part for part in (named, signal) if part) or "0"


def clone_parent(shown: Shown, place: int) -> str:
    """Where the child's number is stored, with the number: the kernel stores there what it returns."""
    asked = shown.event.arguments[0]
    if not asked & (_PARENT_SETTID | _PIDFD):
        return OMIT
    if asked & _PIDFD or not shown.result or shown.result < 0:
        return pointer(shown, place)
    return f"[{shown.result}]"


def clone_tls(shown: Shown, place: int) -> str:
    """The thread pointer, where one is set."""
    return pointer(shown, place) if shown.event.arguments[0] & _SETTLS else OMIT


def clone_child(shown: Shown, place: int) -> str:
    """Where the child finds its number, where it does."""
    return pointer(shown, place) if shown.event.arguments[0] & _CHILD_TID else OMIT


def clone3_arguments(shown: Shown, place: int) -> str:
    """A struct clone_args, and what the call stored through it."""
    data = shown.memory(place)
    if data is None:
        return pointer(shown, place)
    text = structures.clone_args(data)
    asked = int.from_bytes(data[:8], "little")
    if asked & _PARENT_SETTID and shown.result and shown.result > 0:
        text += f" => {{parent_tid=[{shown.result}]}}"
    return text


def signal(shown: Shown, place: int) -> str:
    """A signal by name; 0 asks only whether one could be sent."""
    value = shown.event.arguments[place] & 0xFFFFFFFF
    return flags.signal_name(value)


def new_mask(shown: Shown, place: int) -> str:
    """The mask that rt_sigprocmask(2) was given; the old one may have been written over it since."""
    data = shown.memory(place, ".before")
    if data is None:
        data = shown.memory(place)
    return structures.signal_set(data) if data is not None else pointer(shown, place)


def frame_mask(shown: Shown, place: int) -> str:
    """The mask that rt_sigreturn(2) restores from the frame of the signal; it has no arguments."""
    data = shown.memory(place)
    return f"{{mask={structures.signal_set(data)}}}" if data is not None else OMIT


def asked_version(shown: Shown, place: int) -> str:
    """What capget(2) was asked: the kernel writes its own version over one that it does not know."""
    data = shown.memory(place, ".before")
    if data is None:
        data = shown.memory(place)
    return structures.capability_header(data) if data is not None else pointer(shown, place)


def wait_status(shown: Shown, place: int) -> str:
    """What wait4(2) says of a child, where it found one."""
    data = shown.memory(place)
    return structures.wait_status(data) if data is not None and shown.result else pointer(shown, place)


def usage(shown: Shown, place: int) -> str:
    """A struct rusage, where the call filled one."""
    data = shown.memory(place)
    return structures.usage(data) if data is not None and shown.succeeded and shown.result else pointer(shown, place)


def signal_information(shown: Shown, place: int) -> str:
    """A siginfo_t that the call filled."""
    data = shown.memory(place)
    return siginfo(data) if data is not None and shown.succeeded else pointer(shown, place)


def futex_operation(shown: Shown, place: int) -> str:
    """The operation of futex(2)."""
    value = shown.event.arguments[place] & 0xFFFFFFFF
    named = flags.enum(value & 0x7F, flags.FUTEX)
    return named + ("_PRIVATE" if value & 0x80 else "") + ("|FUTEX_CLOCK_REALTIME" if value & 0x100 else "")


def futex_value(shown: Shown, place: int) -> str:
    """What the word is compared with, or how many are woken."""
    return short(shown, place)


def futex_timeout(shown: Shown, place: int) -> str:
    """A timeout for the operations that wait, a second number for those that requeue."""
    operation = shown.event.arguments[1] & 0x7F
    if operation in _TIMED:
        data = shown.memory(place)
        return structures.timespec(data) if data is not None else pointer(shown, place)
    return short(shown, place) if operation in (3, 4, 5, 12) else OMIT


def futex_second(shown: Shown, place: int) -> str:
    """The second word, for the operations that have one."""
    operation = shown.event.arguments[1] & 0x7F
    return pointer(shown, place) if operation in (3, 4, 5, 11, 12) else OMIT


def futex_third(shown: Shown, place: int) -> str:
    """A set of bits to wait for, or a value to compare with."""
    operation = shown.event.arguments[1] & 0x7F
    value = shown.event.arguments[place] & 0xFFFFFFFF
    if operation in _BITSET:
        return "FUTEX_BITSET_MATCH_ANY" if value == 0xFFFFFFFF else hex(value)
    if operation == 5:
        return _wake_operation(value)
    return str(value) if operation in _COMPARED else OMIT


def _wake_operation(value: int) -> str:
    """FUTEX_WAKE_OP packs an operation and a comparison into 32 bits: futex(2)."""
    operations = ("FUTEX_OP_SET", "FUTEX_OP_ADD", "FUTEX_OP_OR", "FUTEX_OP_ANDN", "FUTEX_OP_XOR")
    compares = ("FUTEX_OP_CMP_EQ", "FUTEX_OP_CMP_NE", "FUTEX_OP_CMP_LT", "FUTEX_OP_CMP_LE", "FUTEX_OP_CMP_GT")
    operation, compare = value >> 28 & 7, value >> 24 & 0xF
    if operation >= len(operations) or compare >= len(compares):
        return hex(value)
    first, second = value >> 12 & 0xFFF, value & 0xFFF
    texts = [hex(number) if number else "0" for number in (first, second)]
    return f"{operations[operation]}<<28|{texts[0]}<<12|{compares[compare]}<<24|{texts[1]}"


def poll_fds(shown: Shown, place: int) -> str:
    """An array of struct pollfd: {int fd, short events, short revents}."""
    data = shown.memory(place)
    if data is None:
        return pointer(shown, place)
    items = []
    for fd, asked, _ in _polled(shown, data):
        items.append(f"{{fd={fd}, events={flags.bits(asked, flags.POLL)}}}" if asked else f"{{fd={fd}}}")
    return "[" + ", ".join(items) + "]"


def poll_answer(shown: Shown) -> str:
    """What poll(2) found: ` ([{fd=3, revents=POLLIN}])`."""
    data = shown.memory(0)
    if not shown.result or data is None:
        return " (Timeout)" if shown.result == 0 else ""
    polled = struct.iter_unpack("<iHH", data[: len(data) // 8 * 8])
    found = [f"{{fd={fd}, revents={flags.bits(got, flags.POLL)}}}" for fd, _, got in polled if got]
    return f" ([{', '.join(found)}])"


def _polled(shown: Shown, data: bytes) -> list[tuple[str, int, int]]:
    names = shown.file_names(0)
    polled = []
    for place, (fd, asked, got) in enumerate(struct.iter_unpack("<iHH", data[: len(data) // 8 * 8])):
        name = names[place] if place < len(names) else ""
        polled.append((f"{fd}<{name}>" if name else str(fd), asked, got))
    return polled


def descriptor_set(shown: Shown, place: int) -> str:
    """The fd_set that select(2) was given."""
    data = shown.memory(place, ".before")
    if data is None:
        return pointer(shown, place)
    return "[" + " ".join(_members(data, shown.event.arguments[0], shown.file_names(place))) + "]"


def select_timeout(shown: Shown, place: int) -> str:
    """How long select(2) was to wait at most; the kernel writes over it what was left of that."""
    data = shown.memory(place, ".before")
    if data is None:
        return pointer(shown, place)
    return structures.timespec(data) if shown.name == "pselect6" else structures.timeval(data)


def waited(shown: Shown, place: int) -> str:
    """How long recvmmsg(2) was to wait at most."""
    data = shown.memory(place, ".before")
    return structures.timespec(data) if data is not None else pointer(shown, place)


def select_answer(shown: Shown) -> str:
    """What select(2) found: ` (in [3])`."""
    if shown.result == 0:
        return " (Timeout)"
    sets = []
    for place, word in ((1, "in"), (2, "out"), (3, "except")):
        data = shown.memory(place)
        if data is not None and any(data):
            members = _members(data, shown.event.arguments[0], [])
            sets.append(f"{word} [{' '.join(members)}]")
    left = shown.memory(4)
    if left is not None and len(left) == 16:
        sets.append("left " + (structures.timespec(left) if shown.name == "pselect6" else structures.timeval(left)))
    return f" ({', '.join(sets)})" if sets else ""


def _members(data: bytes, limit: int, names: list[str]) -> list[str]:
    bits = int.from_bytes(data, "little")
    fds = [fd for fd in range(min(limit, len(data) * 8)) if bits >> fd & 1]
    return [f"{fd}<{names[place]}>" if place < len(names) and names[place] else str(fd) for place, fd in enumerate(fds)]


def cpu_set(shown: Shown, place: int) -> str:
    """The processors of sched_getaffinity(2): `[0 1]`."""
    data = shown.memory(place)
    if data is None or (shown.name == "sched_getaffinity" and not shown.succeeded):
        return pointer(shown, place)
    bits = int.from_bytes(data, "little")
    return "[" + " ".join(str(cpu) for cpu in range(bits.bit_length()) if bits >> cpu & 1) + "]"


def epoll_events(shown: Shown, place: int) -> str:
    """The events that epoll_wait(2) found, or that epoll_ctl(2) was given; what a removal ignores is an address."""
    data = shown.memory(place)
    if shown.name == "epoll_ctl":
        if data is None or shown.event.arguments[1] == 2:
            return pointer(shown, place)
        events = structures.epoll_events(data, is_arm=shown.is_arm)
        return events[0] if events else pointer(shown, place)
    if not shown.succeeded:
        return pointer(shown, place)
    if data is None:
        return "[]" if shown.result == 0 else pointer(shown, place)
    return "[" + ", ".join(structures.epoll_events(data, is_arm=shown.is_arm)) + "]"


def labelled(label: str, show: Show) -> Show:
    """An argument with its name before it, as strace writes those of clone."""

    def labelled_show(shown: Shown, place: int) -> str:
        text = show(shown, place)
        return f"{label}={text}" if text is not OMIT else OMIT

    return labelled_show
