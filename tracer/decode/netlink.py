"""Netlink: how network devices, addresses, routes and packet filters are made, by messages to the kernel.

rtnetlink(7), netlink(7); counterparts: iproute2's `ip monitor`, pyroute2's parsers. A request is answered by
NLMSG_ERROR with 0 for success, so what a request amounts to (a link, an address, a route) is told when that has come.

    | length | type | flags | sequence | port |  family header  | attribute: length, type, value | ...

Left out: attributes beyond those that tell a learner what happens.
"""

import struct
from collections.abc import Iterator

from tracer.decode import errnos, nftables
from tracer.decode.call import Intent
from tracer.decode.message import Decoded
from tracer.events import Scalar, Side

_HEADER = struct.Struct("<IHHII")
_ERROR, _DONE = 2, 3
_F_ACK, _F_CREATE = 0x4, 0x400
_TYPES = {
    1: "NLMSG_NOOP",
    _ERROR: "NLMSG_ERROR",
    _DONE: "NLMSG_DONE",
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
_LINK = {3: "name", 4: "mtu", 5: "link", 10: "master", 18: "info", 19: "netns_pid", 28: "netns_fd"}
_ADDRESS = {1: "address", 2: "local", 3: "label"}
_ROUTE = {1: "destination", 4: "interface", 5: "gateway"}
_TEXTS = ("name", "label", "kind")
_ADDRESSES = ("address", "local", "destination", "gateway")
_TITLED = (
    *("family", "table", "chain", "set", "name", "local", "destination", "kind", "gateway", "master"),
    *("netns_pid", "netns_fd", "rule"),
)
_BARE = ("family", "table", "chain", "set", "name", "local", "destination", "rule")
"""Fields that a title names by their value alone."""
_PENDING_KEPT = 256


class Netlink:
    """One socket's conversation with the kernel."""

    def __init__(self) -> None:
        self._asked: dict[int, tuple[str, Intent | None, int]] = {}
        """Sequence number of a request -> its title, what it amounts to, the call that sent it."""

    def feed(self, side: Side, data: bytes, call: int) -> Iterator[tuple[Decoded, Intent | None]]:
        """The messages of one call (netlink never cuts one), and what a successful one amounts to."""
        place = 0
        while place + 16 <= len(data):
            length, kind, flags, number, _ = _HEADER.unpack_from(data, place)
            if length < 16:
                return
            payload = data[place + 16 : place + length]
            place += (length + 3) & ~3
            if side == "sent":
                yield self._request(kind, flags, number, payload, call)
            else:
                yield self._response(kind, number, payload, call)

    def _request(self, kind: int, flags: int, number: int, payload: bytes, call: int) -> tuple[Decoded, Intent | None]:
        name, fields = _message(kind, payload)
        intent = _intent(name, flags, fields)
        title = _title(name, fields)
        decoded = Decoded("netlink", "request", title, {"type": name, **fields}, "", (call,))
        if not flags & _F_ACK:
            return decoded, intent
        if len(self._asked) >= _PENDING_KEPT:
            del self._asked[next(iter(self._asked))]
        self._asked[number] = (title, intent, call)
        return decoded, None

    def _response(self, kind: int, number: int, payload: bytes, call: int) -> tuple[Decoded, Intent | None]:
        if kind != _ERROR:
            name, fields = _message(kind, payload)
            return Decoded("netlink", "response", _title(name, fields), {"type": name, **fields}, "", (call,)), None
        title, intent, asked = self._asked.pop(number, ("", None, call))
        error = -int.from_bytes(payload[:4], "little", signed=True)
        outcome = "done" if error == 0 else errnos.NAMES.get(error, str(error))
        fields = {"type": "NLMSG_ERROR", "error": error}
        decoded = Decoded("netlink", "response", f"{title}: {outcome}".lstrip(": "), fields, "", (asked, call))
        return decoded, intent if error == 0 else None


def type_name(kind: int, payload: bytes) -> str:
    """A message's type by name, as far as type and payload tell whose it is."""
    return _message(kind, payload)[0]


def title(kind: int, payload: bytes) -> str:
    """A message in a few words: `RTM_NEWLINK veth1 kind=veth`."""
    return _title(*_message(kind, payload))


def is_get(kind: int) -> bool:
    """Whether a request of this type asks, and does not make: its flags mean other things then."""
    if kind >> 8:
        return nftables.message(kind, b"")[0].startswith("NFT_MSG_GET")
    return kind & 3 == 2


def _message(kind: int, payload: bytes) -> tuple[str, dict[str, Scalar]]:
    """A message's type and the attributes that are told."""
    fields: dict[str, Scalar] = {}
    if kind >> 8 == nftables.NFTABLES:
        return nftables.message(kind, payload)
    if kind >> 8 in _SUBSYSTEMS:
        return f"{_SUBSYSTEMS[kind >> 8]}<<8|{kind & 0xFF}", fields
    if kind in _NFNL_BATCH and len(payload) <= 4:
        return _NFNL_BATCH[kind], fields
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
            _attributes(value, {1: "kind"}, fields)
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


def _title(name: str, fields: dict[str, Scalar]) -> str:
    shown = [f"{key}={fields[key]}" if key not in _BARE else str(fields[key]) for key in _TITLED if key in fields]
    if "prefix" in fields and "local" in fields:
        shown = [f"{text}/{fields['prefix']}" if text == fields["local"] else text for text in shown]
    if fields.get("index") and "name" not in fields:
        shown.append(f"index={fields['index']}")
    if "up" in fields:
        shown.append("up" if fields["up"] else "down")
    return " ".join([name, *shown])


def _intent(name: str, flags: int, fields: dict[str, Scalar]) -> Intent | None:
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
        "RTM_NEWRULE": "RuleAdded",
    }
    return Intent(actions[name], fields) if name in actions else None
