"""Netlink messages: what rtnetlink(7) and nfnetlink have in common (netlink(7), libmnl).

    | length | type | flags | sequence | port |   one family's own header   | attribute | attribute | ...
                                                                  attribute:  | length | type | value, padded to 4 |

A netlink socket belongs to the network namespace it was opened in, for good: so another namespace is entered just long
enough to open one, and no process or thread is needed for it. That is safe only because this process has one thread,
and nothing else runs between the two setns(2) calls.
"""

import contextlib
import ctypes
import os
import socket
import struct
from collections.abc import Iterator

F_REQUEST, F_ACK, F_EXCL, F_CREATE, F_APPEND = 0x1, 0x4, 0x200, 0x400, 0x800
ERROR = 2
"""NLMSG_ERROR: an errno, 0 for success."""

HEADER = struct.Struct("=IHHII")
_NESTED = 0x8000
_CLONE_NEWNET = 0x40000000


def open_socket(protocol: int) -> socket.socket:
    """A socket of one netlink family, about the network namespace that we are in now."""
    opened = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, protocol)
    opened.bind((0, 0))
    return opened


def message(kind: int, body: bytes, flags: int, sequence: int) -> bytes:
    """One message with its header."""
    return HEADER.pack(HEADER.size + len(body), kind, flags | F_REQUEST, sequence, 0) + body


def attribute(kind: int, value: bytes) -> bytes:
    """One struct nlattr: length, type, value, padded to four bytes."""
    return struct.pack("=HH", 4 + len(value), kind) + value + b"\0" * (-len(value) % 4)


def nested(kind: int, *attributes: bytes) -> bytes:
    """An attribute whose value is attributes, and says so."""
    return attribute(kind | _NESTED, b"".join(attributes))


def text(kind: int, value: str) -> bytes:
    """An attribute with a string that ends in NUL."""
    return attribute(kind, value.encode() + b"\0")


def raise_errors(answers: bytes) -> None:
    """Raise the first OSError among the answers to a request."""
    while len(answers) >= HEADER.size:
        length, kind, _, _, _ = HEADER.unpack_from(answers)
        if kind == ERROR and (code := -struct.unpack_from("=i", answers, HEADER.size)[0]):
            raise OSError(code, os.strerror(code))
        answers = answers[(length + 3) & ~3 :]


@contextlib.contextmanager
def inside_network_namespace(fd: int) -> Iterator[None]:
    """Sockets that are opened meanwhile belong to another network namespace. Nothing may be awaited in here."""
    home = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        set_network_namespace(fd)
        try:
            yield
        finally:
            set_network_namespace(home)
    finally:
        os.close(home)


def set_network_namespace(fd: int) -> None:
    """setns(2) for the network namespace (Python has os.setns from 3.12 on)."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(fd, _CLONE_NEWNET) < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), "setns")
