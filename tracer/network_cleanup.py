"""Take out of the host's network what a killed stack has left there (which links those are: `leftovers.links_of`).

    links          bridges, and the host's ends of veth pairs
    packet filter  one nftables table, named after the default network's bridge
    ip_forward     on, if the stack's daemon, or one before it, had found it off: the bridge's alias says so

rtnetlink(7), nfnetlink: importing a library for these few messages would take longer than all the rest.
"""

import errno
import os
import socket
import struct
from pathlib import Path

from tracer.stack import StackPlan

LINKS = "/sys/class/net"
_FORWARDING = "/proc/sys/net/ipv4/ip_forward"
_FORWARDING_MARK = "ip_forward was 0"

_RTM_DELLINK, _REQUEST, _ACK = 17, 1, 4
_NETLINK_NETFILTER = 12
_TABLES = 10 << 8  # NFNL_SUBSYS_NFTABLES
_GET_TABLE, _DELETE_TABLE, _BATCH_BEGIN, _BATCH_END = _TABLES + 1, _TABLES + 2, 0x10, 0x11
_FAMILY_HEADER, _BATCH_HEADER = struct.pack("=BBH", socket.AF_INET, 0, 0), struct.pack("!BBH", 0, 0, 10)


def tables_of(plan: StackPlan) -> list[str]:
    """The stack's table of the packet filter, if it is there."""
    name = f"glassbottom-{plan.bridge}"
    try:
        _converse(_NETLINK_NETFILTER, _message(_GET_TABLE, _FAMILY_HEADER + _table_name(name), _REQUEST))
    except OSError:
        return []  # ENOENT; or EPERM, and then it is not this user's
    return [name]


def delete_link(name: str) -> None:
    """`ip link del NAME`; a veth takes its other end along. Raises OSError, ENODEV where there is none of that name."""
    try:
        index = socket.if_nametoindex(name)
    except OSError:  # without a number
        raise OSError(errno.ENODEV, os.strerror(errno.ENODEV)) from None
    link = struct.pack("=BxHiII", socket.AF_UNSPEC, 0, index, 0, 0)
    _converse(socket.NETLINK_ROUTE, _message(_RTM_DELLINK, link, _REQUEST | _ACK))


def delete_table(name: str) -> None:
    """`nft delete table ip NAME`: a transaction of one."""
    deletion = _message(_DELETE_TABLE, _FAMILY_HEADER + _table_name(name), _REQUEST | _ACK)
    begin, end = (_message(kind, _BATCH_HEADER, _REQUEST) for kind in (_BATCH_BEGIN, _BATCH_END))
    _converse(_NETLINK_NETFILTER, begin + deletion + end)


def forwarding_was_off(plan: StackPlan) -> bool:
    """Whether ip_forward is to be put back; to be asked before the bridge goes."""
    try:
        return Path(LINKS, plan.bridge, "ifalias").read_text().strip() == _FORWARDING_MARK
    except OSError:
        return False


def restore_forwarding() -> bool:
    """Turn ip_forward off, unless a bridge is left: whoever has one may rely on it by now. Returns whether it did."""
    if any(os.path.isdir(f"{LINKS}/{name}/bridge") for name in os.listdir(LINKS)):
        return False
    Path(_FORWARDING).write_text("0")
    return True


def _message(kind: int, body: bytes, flags: int) -> bytes:
    return struct.pack("=IHHII", 16 + len(body), kind, flags, 1, 0) + body


def _table_name(name: str) -> bytes:
    value = name.encode() + b"\0"
    return struct.pack("=HH", 4 + len(value), 1) + value + b"\0" * (-len(value) % 4)


def _converse(protocol: int, request: bytes) -> None:
    """Send, and raise what the kernel has against it; it answers before send(2) returns."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, protocol) as netlink:
        netlink.send(request)
        answer = netlink.recv(65536)
    _, kind, _, _, _ = struct.unpack_from("=IHHII", answer)
    if kind == 2 and (number := struct.unpack_from("=i", answer, 16)[0]):  # NLMSG_ERROR: 0, or a negative errno
        raise OSError(-number, os.strerror(-number))
