"""What a socket is: its family, its path, and the socket at its other end.

/proc/PID/fd says only `socket:[INODE]`. For unix sockets the kernel answers the rest over netlink: sock_diag(7),
UNIX_DIAG_NAME and UNIX_DIAG_PEER, one question an inode (about 10 us, asked once). A server's end is invisible to
the client until the server has accepted: a name without a peer is therefore not final, and is asked for again.

Left out: sockets in another network namespace than the engine's (sock_diag does not see them), and addresses of
internet sockets.
"""

import os
import socket
import struct
from dataclasses import dataclass

_SOCK_DIAG_BY_FAMILY = 20
_NLM_F_REQUEST = 1
_SHOW = 0x1 | 0x4  # UDIAG_SHOW_NAME, UDIAG_SHOW_PEER
_UNIX_DIAG_NAME = 0
_UNIX_DIAG_PEER = 2
_TCP_LISTEN = 10
_REQUEST = struct.Struct("<IHHII BBHIIIII")
_ANSWER_HEAD = struct.Struct("<IHHII")
_DIAG = struct.Struct("<BBBBIII")
_ATTRIBUTE = struct.Struct("<HH")
_NO_COOKIE = 0xFFFFFFFF
_REMEMBERED = 8192
"""Sockets remembered; the oldest are forgotten first, so that a long recording does not grow the engine."""

_FAMILIES = {
    socket.AF_NETLINK: "netlink",
    socket.AF_INET: "inet",
    socket.AF_INET6: "inet6",
    socket.AF_PACKET: "packet",
    40: "vsock",
    38: "alg",
}


_NETLINK_PROTOCOLS = {
    0: "ROUTE", 4: "SOCK_DIAG", 6: "XFRM", 9: "AUDIT", 12: "NETFILTER", 15: "KOBJECT_UEVENT", 16: "GENERIC",
}  # fmt: skip
"""As `strace -yy` writes them."""


@dataclass(slots=True)
class Socket:
    """What is known of one socket, by inode."""

    family: int = 0
    """AF_*; 0 while unknown."""
    path: str = ""
    """Bound path, its own or else its peer's; `@name` where abstract."""
    protocol: str = ""
    """What a netlink socket speaks: `ROUTE`."""
    peer: int = 0
    listening: bool = False

    @property
    def is_final(self) -> bool:
        """Nothing about it will change that its name shows."""
        return self.family not in (0, socket.AF_UNIX) or self.peer != 0 or self.listening


class SocketTable:
    """All sockets seen so far."""

    def __init__(self) -> None:
        self._known: dict[int, Socket] = {}
        self._diag: socket.socket | None = None
        try:
            self._diag = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, 4)  # NETLINK_SOCK_DIAG
        except OSError:
            pass  # a kernel without it, or a sandbox: sockets then have no path and no peer

    def created(self, inode: int, family: int, protocol: int = 0) -> None:
        """socket(2), socketpair(2) or accept(2) made it."""
        if inode:
            entry = self._entry(inode)
            entry.family = family
            entry.protocol = _NETLINK_PROTOCOLS.get(protocol, str(protocol)) if family == socket.AF_NETLINK else ""

    def family(self, inode: int) -> int:
        """AF_* of a socket; 0 while unknown."""
        known = self._known.get(inode)
        return known.family if known else 0

    def bound(self, inode: int, path: str) -> None:
        """bind(2) succeeded; the path as the caller gave it."""
        if inode:
            self._entry(inode).path = path

    def listens(self, inode: int) -> str:
        """listen(2) succeeded; answers the path that the socket is bound to."""
        entry = self._entry(inode)
        entry.listening = True
        if not entry.path:
            self._ask(inode, entry)
        return entry.path

    def name(self, inode: int) -> tuple[str, bool]:
        """The socket as recordings show it, and whether that is final."""
        entry = self._entry(inode)
        if entry.family in (0, socket.AF_UNIX) and not entry.is_final:
            self._ask(inode, entry)
        if entry.family == socket.AF_UNIX:
            peer = f"->{entry.peer}" if entry.peer else ""
            path = f',"{entry.path}"' if entry.path else ""
            return f"unix:[{inode}{peer}{path}]", entry.is_final
        protocol = f"{entry.protocol}:" if entry.protocol else ""
        return f"{_FAMILIES.get(entry.family, 'socket')}:[{protocol}{inode}]", entry.family != 0

    def _entry(self, inode: int) -> Socket:
        entry = self._known.get(inode)
        if entry is None:
            if len(self._known) >= _REMEMBERED:
                del self._known[next(iter(self._known))]
            entry = self._known[inode] = Socket()
        return entry

    def _ask(self, inode: int, entry: Socket) -> None:
        """Fill in what the kernel knows of a unix socket, and what its peer now proves to be."""
        found = self._query(inode)
        if found is None:
            return
        entry.family = socket.AF_UNIX
        entry.listening = entry.listening or found.listening
        entry.path = entry.path or found.path
        if not found.peer:
            return
        entry.peer = found.peer
        other = self._entry(found.peer)
        other.family = socket.AF_UNIX
        other.peer = inode
        if not entry.path:
            entry.path = other.path
            if not entry.path and (answer := self._query(found.peer)):
                entry.path = answer.path
        other.path = other.path or entry.path

    def _query(self, inode: int) -> Socket | None:
        if self._diag is None:
            return None
        # header: length, type, flags, sequence, port; body: family, protocol, pad, states, inode, show, cookie
        request = _REQUEST.pack(
            40, _SOCK_DIAG_BY_FAMILY, _NLM_F_REQUEST, 1, 0, socket.AF_UNIX, 0, 0, 0xFFFFFFFF, inode, _SHOW,
            _NO_COOKIE, _NO_COOKIE,
        )  # fmt: skip
        try:
            self._diag.send(request)
            answer = self._diag.recv(4096)
        except OSError:
            return None
        length, kind, *_ = _ANSWER_HEAD.unpack_from(answer)
        if kind != _SOCK_DIAG_BY_FAMILY:
            return None  # NLMSG_ERROR: no such unix socket in this network namespace
        _family, _type, state, _pad, *_rest = _DIAG.unpack_from(answer, 16)
        found = Socket(family=socket.AF_UNIX, listening=state == _TCP_LISTEN)
        place = 32
        while place + 4 <= length:
            size, attribute = _ATTRIBUTE.unpack_from(answer, place)
            value = answer[place + 4 : place + size]
            if attribute == _UNIX_DIAG_NAME:
                found.path = unix_path(value)
            elif attribute == _UNIX_DIAG_PEER:
                found.peer = int.from_bytes(value[:4], "little")
            place += max((size + 3) & ~3, 4)
        return found


def unix_path(raw: bytes) -> str:
    """sun_path as text: up to its NUL, or `@name` where it is abstract."""
    if raw[:1] == b"\0":
        return "@" + raw[1:].rstrip(b"\0").decode("utf-8", "backslashreplace")
    return raw.partition(b"\0")[0].decode("utf-8", "backslashreplace")


def inode_of(pid: int, fd: int) -> int:
    """The inode of a process's socket; 0 where the descriptor is not a socket, or gone."""
    try:
        link = os.readlink(f"/proc/{pid}/fd/{fd}")
    except OSError:
        return 0
    return int(link[8:-1]) if link.startswith("socket:[") else 0
