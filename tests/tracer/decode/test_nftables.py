"""Packet filter rules are told as nft(8) writes them, and damaged ones never raise."""

import socket
import struct

from hypothesis import given
from hypothesis import strategies as st

from tracer.decode import nftables
from tracer.decode.message import Decoded
from tracer.decode.netlink import Netlink

NEWRULE = 10 << 8 | 6


def attribute(kind: int, *values: bytes) -> bytes:
    """One attribute: length, type, the values, padding."""
    value = b"".join(values)
    return (struct.pack("<HH", len(value) + 4, kind) + value).ljust(len(value) + 4 + 3 & ~3, b"\0")


def number(kind: int, value: int) -> bytes:
    return attribute(kind, struct.pack(">I", value))


def expression(name: str, *values: bytes) -> bytes:
    return attribute(1, attribute(1, name.encode() + b"\0"), attribute(2, *values))


def rule(*expressions: bytes) -> bytes:
    """The payload of NFT_MSG_NEWRULE: family ip, table nat, chain POSTROUTING."""
    names = attribute(1, b"nat\0") + attribute(2, b"POSTROUTING\0")
    return struct.pack("<BBH", socket.AF_INET, 0, 0) + names + attribute(4, *expressions)


def compared(operator: int, value: bytes) -> bytes:
    return expression("cmp", number(1, 1), number(2, operator), attribute(3, attribute(1, value)))


MASQUERADE = rule(
    expression("payload", number(1, 1), number(2, 1), number(3, 12), number(4, 2)),
    compared(0, bytes([172, 17])),
    expression("meta", number(2, 7), number(1, 1)),
    compared(1, b"docker0\0".ljust(16, b"\0")),
    expression("counter"),
    expression("masq"),
)
PUBLISH = rule(
    expression("meta", number(2, 16), number(1, 1)),
    compared(0, b"\x06"),
    expression("payload", number(1, 1), number(2, 2), number(3, 2), number(4, 2)),
    compared(0, struct.pack(">H", 8080)),
    expression("immediate", number(1, 1), attribute(2, attribute(1, socket.inet_aton("172.17.0.2")))),
    expression("immediate", number(1, 2), attribute(2, attribute(1, struct.pack(">H", 80)))),
    expression("nat", number(1, 1)),
)
JUMP = rule(expression("immediate", attribute(2, attribute(2, number(1, 0xFFFFFFFD), attribute(2, b"DOCKER\0")))))


def test_rule_is_told_expression_by_expression() -> None:
    """Loads, comparisons, masks and verdicts become one line."""
    assert nftables.message(NEWRULE, MASQUERADE) == (
        "NFT_MSG_NEWRULE",
        {
            "family": "ip",
            "table": "nat",
            "chain": "POSTROUTING",
            "rule": 'ip saddr == 172.17.0.0/16, oifname != "docker0", counter, masquerade',
        },
    )
    assert nftables.message(NEWRULE, PUBLISH)[1]["rule"] == (
        "l4proto == tcp, dport == 8080, to 172.17.0.2, to port 80, dnat"
    )
    assert nftables.message(NEWRULE, JUMP)[1]["rule"] == "jump DOCKER"


def test_rule_of_a_batch_is_an_action() -> None:
    """Its fields say what it does."""
    message = struct.pack("<IHHII", 16 + len(MASQUERADE), NEWRULE, 0x0C01, 1, 0) + MASQUERADE

    netlink = Netlink("NETFILTER")
    [decoded] = netlink.feed("sent", message, 5)
    [done] = netlink.settled()

    assert isinstance(decoded, Decoded)
    assert decoded.title.startswith("NFT_MSG_NEWRULE ip nat POSTROUTING ip saddr == 172.17.0.0/16")
    assert done.intent.action == "RuleAdded"
    assert done.intent.fields["chain"] == "POSTROUTING"


@given(st.integers(0, 30), st.binary(max_size=80))
def test_damaged_message_never_raises(kind: int, payload: bytes) -> None:
    """Whatever the bytes, there is a name."""
    name, _ = nftables.message(10 << 8 | kind, payload)

    assert name.startswith("NFT_MSG_")


@given(st.binary(max_size=60))
def test_damaged_rule_never_raises(expressions: bytes) -> None:
    """A rule of any bytes is told as far as it goes."""
    nftables.message(NEWRULE, rule(expressions))
