"""The capture notation, compiled: one `Plan` a system call number, looked up at every stop.

A reader takes (data, memory, arguments, result, open file) and puts what it read into `data`. `result` is None at the
entry of a call: then only what the tracee gives to the kernel is read.
"""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from tracer.engine import names, readers
from tracer.engine.capture import STRUCT_LIMIT, fd_arguments, notation
from tracer.engine.memory import Memory
from tracer.engine.syscalls import UNKNOWN_ARGUMENTS
from tracer.events import SyscallSignature

if TYPE_CHECKING:
    from tracer.engine.fdtable import OpenFile
    from tracer.engine.tracee import Arguments, Process, Task

Data = dict[str, bytes | None]
Reader = Callable[[Data, Memory, "Arguments", int | None, "OpenFile"], None]
Effect = Callable[["Process", "Arguments", int], None]
"""What the engine does when a call has returned."""
Preparation = Callable[["Task"], None]
"""What it does before a call goes on into the kernel."""

_FAILED_LIMIT = 256
"""Captured of a buffer whose write failed: what was meant to be said, but not all of it."""
_EARLY = frozenset({"execve", "execveat"})
_LAST = frozenset({"exit", "exit_group"})

_STREAMING = frozenset({"read1", "write1", "readv1", "writev1", "recvmsg1", "sendmsg1"})


class Plan:
    """All that the engine knows of one call number before it is made."""

    __slots__ = (
        *("before", "count", "early", "effect", "fds", "first_fd", "last", "name", "namer"),
        *("names_given", "prepare", "readers", "reports_entry", "streams"),
    )

    def __init__(
        self, signature: SyscallSignature, effect: Effect | None, prepare: Preparation | None, machine: str
    ) -> None:
        self.name = signature.name
        self.count = len(signature.arguments)
        self.fds = fd_arguments(signature.arguments)
        self.first_fd = self.fds[0] if len(self.fds) == 1 else -1
        """The only descriptor argument, which is the common case; -1 where there are none or several."""
        words = notation(signature.name, machine).split()
        self.readers = tuple(_reader(word) for word in words if not word.startswith("before"))
        self.before = tuple(_reader(word) for word in words if word.startswith("before"))
        """What is read before the call, because it will be overwritten."""
        self.namer = names.namer(signature.name)
        """Names the descriptors that the call hands out."""
        self.names_given = signature.name in names.GIVEN
        """Also of a call that failed."""
        self.early = signature.name in _EARLY
        """Its input is gone when it returns, so it is captured at the entry."""
        self.last = signature.name in _LAST
        """It never returns, so its entry is its only record."""
        self.reports_entry = self.early or self.last
        self.streams = any(word in _STREAMING for word in words) and self.name[0] != "p"
        """Its buffer, argument 1, follows on the one before (pread and pwrite go anywhere)."""
        self.effect = effect
        self.prepare = prepare


def compile_plans(
    signatures: Mapping[int, SyscallSignature],
    effects: Mapping[str, Effect],
    preparations: Mapping[str, Preparation],
    machine: str,
) -> dict[int, Plan]:
    """A plan for every number that has a name, and at -1 the one for all others."""
    plans = {
        number: Plan(signature, effects.get(signature.name), preparations.get(signature.name), machine)
        for number, signature in signatures.items()
    }
    plans[-1] = Plan(SyscallSignature("unknown", UNKNOWN_ARGUMENTS), None, None, machine)
    return plans


def _reader(word: str) -> Reader:
    """One word of the notation as a function."""
    for prefix, make in _KINDS.items():
        if word.startswith(prefix):
            return make(word.removeprefix(prefix))
    return _BY_COMMAND[word]


def _path(rest: str) -> Reader:
    place, key = int(rest), rest

    def read(data: Data, memory: Memory, arguments: "Arguments", result: int | None, file: "OpenFile") -> None:
        if arguments[place]:
            data[key] = memory.string(arguments[place])

    return read


def _argv(rest: str) -> Reader:
    place, key = int(rest), rest

    def read(data: Data, memory: Memory, arguments: "Arguments", result: int | None, file: "OpenFile") -> None:
        if arguments[place]:
            data[key] = memory.strings(arguments[place])

    return read


def _given(rest: str) -> Reader:
    key, _, length = rest.partition(":")
    place = int(key)
    size_of = _length(length)

    def read(data: Data, memory: Memory, arguments: "Arguments", result: int | None, file: "OpenFile") -> None:
        if arguments[place]:
            data[key] = memory.read(arguments[place], size_of(arguments))

    return read


def _filled(rest: str) -> Reader:
    key, _, length = rest.partition(":")
    place = int(key)
    size = int(length)

    def read(data: Data, memory: Memory, arguments: "Arguments", result: int | None, file: "OpenFile") -> None:
        if result is not None and result >= 0 and arguments[place]:
            data[key] = memory.read(arguments[place], size)

    return read


