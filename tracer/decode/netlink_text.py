r"""Netlink messages inside a call's line: heads by name, the rest as bytes. What they mean is said by `netlink`.

[{nlmsg_len=40, nlmsg_type=RTM_NEWLINK, nlmsg_flags=NLM_F_REQUEST|NLM_F_ACK, nlmsg_seq=2, nlmsg_pid=0}, "\x00..."]
"""

import struct

from tracer.decode import errnos, flags, netlink_fields
from tracer.decode.quote import quote, quote_hex

_HEADER = struct.Struct("<IHHIi")
_FLAGS = flags.mask("NLM_F_REQUEST NLM_F_MULTI NLM_F_ACK NLM_F_ECHO NLM_F_DUMP_INTR NLM_F_DUMP_FILTERED")
_GET_FLAGS = {0x300: "NLM_F_DUMP", 0x100: "NLM_F_ROOT", 0x200: "NLM_F_MATCH", 0x400: "NLM_F_ATOMIC"}
_NEW_FLAGS = {0x100: "NLM_F_REPLACE", 0x200: "NLM_F_EXCL", 0x400: "NLM_F_CREATE", 0x800: "NLM_F_APPEND"}
_ACK_FLAGS = {0x100: "NLM_F_CAPPED", 0x200: "NLM_F_ACK_TLVS"}
_ERROR, _DONE = 2, 3


def netlink_messages(raw: bytes, limit: int, protocol: str) -> str:
    """Each message of a buffer; the bytes themselves where they are none."""
    texts: list[str] = []
    place = 0
    while place + 16 <= len(raw) and len(texts) < 16:
        length = int.from_bytes(raw[place : place + 4], "little")
        if length < 16:
            break
        texts.append(_message(raw[place : place + length], limit, protocol))
        place += (length + 3) & ~3
    if not texts:
        return quote(raw, None, limit)
    return texts[0] if len(texts) == 1 and place >= len(raw) else "[" + ", ".join(texts) + "]"


def _message(raw: bytes, limit: int, protocol: str) -> str:
    head = _head(raw, protocol)
    kind = int.from_bytes(raw[4:6], "little")
    payload = raw[16:]
    if not payload:
        return head
    if kind == _ERROR and len(payload) >= 20:
        error = -int.from_bytes(payload[:4], "little", signed=True)
        told = f"-{errnos.NAMES.get(error, error)}" if error else "0"
        return f"[{head}, {{error={told}, msg={_head(payload[4:], protocol)}}}]"
    if kind == _DONE and len(payload) >= 4:
        return f"[{head}, {int.from_bytes(payload[:4], 'little', signed=True)}]"
    told = netlink_fields.title(*netlink_fields.message(kind, payload, protocol))
    return f"[{head}, {quote_hex(payload, None, limit)} /* {told} */]"


def _head(raw: bytes, protocol: str) -> str:
    length, kind, bits, sequence, port = _HEADER.unpack_from(raw)
    name, _ = netlink_fields.message(kind, raw[16:], protocol)
    named = _flag_names(kind, bits, protocol)
    return f"{{nlmsg_len={length}, nlmsg_type={name}, nlmsg_flags={named}, nlmsg_seq={sequence}, nlmsg_pid={port}}}"


def _flag_names(kind: int, bits: int, protocol: str) -> str:
    """NLM_F_ROOT and the like are for requests that get, NLM_F_REPLACE and the like for those that make."""
    if kind in (_ERROR, _DONE):
        special = _ACK_FLAGS
    elif kind >= 16 and netlink_fields.is_get(kind, protocol):
        special = _GET_FLAGS
    else:
        special = _NEW_FLAGS
    return flags.bits(bits, {**_FLAGS, **special})
