"""A request is an action once it is certain that the kernel has done it; what it asks for, the protocol says."""

import struct

from tracer.decode.message import Decoded
from tracer.decode.netlink import Done, Netlink

BEGIN, END, NEWTABLE, NEWRULE, NEWADDR, ERROR = 16, 17, 10 << 8, 10 << 8 | 6, 20, 2
REQUEST, ACK = 0x401, 0x405
ENOENT = 2


def message(kind: int, flags: int, sequence: int, payload: bytes = bytes(4)) -> bytes:
    return struct.pack("<IHHII", 16 + len(payload), kind, flags, sequence, 0) + payload


def answer(sequence: int, error: int = 0) -> bytes:
    return message(ERROR, 0, sequence, struct.pack("<i", -error) + bytes(16))


def batch(*flags: int) -> bytes:
    """A table, then rules; one word of flags for each."""
    kinds = [NEWTABLE, *[NEWRULE] * (len(flags) - 1)]
    middle = b"".join(
        message(kind, bits, 1 + place) for place, (kind, bits) in enumerate(zip(kinds, flags, strict=True))
    )
    return message(BEGIN, 1, 0) + middle + message(END, 1, len(flags) + 1)


def done(found: list[Decoded | Done]) -> list[str]:
    return [each.intent.action for each in found if isinstance(each, Done)]


def test_refused_request_without_acknowledgement_is_no_action() -> None:
    """nft(8) asks for none: only the error comes."""
    netlink = Netlink("NETFILTER")

    assert done(list(netlink.feed("sent", batch(REQUEST, REQUEST), 1))) == []
    assert done(list(netlink.feed("received", answer(2, ENOENT), 2))) == []
    assert done(list(netlink.settled())) == [], "the table of the same batch is undone with the rule"


def test_request_without_acknowledgement_is_done_if_no_error_was_read() -> None:
    """The next question is only asked when nothing has come."""
    netlink = Netlink("NETFILTER")
    list(netlink.feed("sent", batch(REQUEST, REQUEST), 1))

    found = list(netlink.feed("sent", message(10 << 8 | 16, 1, 1), 2))

    assert done(found) == ["TableAdded", "RuleAdded"]
    assert [each.calls for each in found if isinstance(each, Done)] == [(1,), (1,)]
    assert not netlink.is_waiting


def test_batch_is_done_with_its_last_acknowledgement() -> None:
    """Those before it are sent for what is undone again, too."""
    good, bad = Netlink("NETFILTER"), Netlink("NETFILTER")
    for netlink in (good, bad):
        list(netlink.feed("sent", batch(ACK, ACK), 1))
        assert done(list(netlink.feed("received", answer(1), 2))) == []
        assert done(list(netlink.settled())) == []

    assert done(list(good.feed("received", answer(2), 3))) == ["TableAdded", "RuleAdded"]
    assert done(list(bad.feed("received", answer(2, ENOENT), 3))) == []


def test_news_of_others_settles_nothing() -> None:
    """What was in the socket before the request says nothing of it."""
    netlink = Netlink("ROUTE")
    list(netlink.feed("sent", message(NEWADDR, REQUEST, 7, bytes(8)), 1))

    assert done(list(netlink.feed("received", message(NEWADDR, 0, 0, bytes(8)), 2))) == []
    assert done(list(netlink.feed("received", message(3, 2, 8), 3))) == ["AddressAdded"]


def test_protocols_that_are_not_read_are_shown_by_number() -> None:
    """20 is an address on one socket, a question about sockets on another."""
    for protocol, title in (("SOCK_DIAG", "SOCK_DIAG_BY_FAMILY"), ("GENERIC", "type 20"), ("XFRM", "type 20")):
        netlink = Netlink(protocol)
        [decoded] = netlink.feed("sent", message(20, REQUEST, 1, bytes(24)), 1)

        assert isinstance(decoded, Decoded)
        assert decoded.title == title
        assert list(netlink.settled()) == []


def test_rule_of_routing_is_told_as_ip_rule_writes_it() -> None:
    """From where, and which table is looked up."""
    netlink = Netlink("ROUTE")
    payload = struct.pack("<8BI", 2, 0, 8, 0, 100, 0, 0, 1, 0) + struct.pack("<HH4B", 8, 2, 10, 0, 0, 0)
    [decoded] = netlink.feed("sent", message(32, REQUEST, 1, payload), 1)
    [told] = netlink.settled()

    assert isinstance(decoded, Decoded)
    assert decoded.title == "RTM_NEWRULE from=10.0.0.0/8 lookup=100"
    assert told.intent == ("RoutingRuleAdded", {"lookup": 100, "from": "10.0.0.0/8"})


def test_messages_of_a_batch_may_share_their_sequence_number() -> None:
    """Our daemon gives 0 to all: none of them may take another's place."""
    netlink = Netlink("NETFILTER")
    parts = [message(kind, REQUEST, 0) for kind in (BEGIN, NEWTABLE, NEWRULE, END)]

    list(netlink.feed("sent", b"".join(parts), 1))

    assert done(list(netlink.settled())) == ["TableAdded", "RuleAdded"]