def _filled_by_pointer(rest: str) -> Reader:
    key, _, length = rest.partition(":")
    place, length_place = int(key), int(length)

    def read(data: Data, memory: Memory, arguments: "Arguments", result: int | None, file: "OpenFile") -> None:
        if result is not None and result >= 0 and arguments[place]:
            size = memory.read(arguments[length_place], 4)
            data[key] = size and memory.read(arguments[place], min(int.from_bytes(size, "little"), 4096))

    return read


def _counted(rest: str) -> Reader:
    key, _, width = rest.partition("*")
    place, item = int(key), int(width)

    def read(data: Data, memory: Memory, arguments: "Arguments", result: int | None, file: "OpenFile") -> None:
        if result is not None and result > 0:
            limit = file.read_limit if item == 1 else STRUCT_LIMIT
            data[key] = memory.read(arguments[place], min(result * item, max(limit, 4096)))

    return read


def _read(rest: str) -> Reader:
    place, key = int(rest), rest

    def read(data: Data, memory: Memory, arguments: "Arguments", result: int | None, file: "OpenFile") -> None:
        if result is not None and result > 0:
            limit = file.read_limit
            data[key] = memory.read(arguments[place], min(limit, result))

    return read


def _write(rest: str) -> Reader:
    place, key = int(rest), rest

    def read(data: Data, memory: Memory, arguments: "Arguments", result: int | None, file: "OpenFile") -> None:
        data[key] = memory.read(arguments[place], _given_size(arguments[place + 1], result, file))

    return read


def _readv(rest: str) -> Reader:
    place, key = int(rest), rest

    def read(data: Data, memory: Memory, arguments: "Arguments", result: int | None, file: "OpenFile") -> None:
        if result is not None and result > 0:
            limit = min(result, file.read_limit)
            data[key] = memory.gather(arguments[place], arguments[place + 1] & 0xFFFFFFFF, limit)

    return read


def _writev(rest: str) -> Reader:
    place, key = int(rest), rest

    def read(data: Data, memory: Memory, arguments: "Arguments", result: int | None, file: "OpenFile") -> None:
        limit = _given_size(file.write_limit, result, file)
        data[key] = memory.gather(arguments[place], arguments[place + 1] & 0xFFFFFFFF, limit)

    return read


def _message(rest: str, *, given: bool) -> Reader:
    """A struct msghdr: {name, namelen, iov, iovlen, control, controllen, flags}, recvmsg(2)."""
    place, key = int(rest), rest

    def read(data: Data, memory: Memory, arguments: "Arguments", result: int | None, file: "OpenFile") -> None:
        if not given and (result is None or result < 0):
            return
        head = memory.read(arguments[place], 56)
        if head is None or len(head) < 56:
            data[key] = None
            return
        name, name_size, iov, iov_count, control, control_size = (
            int.from_bytes(head[start : start + size], "little")
            for start, size in ((0, 8), (8, 4), (16, 8), (24, 8), (32, 8), (40, 8))
        )
        taken = _given_size(file.write_limit, result, file)
        limit = taken if given else min(result or 0, file.read_limit)
        data[key] = memory.gather(iov, iov_count, limit)
        data[f"{key}.iov"] = readers.vector_lengths(memory, iov, iov_count)
        flags = int.from_bytes(head[48:52], "little")
        data[f"{key}.header"] = b"%d %d %d %d %d" % (name, name_size, control, control_size, flags)
        if name and name_size:
            data[f"{key}.name"] = memory.read(name, min(name_size, 128))
        if control and control_size:
            data[f"{key}.control"] = memory.read(control, min(control_size, 4096))

    return read


def _given_size(wanted: int, result: int | None, file: "OpenFile") -> int:
    """How much of an input buffer is captured: what was taken, or before that and on failure what was offered."""
    if result is None:
        return min(wanted, file.write_limit)
    if result < 0:
        return min(wanted, _FAILED_LIMIT)
    return min(result, file.write_limit)


def _length(text: str) -> Callable[["Arguments"], int]:
    """`24`, `@3` or `@3*8` as a function of the arguments."""
    if not text.startswith("@"):
        fixed = int(text)
        return lambda arguments: fixed
    place_text, _, width_text = text[1:].partition("*")
    place, width = int(place_text), int(width_text or "1")
    return lambda arguments: min((arguments[place] & 0xFFFFFFFF) * width, STRUCT_LIMIT)


def _filter_program(data: Data, memory: Memory, address: int, key: str) -> None:
    """A struct sock_fprog and the BPF program it points to: {u16 length, pad, pointer}, 8 bytes an instruction."""
    head = memory.read(address, 16)
    data[key] = head
    if head is not None and len(head) == 16:
        program = int.from_bytes(head[8:], "little")
        data[f"{key}.program"] = memory.read(program, 8 * int.from_bytes(head[:2], "little"))


