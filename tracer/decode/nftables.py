"""nftables over netlink: tables, chains, sets, and rules in the words of nft(8).

    RuleAdded  ip nat POSTROUTING: ip saddr == 172.17.0.0/16, oifname != "docker0", masquerade

A rule is a list of expressions for a small machine with registers: one loads a field of the packet, the next compares
it (libnftnl, include/uapi/linux/netfilter/nf_tables.h). They are told one by one; what is not known, by its name.

Left out: elements of sets, and what iptables' own matches and targets hold inside (they are told by name).
"""

import struct
from collections.abc import Iterator
from ipaddress import ip_address

from tracer.events import Scalar

NFTABLES = 10
"""The subsystem, in the upper byte of a message's type."""

_NAMES = {
    0: "NEWTABLE", 1: "GETTABLE", 2: "DELTABLE", 3: "NEWCHAIN", 4: "GETCHAIN", 5: "DELCHAIN", 6: "NEWRULE",
    7: "GETRULE", 8: "DELRULE", 9: "NEWSET", 10: "GETSET", 11: "DELSET", 12: "NEWSETELEM", 13: "GETSETELEM",
    14: "DELSETELEM", 15: "NEWGEN", 16: "GETGEN", 17: "TRACE", 18: "NEWOBJ", 19: "GETOBJ", 20: "DELOBJ",
}  # fmt: skip
_FAMILIES = {1: "inet", 2: "ip", 3: "arp", 5: "netdev", 7: "bridge", 10: "ip6"}
_ATTRIBUTES = {
    "TABLE": {1: "name"},
    "CHAIN": {1: "table", 3: "name", 5: "policy", 7: "chain_type"},
    "RULE": {1: "table", 2: "chain"},
    "SET": {1: "table", 2: "name"},
    "SETELEM": {1: "table", 2: "set"},
}
_POLICIES = {0: "drop", 1: "accept"}
_META = {
    0: "length", 1: "protocol", 3: "mark", 4: "iif", 5: "oif", 6: "iifname", 7: "oifname", 15: "nfproto",
    16: "l4proto",
}  # fmt: skip
_TRANSPORT = {(0, 2): "sport", (2, 2): "dport"}
_NETWORK = {
    (9, 1): "ip protocol", (12, 4): "ip saddr", (16, 4): "ip daddr", (6, 1): "ip6 nexthdr", (8, 16): "ip6 saddr",
    (24, 16): "ip6 daddr",
}  # fmt: skip
_OPERATORS = {0: "==", 1: "!=", 2: "<", 3: "<=", 4: ">", 5: ">="}
_VERDICTS = {0: "drop", 1: "accept", -1: "continue", -2: "break", -3: "jump", -4: "goto", -5: "return"}
_PROTOCOLS = {1: "icmp", 6: "tcp", 17: "udp", 58: "icmpv6"}
_NAMED_MOST = 32
"""Expressions of one rule that are told."""


def message(kind: int, payload: bytes) -> tuple[str, dict[str, Scalar]]:
    """A message's name and what it says, by the lower byte of its type."""
    name = _NAMES.get(kind & 0xFF, str(kind & 0xFF))
    fields: dict[str, Scalar] = {}
    if len(payload) < 4:
        return f"NFT_MSG_{name}", fields
    fields["family"] = _FAMILIES.get(payload[0], str(payload[0]))
    subject = name[3:]
    wanted = _ATTRIBUTES.get(subject, {})
    for number, value in attributes(payload[4:]):
        key = wanted.get(number)
        if key == "policy":
            fields[key] = _POLICIES.get(_number(value), str(_number(value)))
        elif key is not None:
            fields[key] = _text(value)
        elif subject == "RULE" and number == 4:
            fields["rule"] = ", ".join(rule(value))
    return f"NFT_MSG_{name}", fields


def attributes(data: bytes) -> Iterator[tuple[int, bytes]]:
    """(type, value) of each attribute; nested and byte-order marks are taken off the type."""
    place = 0
    while place + 4 <= len(data):
        length, kind = struct.unpack_from("<HH", data, place)
        if length < 4:
            return
        yield kind & 0x3FFF, data[place + 4 : place + length]
        place += (length + 3) & ~3


