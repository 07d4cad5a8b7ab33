"""Netlink messages, one by one: their types by name, and the attributes that tell a learner what happens.

rtnetlink(7); include/uapi/linux/{rtnetlink,if_link,if_addr,fib_rules}.h. Which protocol a socket speaks was said when
it was made: the same number is RTM_NEWADDR on one and SOCK_DIAG_BY_FAMILY on another.

Left out: attributes beyond those that tell a learner what happens.
"""

import struct

from tracer.decode import nftables
from tracer.decode.call import Intent
from tracer.events import Scalar

_F_CREATE = 0x400
_FIRST_OWN = 16
"""Types below are the same for every protocol: NLMSG_MIN_TYPE."""
_CONTROL = {1: "NLMSG_NOOP", 2: "NLMSG_ERROR", 3: "NLMSG_DONE", 4: "NLMSG_OVERRUN"}
_TYPES = {
    16: "RTM_NEWLINK",
    17: "RTM_DELLINK",
    18: "RTM_GETLINK",
    19: "RTM_SETLINK",
    20: "RTM_NEWADDR",
    21: "RTM_DELADDR",
    22: "RTM_GETADDR",
    24: "RTM_NEWROUTE",
    25: "RTM_DELROUTE",
    26: "RTM_GETROUTE",
    28: "RTM_NEWNEIGH",
    29: "RTM_DELNEIGH",
    30: "RTM_GETNEIGH",
    32: "RTM_NEWRULE",
    33: "RTM_DELRULE",
}
_SUBSYSTEMS = {
    1: "NFNL_SUBSYS_CTNETLINK",
    2: "NFNL_SUBSYS_CTNETLINK_EXP",
    6: "NFNL_SUBSYS_IPSET",
    11: "NFNL_SUBSYS_NFT_COMPAT",
}
_NFNL_BATCH = {16: "NFNL_MSG_BATCH_BEGIN", 17: "NFNL_MSG_BATCH_END"}
_LINK = {1: "mac", 3: "name", 4: "mtu", 5: "link", 10: "master", 18: "info", 19: "netns_pid", 28: "netns_fd"}
_ADDRESS = {1: "address", 2: "local", 3: "label"}
_RULE = {1: "to", 2: "from", 6: "priority", 10: "fwmark", 15: "lookup"}
_ROUTE = {1: "destination", 4: "interface", 5: "gateway"}
_TEXTS = ("name", "label", "kind", "peer")
_ADDRESSES = ("address", "local", "destination", "gateway", "to", "from")
_TITLED = (
    *("family", "table", "chain", "set", "name", "local", "destination", "kind", "peer", "gateway", "master"),
    *("netns_pid", "netns_fd", "rule", "from", "to", "lookup"),
)
_BARE = ("family", "table", "chain", "set", "name", "local", "destination", "rule")
"""Fields that a title names by their value alone."""
ROUTE, NETFILTER = "ROUTE", "NETFILTER"
_DIAG_TYPES = {20: "SOCK_DIAG_BY_FAMILY", 21: "SOCK_DESTROY"}


def is_get(kind: int, protocol: str) -> bool:
    """Whether a request of this type asks, and does not make: its flags mean other things then."""
    if protocol not in ("", ROUTE, NETFILTER):
        return True
    if kind >> 8:
        return nftables.message(kind, b"")[0].startswith("NFT_MSG_GET")
    return kind & 3 == 2


def message(kind: int, payload: bytes, protocol: str) -> tuple[str, dict[str, Scalar]]:
    """A message's type and the attributes that are told; of a protocol that is not read here, the type's number.

    An empty protocol is one that nobody saw chosen: the numbers of NETLINK_ROUTE and NETLINK_NETFILTER hardly meet.
    """
    if kind < _FIRST_OWN:
        return _CONTROL.get(kind, f"type {kind}"), {}
    if protocol == "SOCK_DIAG":
        return _DIAG_TYPES.get(kind, f"type {kind}"), {}
    if protocol in ("", NETFILTER):
        if kind >> 8 == nftables.NFTABLES:
            return nftables.message(kind, payload)
        if kind >> 8 in _SUBSYSTEMS:
            return f"{_SUBSYSTEMS[kind >> 8]}<<8|{kind & 0xFF}", {}
        if kind in _NFNL_BATCH and len(payload) <= 4:
            return _NFNL_BATCH[kind], {}
    return _route_message(kind, payload) if protocol in ("", ROUTE) else (f"type {kind}", {})