def _ioctl(data: Data, memory: Memory, a: "Arguments", result: int | None, file: "OpenFile") -> None:
    """ioctl(2): newer requests carry size and direction in their number, those of terminals and interfaces do not."""
    request = a[1] & 0xFFFFFFFF
    size, given, filled = _OLD_IOCTLS.get(request, ((request >> 16) & 0x3FFF, request >> 30 & 1, request >> 30 & 2))
    if request >> 8 == 0x89 and request not in _OLD_IOCTLS:
        size, given, filled = 40, 1, 2  # SIOC*: a struct ifreq, both ways
    if size and a[2] and (given or (filled and result is not None and result >= 0)):
        data["2"] = memory.read(a[2], min(size, 4096))


_OLD_IOCTLS = {
    0x5401: (36, 0, 2),  # TCGETS
    0x5402: (36, 1, 0),  # TCSETS, TCSETSW, TCSETSF
    0x5403: (36, 1, 0),
    0x5404: (36, 1, 0),
    0x540F: (4, 0, 2),  # TIOCGPGRP
    0x5410: (4, 1, 0),  # TIOCSPGRP
    0x5413: (8, 0, 2),  # TIOCGWINSZ
    0x5414: (8, 1, 0),  # TIOCSWINSZ
    0x541B: (4, 0, 2),  # FIONREAD
    0x5421: (4, 1, 0),  # FIONBIO
}


def _prctl(data: Data, memory: Memory, a: "Arguments", result: int | None, file: "OpenFile") -> None:
    """prctl(2): names are strings, two answers numbers, PR_SET_SECCOMP with SECCOMP_MODE_FILTER has a BPF program."""
    if a[0] == 15 or (a[0] == 16 and result == 0):
        data["1"] = memory.string(a[1], 16)
    elif a[0] in (2, 37) and result == 0:
        data["1"] = memory.read(a[1], 4)
    elif a[0] == 22 and a[1] == 2:
        _filter_program(data, memory, a[2], "2")


def _seccomp(data: Data, memory: Memory, a: "Arguments", result: int | None, file: "OpenFile") -> None:
    """seccomp(2): SECCOMP_SET_MODE_FILTER has a BPF program, GET_ACTION_AVAIL an action, GET_NOTIF_SIZES sizes."""
    if a[0] == 1:
        _filter_program(data, memory, a[2], "2")
    elif a[0] == 2:
        data["2"] = memory.read(a[2], 4)
    elif a[0] == 3 and result == 0:
        data["2"] = memory.read(a[2], 6)


def _fcntl(data: Data, memory: Memory, a: "Arguments", result: int | None, file: "OpenFile") -> None:
    """fcntl(2): F_GETLK, F_SETLK, F_SETLKW and their OFD forms have a struct flock."""
    if a[1] in (5, 6, 7, 36, 37, 38):
        data["2"] = memory.read(a[2], 32)


def _fsconfig(data: Data, memory: Memory, a: "Arguments", result: int | None, file: "OpenFile") -> None:
    """fsconfig(2): a key, and for FSCONFIG_SET_STRING, _PATH and _PATH_EMPTY a string value."""
    if a[2]:
        data["2"] = memory.string(a[2])
    if a[3] and a[1] in (1, 3, 4):
        data["3"] = memory.string(a[3])
    elif a[3] and a[1] == 2:
        data["3"] = memory.read(a[3], min(a[4] & 0xFFFFFFFF, 4096))


_KINDS: dict[str, Callable[[str], Reader]] = {
    "path": _path,
    "argv": _argv,
    "in": _given,
    "outlen": _filled_by_pointer,
    "out": _filled,
    "result": _counted,
    "readv": _readv,
    "writev": _writev,
    "read": _read,
    "write": _write,
    "recvmmsg": lambda rest: readers.messages(int(rest), rest, given=False),
    "sendmmsg": lambda rest: readers.messages(int(rest), rest, given=True),
    "iov": lambda rest: readers.vectors(int(rest), rest, int(rest) + 1),
    "count": lambda rest: readers.pointer_count(int(rest), rest),
    "dirents": lambda rest: readers.directory_entries(int(rest), rest),
    "beforemsg": lambda rest: readers.earlier_name_size(int(rest), rest),
    "beforesets": lambda rest: readers.descriptor_sets((1, 2, 3), ".before"),
    "before": readers.earlier,
    "recvmsg": lambda rest: _message(rest, given=False),
    "sendmsg": lambda rest: _message(rest, given=True),
}
_BY_COMMAND: dict[str, Reader] = {
    "ioctl": _ioctl,
    "prctl": _prctl,
    "seccomp": _seccomp,
    "fcntl": _fcntl,
    "fsconfig": _fsconfig,
    "futex": readers.futex,
    "keyctl": readers.keyctl,
    "bpf": readers.bpf,
    "sets": readers.descriptor_sets((1, 2, 3), ""),
}
