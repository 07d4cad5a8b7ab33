"""Which files the descriptors are that a call hands out, or lists in memory: `= 3</etc/passwd>`, `[3<pipe:[7]>, ...]`.

Asked when the call has returned and before the task goes on, because only then do they exist and cannot be closed.
A descriptor that a call returns is asked for sooner or later anyway, at the latest when it is closed, and is
remembered by then (`fdtable`): to ask here costs nothing more.
"""

import struct
from collections.abc import Callable
from typing import TYPE_CHECKING

from tracer.events import RESULT

if TYPE_CHECKING:
    from tracer.engine.fdtable import FdTable
    from tracer.engine.tracee import Arguments, Process

Data = dict[str, bytes | None]
Files = dict[int, str]
Namer = Callable[["FdTable", "Process", "Arguments", int, Data, Files], Files]
"""Adds the names of listed descriptors to `data` as "3.files", joined by NUL; answers the files of the call."""

_F_DUPFD, _F_DUPFD_CLOEXEC = 0, 1030
_BPF_OPENS = frozenset({0, 5, 7, 13, 14, 17, 18, 19, 28, 30, 31, 32})
"""Commands of bpf(2) whose result is a descriptor: MAP_CREATE, PROG_LOAD, OBJ_GET, ..."""
_BPF_ATTACHES = frozenset({8, 9, 16, 28})
"""Commands with descriptors in their attribute: PROG_ATTACH, PROG_DETACH, PROG_QUERY, LINK_CREATE."""
GIVEN = frozenset({"bpf"})
"""Calls that list descriptors in what they were given: these are named whatever comes of the call."""
_NEW_LISTENER = 8
_SCM_RIGHTS = struct.pack("<II", 1, 1)
_LISTED = 64
"""Descriptors of one list that are named."""


def result(table: "FdTable", process: "Process", arguments: "Arguments", value: int, data: Data, files: Files) -> Files:
    """The result is a descriptor."""
    name = table.lookup(process, value).name if value >= 0 else ""
    return {**files, RESULT: name} if name else files


def fcntl(table: "FdTable", process: "Process", arguments: "Arguments", value: int, data: Data, files: Files) -> Files:
    """F_DUPFD and F_DUPFD_CLOEXEC return one."""
    if arguments[1] in (_F_DUPFD, _F_DUPFD_CLOEXEC):
        return result(table, process, arguments, value, data, files)
    return files


def bpf(table: "FdTable", process: "Process", arguments: "Arguments", value: int, data: Data, files: Files) -> Files:
    """Maps, programs and links are descriptors; what is attached where is listed by its words."""
    raw = data.get("1")
    command = arguments[0] & 0xFFFFFFFF
    if command in _BPF_ATTACHES and raw:
        _list(table, process, 1, raw[:20], data)
    return result(table, process, arguments, value, data, files) if command in _BPF_OPENS else files


def seccomp(
    table: "FdTable", process: "Process", arguments: "Arguments", value: int, data: Data, files: Files
) -> Files:
    """A filter that asks has a listener."""
    if arguments[0] == 1 and arguments[1] & _NEW_LISTENER:
        return result(table, process, arguments, value, data, files)
    return files


def pair(place: int) -> Namer:
    """An array of two that the call has filled: pipe2, socketpair."""

    def name(
        table: "FdTable", process: "Process", arguments: "Arguments", value: int, data: Data, files: Files
    ) -> Files:
        raw = data.get(str(place))
        if value == 0 and raw:
            _list(table, process, place, raw, data)
        return files

    return name


def poll(table: "FdTable", process: "Process", arguments: "Arguments", value: int, data: Data, files: Files) -> Files:
    """What is waited for: {int fd, short events, short revents} each."""
    raw = data.get("0")
    if raw:
        _list(table, process, 0, b"".join(raw[start : start + 4] for start in range(0, len(raw), 8)), data)
    return files


def select(table: "FdTable", process: "Process", arguments: "Arguments", value: int, data: Data, files: Files) -> Files:
    """The members of each set that was given."""
    for place in (1, 2, 3):
        raw = data.get(f"{place}.before")
        if raw:
            bits = int.from_bytes(raw, "little")
            members = [fd for fd in range(min(arguments[0], len(raw) * 8)) if bits >> fd & 1]
            _list(table, process, place, struct.pack(f"<{len(members)}i", *members), data)
    return files


def rights(table: "FdTable", process: "Process", arguments: "Arguments", value: int, data: Data, files: Files) -> Files:
    """sendmsg(2), recvmsg(2): descriptors in a control message of SCM_RIGHTS."""
    raw = data.get("1.control") or b""
    listed = b""
    place = 0
    while place + 16 <= len(raw):
        length = int.from_bytes(raw[place : place + 8], "little")
        if length < 16:
            break
        if raw[place + 8 : place + 16] == _SCM_RIGHTS:
            listed += raw[place + 16 : place + length]
        place += (length + 7) & ~7
    if listed:
        _list(table, process, 1, listed, data)
    return files


def _list(table: "FdTable", process: "Process", place: int, raw: bytes, data: Data) -> None:
    names = [
        table.lookup(process, fd & 0xFFFFFFFF).name if fd >= 0 else ""
        for (fd,) in struct.iter_unpack("<i", raw[: min(len(raw) // 4, _LISTED) * 4])
    ]
    data[f"{place}.files"] = "\0".join(names).encode("utf-8", "backslashreplace")


NAMERS: dict[str, Namer] = {
    "fcntl": fcntl,
    "bpf": bpf,
    "seccomp": seccomp,
    "pipe": pair(0),
    "pipe2": pair(0),
    "socketpair": pair(3),
    "poll": poll,
    "ppoll": poll,
    "select": select,
    "pselect6": select,
    "sendmsg": rights,
    "recvmsg": rights,
}
"""Those that are not simply `result`."""
RETURNING = frozenset(
    """
    open openat openat2 creat dup dup2 dup3 socket accept accept4 epoll_create epoll_create1 eventfd eventfd2
    memfd_create open_tree fsopen fsmount fspick pidfd_open pidfd_getfd timerfd_create signalfd signalfd4
    inotify_init inotify_init1 userfaultfd perf_event_open io_uring_setup fanotify_init open_by_handle_at mq_open
    landlock_create_ruleset memfd_secret
    """.split()
)
"""Calls whose result is a descriptor wherever they succeed."""


def namer(name: str) -> Namer | None:
    """How the descriptors of a call are named; None where it hands out none."""
    return result if name in RETURNING else NAMERS.get(name)