def rule(expressions: bytes) -> Iterator[str]:
    """The expressions of a rule, told one by one; a load is told by the comparison that follows."""
    loaded = ""
    for told, (_, element) in enumerate(attributes(expressions)):
        if told >= _NAMED_MOST:
            yield "..."
            return
        parts = dict(attributes(element))
        name = _text(parts.get(1, b""))
        values = dict(attributes(parts.get(2, b"")))
        if name == "meta":
            loaded = _META.get(_number(values.get(2, b"")), "meta")
        elif name == "payload":
            loaded = _payload(values)
        elif name == "ct":
            loaded = "ct state" if _number(values.get(2, b"")) == 0 else "ct"
        elif name == "fib":
            loaded = "fib addrtype"
        elif name == "bitwise":
            mask = _data(values.get(4, b""))
            loaded = f"{loaded} & {_value(loaded, mask)}"
        elif name == "cmp":
            operator = _OPERATORS.get(_number(values.get(2, b"")), "?")
            yield f"{loaded or 'register'} {operator} {_value(loaded, _data(values.get(3, b'')))}"
        else:
            yield from _statement(name, values, loaded)


def _statement(name: str, values: dict[int, bytes], loaded: str) -> Iterator[str]:
    """An expression that does something, or that is told by its name alone."""
    if name == "immediate":
        verdict = dict(attributes(dict(attributes(values.get(2, b""))).get(2, b"")))
        if 1 in verdict:
            code = int.from_bytes(verdict[1][:4], "big", signed=True)
            chain = f" {_text(verdict[2])}" if 2 in verdict else ""
            yield f"{_VERDICTS.get(code, str(code))}{chain}"
        else:
            value = _data(values.get(2, b""))
            yield f"to {_address(value)}" if len(value) in (4, 16) else f"to port {int.from_bytes(value, 'big')}"
    elif name == "nat":
        yield "dnat" if _number(values.get(1, b"")) == 1 else "snat"
    elif name == "masq":
        yield "masquerade"
    elif name == "lookup":
        yield f"{loaded or 'register'} in @{_text(values.get(1, b''))}"
    elif name in ("match", "target"):
        yield f"{name} {_text(values.get(1, b''))}"
    else:
        yield name


def _payload(values: dict[int, bytes]) -> str:
    base, offset, length = (_number(values.get(number, b"")) for number in (2, 3, 4))
    if base == 2:
        return _TRANSPORT.get((offset, length), f"transport header {offset}+{length}")
    if base == 1:
        # A prefix of whole bytes is compared by loading only those.
        whole = (offset, 4) if offset in (12, 16) and length < 4 else (offset, length)
        return _NETWORK.get(whole, f"network header {offset}+{length}")
    return f"link header {offset}+{length}"


def _data(value: bytes) -> bytes:
    """NFTA_DATA_VALUE inside an attribute."""
    return dict(attributes(value)).get(1, b"")


def _value(field: str, value: bytes) -> str:
    """A value as its field is written."""
    if "ifname" in field:
        return f'"{_text(value)}"'
    if field.startswith(("ip saddr", "ip daddr")) and 0 < len(value) < 4:
        return f"{_address(value.ljust(4, bytes(1)))}/{len(value) * 8}"
    if field.startswith(("ip saddr", "ip daddr", "ip6 saddr", "ip6 daddr")) and len(value) in (4, 16):
        return _address(value)
    if field.startswith(("l4proto", "ip protocol", "ip6 nexthdr")):
        return _PROTOCOLS.get(int.from_bytes(value[:1], "big"), value.hex())
    if field.startswith(("sport", "dport")):
        return str(int.from_bytes(value[:2], "big"))
    return f"0x{value.hex()}" if value else "nothing"


def _address(value: bytes) -> str:
    return str(ip_address(value))


def _number(value: bytes) -> int:
    """nf_tables counts in network byte order."""
    return int.from_bytes(value[:4], "big")


def _text(value: bytes) -> str:
    return value.split(b"\0", 1)[0].decode("utf-8", "replace")