def _route_message(kind: int, payload: bytes) -> tuple[str, dict[str, Scalar]]:
    fields: dict[str, Scalar] = {}
    name = _TYPES.get(kind, f"type {kind}")
    if name.endswith("LINK") and len(payload) >= 16:
        fields["index"] = int.from_bytes(payload[4:8], "little", signed=True)
        if int.from_bytes(payload[12:16], "little") & 1:
            fields["up"] = bool(payload[8] & 1)
        _attributes(payload[16:], _LINK, fields)
    elif name.endswith("ADDR") and len(payload) >= 8:
        fields["prefix"], fields["index"] = payload[1], int.from_bytes(payload[4:8], "little")
        _attributes(payload[8:], _ADDRESS, fields)
    elif name.endswith("ROUTE") and len(payload) >= 12:
        fields["prefix"] = payload[1]
        _attributes(payload[12:], _ROUTE, fields)
    elif name.endswith("RULE") and len(payload) >= 12:
        fields["lookup"] = payload[4]
        _attributes(payload[12:], _RULE, fields)
        for key, prefix in (("to", payload[1]), ("from", payload[2])):
            if key in fields:
                fields[key] = f"{fields[key]}/{prefix}"
    return name, fields


def _attributes(data: bytes, names: dict[int, str], fields: dict[str, Scalar]) -> None:
    place = 0
    while place + 4 <= len(data):
        length, kind = struct.unpack_from("<HH", data, place)
        if length < 4:
            return
        value = data[place + 4 : place + length]
        place += (length + 3) & ~3
        name = names.get(kind & 0x3FFF)
        if name == "info":
            _attributes(value, {1: "kind", 2: "kind_data"}, fields)
        elif name == "kind_data":
            if fields.get("kind") == "veth":
                _attributes(value, {1: "veth_peer"}, fields)
        elif name == "veth_peer":
            _attributes(value[16:], {3: "peer", 28: "peer_netns_fd", 19: "peer_netns_pid"}, fields)
        elif name == "mac":
            fields[name] = value.hex(":")
        elif name in _TEXTS:
            fields[name] = value.split(b"\0", 1)[0].decode("utf-8", "replace")
        elif name in _ADDRESSES:
            fields[name] = _address(value)
        elif name is not None:
            fields[name] = int.from_bytes(value[:4], "little")


def _address(value: bytes) -> str:
    if len(value) == 4:
        return ".".join(str(byte) for byte in value)
    return ":".join(f"{value[place] << 8 | value[place + 1]:x}" for place in range(0, len(value) // 2 * 2, 2))


def title(name: str, fields: dict[str, Scalar]) -> str:
    """A message in a few words: `RTM_NEWLINK veth1 kind=veth`."""
    shown = [f"{key}={fields[key]}" if key not in _BARE else str(fields[key]) for key in _TITLED if key in fields]
    if "prefix" in fields and "local" in fields:
        shown = [f"{text}/{fields['prefix']}" if text == fields["local"] else text for text in shown]
    if fields.get("index") and "name" not in fields:
        shown.append(f"index={fields['index']}")
    if "up" in fields:
        shown.append("up" if fields["up"] else "down")
    return " ".join([name, *shown])


def intent(name: str, flags: int, fields: dict[str, Scalar]) -> Intent | None:
    """What a request amounts to, if the kernel does it."""
    if name == "RTM_NEWLINK" and flags & _F_CREATE and "kind" in fields:
        return Intent("LinkCreated", fields)
    if name in ("RTM_NEWLINK", "RTM_SETLINK"):
        moved = "netns_pid" in fields or "netns_fd" in fields
        return Intent("LinkMoved" if moved else "LinkChanged", fields)
    actions = {
        "RTM_DELLINK": "LinkDeleted",
        "RTM_NEWADDR": "AddressAdded",
        "RTM_NEWROUTE": "RouteAdded",
        "NFT_MSG_NEWTABLE": "TableAdded",
        "NFT_MSG_NEWCHAIN": "ChainAdded",
        "NFT_MSG_NEWRULE": "RuleAdded",
        "NFT_MSG_DELRULE": "RuleDeleted",
        "RTM_NEWRULE": "RoutingRuleAdded",
    }
    return Intent(actions[name], fields) if name in actions else None
