"""Readers for memory that is more than one block: vectors, directory entries, timeouts, sets.

What they find is kept short and readable, as lists of decimal numbers or names, because a recording is read by people
too; see the notation in `capture`. Each takes (data, memory, arguments, result, open file), like those in `plans`.
"""

import struct
from typing import TYPE_CHECKING

from tracer.engine.memory import Memory

if TYPE_CHECKING:
    from tracer.engine.fdtable import OpenFile
    from tracer.engine.tracee import Arguments

Data = dict[str, bytes | None]

_VARIABLES = 4096
"""Pointers of an environment that are counted."""
_VECTORS = 64
"""Lengths of iovecs that are kept."""
_MESSAGES = 1024
"""Messages of one sendmmsg or recvmmsg: UIO_MAXIOV, more the kernel does not take. A stream must have them all."""
_MMSGHDR = struct.Struct("<QI4x4QI4xI4x")
_BPF_PROG_LOAD = 5
_SETS_BYTES = 128
"""An fd_set of select(2): 1024 descriptors."""
_FUTEX_WAITS = frozenset({0, 6, 9, 11, 13})
"""FUTEX_WAIT, LOCK_PI, WAIT_BITSET, WAIT_REQUEUE_PI, LOCK_PI2: argument 3 is a timeout."""


def vector_lengths(memory: Memory, address: int, count: int) -> bytes | None:
    """`iov_len` of each iovec at `address`, as decimals."""
    raw = memory.read(address, 16 * min(count, _VECTORS)) if count else b""
    if raw is None:
        return None
    return b" ".join(b"%d" % length for _, length in struct.iter_unpack("<QQ", raw[: len(raw) // 16 * 16]))


def vectors(place: int, key: str, count_place: int) -> "Reader":
    """The lengths of the iovecs at an argument, as "1.iov"."""

    def read(data: Data, memory: Memory, arguments: "Arguments", result: int | None, file: "OpenFile") -> None:
        data[f"{key}.iov"] = vector_lengths(memory, arguments[place], arguments[count_place] & 0xFFFFFFFF)

    return read


def messages(place: int, key: str, *, given: bool) -> "Reader":
    """The msghdrs of sendmmsg(2) and recvmmsg(2), each as "1.0", "1.0.header" and so on, its length as "1.0.length".

    {struct msghdr, u32 length, pad}: 64 bytes each. Those that were transferred; of a failed call none.
    """

    def read(data: Data, memory: Memory, arguments: "Arguments", result: int | None, file: "OpenFile") -> None:
        for number in range(min(result or 0, _MESSAGES)):
            each = f"{key}.{number}"
            head = memory.read(arguments[place] + 64 * number, 64)
            if head is None or len(head) < 64:
                data[each] = None
                return
            name, name_size, iov, count, control, control_size, flags, length = _MMSGHDR.unpack(head)
            limit = min(length, file.write_limit if given else file.read_limit)
            data[each] = memory.gather(iov, count, limit)
            data[f"{each}.iov"] = vector_lengths(memory, iov, count)
            data[f"{each}.header"] = b"%d %d %d %d %d" % (name, name_size, control, control_size, flags)
            data[f"{each}.length"] = b"%d" % length
            if name and name_size:
                data[f"{each}.name"] = memory.read(name, min(name_size, 128))
            if control and control_size:
                data[f"{each}.control"] = memory.read(control, min(control_size, 4096))

    return read


def pointer_count(place: int, key: str) -> "Reader":
    """How many pointers stand before an array's NULL, as "2.count"."""

    def read(data: Data, memory: Memory, arguments: "Arguments", result: int | None, file: "OpenFile") -> None:
        if arguments[place]:
            data[f"{key}.count"] = b"%d" % len(memory.pointers(arguments[place], _VARIABLES))

    return read


def directory_entries(place: int, key: str) -> "Reader":
    """The names that getdents64(2) returned, joined by NUL: {u64 inode, i64 offset, u16 length, u8 type, name}."""

    def read(data: Data, memory: Memory, arguments: "Arguments", result: int | None, file: "OpenFile") -> None:
        if result is None or result < 0:
            return
        raw = memory.read(arguments[place], result) or b""
        names = []
        start = 0
        while start + 19 <= len(raw):
            length = raw[start + 16] | raw[start + 17] << 8
            if length < 20:
                break
            names.append(raw[start + 19 : start + length].partition(b"\0")[0])
            start += length
        data[key] = b"\0".join(names)

    return read


def earlier(rest: str) -> "Reader":
    """Bytes that the call will overwrite, as they were before, as "2.before"; `rest` is `2:4`."""
    key, _, length = rest.partition(":")
    place, size = int(key), int(length)

    def read(data: Data, memory: Memory, arguments: "Arguments", result: int | None, file: "OpenFile") -> None:
        if arguments[place]:
            data[f"{key}.before"] = memory.read(arguments[place], size)

    return read


def earlier_name_size(place: int, key: str) -> "Reader":
    """`msg_namelen` of a struct msghdr before recvmsg(2) says how long the name is."""

    def read(data: Data, memory: Memory, arguments: "Arguments", result: int | None, file: "OpenFile") -> None:
        data[f"{key}.before"] = memory.read(arguments[place] + 8, 4) if arguments[place] else None

    return read


def futex(data: Data, memory: Memory, a: "Arguments", result: int | None, file: "OpenFile") -> None:
    """A timeout, for those operations that wait; else argument 3 is a number."""
    if a[3] and a[1] & 0x7F in _FUTEX_WAITS:
        data["3"] = memory.read(a[3], 16)


def keyctl(data: Data, memory: Memory, a: "Arguments", result: int | None, file: "OpenFile") -> None:
    """A name for JOIN_SESSION_KEYRING, text for DESCRIBE; SEARCH has a type and a name."""
    operation = a[0]
    if operation == 1 and a[1]:
        data["1"] = memory.string(a[1])
    elif operation in (6, 17) and a[2] and result is not None and result > 0:
        data["2"] = memory.read(a[2], min(result, a[3] & 0xFFFFFFFF, 4096))
    elif operation == 10:
        data["2"], data["3"] = memory.string(a[2]), memory.string(a[3])


def bpf(data: Data, memory: Memory, a: "Arguments", result: int | None, file: "OpenFile") -> None:
    """A union bpf_attr; BPF_PROG_LOAD points to the name of a licence."""
    raw = data["1"] = memory.read(a[1], min(a[2] & 0xFFFFFFFF, 4096)) if a[1] else None
    if a[0] & 0xFFFFFFFF == _BPF_PROG_LOAD and raw is not None and len(raw) >= 24:
        data["1.license"] = memory.string(int.from_bytes(raw[16:24], "little"), 128)


def descriptor_sets(places: tuple[int, ...], suffix: str) -> "Reader":
    """The fd_sets of select(2), as far as argument 0 says that they go."""

    def read(data: Data, memory: Memory, arguments: "Arguments", result: int | None, file: "OpenFile") -> None:
        size = min((arguments[0] + 63 & 0xFFFFFFFF) // 64 * 8, _SETS_BYTES)
        for place in places:
            if arguments[place]:
                data[f"{place}{suffix}"] = memory.read(arguments[place], size)

    return read


if TYPE_CHECKING:
    from tracer.engine.plans import Reader
