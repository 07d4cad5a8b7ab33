"""Talk to the kernel about packet filters: nfnetlink and NF_TABLES (linux/netfilter/nf_tables.h).

Counterparts: libnftnl; in moby libnetwork/iptables, which runs the iptables program for every rule.

    daemon -> kernel   BATCH_BEGIN | NEWTABLE | DELTABLE | NEWTABLE | NEWCHAIN ... | NEWRULE ... | BATCH_END
    kernel -> daemon   nothing, or NLMSG_ERROR for what it will not have; then nothing at all is changed

A rule is a list of expressions, a small program that works on registers: load a field of the packet, compare, end here
or go on. `nft --debug=netlink list ruleset` shows the same programs. A table is always replaced whole, in one
transaction: so no rule needs a name to be deleted by, and no packet ever meets half of a change.
"""

import ipaddress
import socket
import struct
from collections.abc import Iterable
from dataclasses import dataclass

from runtime.daemon.netlink import (
    F_APPEND,
    F_CREATE,
    attribute,
    inside_network_namespace,
    message,
    nested,
    open_socket,
    raise_errors,
    text,
)

_NETLINK_NETFILTER, _SUBSYSTEM = 12, 10
_BATCH_BEGIN, _BATCH_END = 0x10, 0x11
_NEWTABLE, _DELTABLE, _NEWCHAIN, _NEWRULE = ((_SUBSYSTEM << 8) + number for number in (0, 2, 3, 6))
_SO_SNDBUFFORCE = 33

PREROUTING, FORWARD, OUTPUT, POSTROUTING = 0, 2, 3, 4
"""The hooks, places on a packet's way through the kernel."""
PRIORITY_DNAT, PRIORITY_FILTER, PRIORITY_SNAT = -100, 0, 100

ESTABLISHED_OR_RELATED = 0x2 | 0x4
"""ct state: the packet belongs to a connection that was let through, or to its errors."""
DESTINATION_TRANSLATED = 0x20
"""ct status: a dnat rule has chosen this connection's destination."""

_VERDICT_REGISTER, _FIRST, _SECOND = 0, 1, 2
_EQUAL, _NOT_EQUAL = 0, 1
_PROTOCOLS = {"tcp": socket.IPPROTO_TCP, "udp": socket.IPPROTO_UDP}
_DROP, _ACCEPT = 0, 1
_RTN_LOCAL = 2

Expression = bytes


@dataclass(frozen=True)
class Rule:
    """What `nft` writes in one line: matches, then what becomes of a packet that passed them all."""

    expressions: tuple[Expression, ...]
    comment: str = ""


@dataclass(frozen=True)
class Chain:
    """Rules at one hook; the lower the priority, the earlier among all chains of that hook."""

    name: str
    type: str
    """nat or filter."""
    hook: int
    priority: int
    rules: tuple[Rule, ...]


def replace_table(name: str, chains: Iterable[Chain], netns_fd: int = -1) -> None:
    """Put a table of family ip in place of the one of that name, if any; OSError if the kernel refuses it."""
    # A table that is not there cannot be deleted, so it is first added, which does nothing to one that is.
    parts = [*_deletion(name), _part(_NEWTABLE, text(1, name), F_CREATE)]
    for chain in chains:
        hook = nested(4, _number(1, chain.hook), _number(2, chain.priority))
        parts.append(_part(_NEWCHAIN, text(1, name) + text(3, chain.name) + hook + text(7, chain.type), F_CREATE))
        for rule in chain.rules:
            body = text(1, name) + text(2, chain.name)
            body += nested(4, *(nested(1, expression) for expression in rule.expressions))
            body += attribute(7, _comment(rule.comment)) if rule.comment else b""
            parts.append(_part(_NEWRULE, body, F_CREATE | F_APPEND))
    _send(parts, netns_fd)


def delete_table(name: str) -> None:
    """Remove a table with all that is in it; one that is not there is fine."""
    _send(_deletion(name))


def _deletion(name: str) -> list[bytes]:
    return [_part(_NEWTABLE, text(1, name), F_CREATE), _part(_DELTABLE, text(1, name), 0)]


def _part(kind: int, body: bytes, flags: int) -> bytes:
    return message(kind, struct.pack("=BBH", socket.AF_INET, 0, 0) + body, flags, 0)


def _send(parts: list[bytes], netns_fd: int = -1) -> None:
    """One transaction. The kernel has carried it out, or refused it, when send(2) returns."""
    subsystem = struct.pack("!BBH", 0, 0, _SUBSYSTEM)
    batch = b"".join((message(_BATCH_BEGIN, subsystem, 0, 0), *parts, message(_BATCH_END, subsystem, 0, 0)))
    if netns_fd < 0:
        netlink = open_socket(_NETLINK_NETFILTER)
    else:
        with inside_network_namespace(netns_fd):
            netlink = open_socket(_NETLINK_NETFILTER)
    with netlink:
        try:
            netlink.setsockopt(socket.SOL_SOCKET, _SO_SNDBUFFORCE, 2 * len(batch) + 65536)
        except PermissionError:
            pass  # in a user namespace: the usual 200 KiB are some 500 rules
        netlink.send(batch)
        try:
            while answers := netlink.recv(65536, socket.MSG_DONTWAIT):
                raise_errors(answers)
        except BlockingIOError:
            return  # nothing (more) to say


def _number(kind: int, value: int) -> bytes:
    return attribute(kind, struct.pack("!i", value))


def _comment(words: str) -> bytes:
    """User data as `nft` writes it: type 0 (comment), length, text."""
    data = words.encode()[:120] + b"\0"
    return bytes((0, len(data))) + data


# Expressions ---------------------------------------------------------------------------------------------


def _expression(name: str, *attributes: bytes) -> Expression:
    return text(1, name) + nested(2, *attributes)


def _compare(value: bytes, equal: bool = True) -> Expression:
    data = nested(3, attribute(1, value))
    return _expression("cmp", _number(1, _FIRST), _number(2, _EQUAL if equal else _NOT_EQUAL), data)


def _load_payload(base: int, offset: int, length: int) -> Expression:
    return _expression("payload", _number(1, _FIRST), _number(2, base), _number(3, offset), _number(4, length))


def _mask(mask: bytes) -> Expression:
    registers = (_number(1, _FIRST), _number(2, _FIRST), _number(3, len(mask)))
    return _expression("bitwise", *registers, nested(4, attribute(1, mask)), nested(5, attribute(1, bytes(len(mask)))))


def interface(direction: str, name: str, equal: bool = True) -> tuple[Expression, ...]:
    """`iifname NAME` (direction "in") or `oifname NAME` ("out"), or that it is another."""
    key = 6 if direction == "in" else 7
    return _expression("meta", _number(1, _FIRST), _number(2, key)), _compare(name.encode().ljust(16, b"\0"), equal)


def source_in(subnet: ipaddress.IPv4Network) -> tuple[Expression, ...]:
    """`ip saddr SUBNET`."""
    return _address_in(12, subnet, equal=True)


def destination_in(subnet: ipaddress.IPv4Network, equal: bool = True) -> tuple[Expression, ...]:
    """`ip daddr SUBNET`, or `ip daddr != SUBNET`."""
    return _address_in(16, subnet, equal)


def _address_in(offset: int, subnet: ipaddress.IPv4Network, equal: bool) -> tuple[Expression, ...]:
    load = _load_payload(1, offset, 4)
    return load, _mask(subnet.netmask.packed), _compare(subnet.network_address.packed, equal)


def destination_is_local() -> tuple[Expression, ...]:
    """`fib daddr type local`: it is one of this host's own addresses."""
    load = _expression("fib", _number(1, _FIRST), _number(2, 3), _number(3, 2))
    return load, _compare(struct.pack("=I", _RTN_LOCAL))


def destination_port(protocol: str, port: int) -> tuple[Expression, ...]:
    """`tcp dport PORT`."""
    load_protocol = _expression("meta", _number(1, _FIRST), _number(2, 16))
    return (
        load_protocol,
        _compare(bytes((_PROTOCOLS[protocol],))),
        _load_payload(2, 2, 2),
        _compare(struct.pack("!H", port)),
    )


def connection_state(bits: int) -> tuple[Expression, ...]:
    """`ct state A,B`: any of these."""
    return _connection(0, bits)


def connection_status(bits: int) -> tuple[Expression, ...]:
    """`ct status A`."""
    return _connection(2, bits)


def _connection(key: int, bits: int) -> tuple[Expression, ...]:
    load = _expression("ct", _number(2, key), _number(1, _FIRST))
    return load, _mask(struct.pack("=I", bits)), _compare(bytes(4), equal=False)


def dnat(address: str, port: int) -> tuple[Expression, ...]:
    """`dnat to ADDRESS:PORT`."""
    return (
        _load_value(_FIRST, socket.inet_aton(address)),
        _load_value(_SECOND, struct.pack("!H", port)),
        _expression("nat", _number(1, 1), _number(2, socket.AF_INET), _number(3, _FIRST), _number(5, _SECOND)),
    )


def masquerade() -> tuple[Expression, ...]:
    """`masquerade`: leave with the address of the interface that it leaves by."""
    return (_expression("masq"),)


def accept() -> tuple[Expression, ...]:
    """`accept`: no more of this chain."""
    return (_verdict(_ACCEPT),)


def drop() -> tuple[Expression, ...]:
    """`drop`."""
    return (_verdict(_DROP),)


def _load_value(register: int, value: bytes) -> Expression:
    return _expression("immediate", _number(1, register), nested(2, attribute(1, value)))


def _verdict(code: int) -> Expression:
    return _expression("immediate", _number(1, _VERDICT_REGISTER), nested(2, nested(2, _number(1, code))))
