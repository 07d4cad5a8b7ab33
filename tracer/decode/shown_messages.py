"""Arguments of socket calls: addresses with their lengths, vectors, message headers, control messages, options."""

import struct

from tracer.decode import errnos, flags, flags_requests, structures
from tracer.decode.netlink_text import netlink_messages
from tracer.decode.quote import quote
from tracer.decode.shown import Shown, given, named_descriptors, output, pointer
from tracer.decode.streams import OpenFile, open_file

_OPTIONS = {
    0: flags_requests.IP_OPTIONS, 1: flags.SOCKET_OPTIONS, 6: flags_requests.TCP_OPTIONS,
    41: flags_requests.IPV6_OPTIONS, 270: flags_requests.NETLINK_OPTIONS,
}  # fmt: skip
_SO_ERROR, _SO_LINGER, _SO_PEERCRED, _SO_TIMEOUTS, _SO_BINDTODEVICE = 4, 13, 17, (20, 21), 25


def socket_type(shown: Shown, place: int) -> str:
    """SOCK_STREAM and flags."""
    value = shown.event.arguments[place]
    kind = flags.enum(value & 0xF, flags.SOCKET_TYPES)
    rest = value & 0xFFFFFFF0
    return f"{kind}|{flags.bits(rest, flags.SOCKET_FLAGS)}" if rest else kind


def socket_protocol(shown: Shown, place: int) -> str:
    """The protocol of socket(2), by family."""
    value, family = shown.event.arguments[place], shown.event.arguments[0]
    if family == 16:
        return flags.enum(value, flags.NETLINK)
    if family == 17:
        return f"htons({int.from_bytes((value & 0xFFFF).to_bytes(2, 'little'), 'big')})" if value else "0"
    return flags.enum(value, flags.IP_PROTOCOLS) if family in (2, 10) else str(value)


def netlink_socket(shown: Shown) -> OpenFile | None:
    """The call's socket, if it speaks netlink."""
    file = open_file(shown.event.files.get(0, ""))
    return file if file.kind == "netlink" else None


def sent(shown: Shown, place: int) -> str:
    """The bytes that sendto(2) was given."""
    data = shown.memory(place)
    file = netlink_socket(shown)
    return netlink_messages(data, shown.limit, file.protocol) if data and file else given(shown, place)


def received(shown: Shown, place: int) -> str:
    """The bytes that recvfrom(2) got."""
    data = shown.memory(place)
    file = netlink_socket(shown)
    if data and file and shown.succeeded:
        return netlink_messages(data, shown.limit, file.protocol)
    return output(shown, place)


def received_address(shown: Shown, place: int) -> str:
    """An address that the call filled, as long as the kernel says it is."""
    data = shown.memory(place)
    return structures.sockaddr(data) if data and shown.succeeded else pointer(shown, place)


def address_length(shown: Shown, place: int) -> str:
    """How long an address may be, and how long it was: `[112 => 2]`."""
    before, after = _integer(shown.memory(place, ".before")), _integer(shown.memory(place))
    if before is None:
        return pointer(shown, place)
    if after is None or not shown.succeeded or before == after:
        return f"[{before}]"
    return f"[{before} => {after}]"


def _integer(raw: bytes | None) -> int | None:
    return int.from_bytes(raw[:4], "little", signed=True) if raw and len(raw) >= 4 else None


def vector(shown: Shown, place: int) -> str:
    """An array of iovecs with the bytes that went through it."""
    data, lengths = shown.memory(place), shown.memory(place, ".iov")
    if shown.name.startswith("read") or shown.name.startswith("pread"):
        if not shown.succeeded:
            return pointer(shown, place)
        data = data or b""
    if data is None:
        return pointer(shown, place)
    return vectors(data, lengths, shown) if lengths is not None else quote(data, None, shown.limit)


def vectors(data: bytes, lengths: bytes | None, shown: Shown) -> str:
    """`[{iov_base="hi", iov_len=2}]`: the gathered bytes, cut up again."""
    items = []
    place = 0
    file = netlink_socket(shown)
    for word in (lengths or b"").split():
        length = int(word)
        piece = data[place : place + length]
        place += length
        reads = shown.name in ("recvmsg", "readv", "preadv", "preadv2", "recvmmsg")
        if piece and file:
            text = netlink_messages(piece, shown.limit, file.protocol)
        else:
            text = quote(piece, None if reads else length, shown.limit)
        items.append(f"{{iov_base={text}, iov_len={length}}}")
    return "[" + ", ".join(items) + "]"


def message_header(shown: Shown, place: int) -> str:
    """A struct msghdr; of one that was not filled, only the room for a name."""
    payload, header = shown.memory(place), shown.memory(place, ".header")
    before = _integer(shown.memory(place, ".before"))
    if payload is None:
        return f"{{msg_namelen={before}}}" if before is not None else pointer(shown, place)
    if header is None:
        return _plain_header(payload, shown.memory(place, ".name"), shown.memory(place, ".control"), shown)
    return _header(shown, str(place), payload, header)


def _header(shown: Shown, key: str, payload: bytes, header: bytes) -> str:
    """A struct msghdr out of its captured parts, which `key` begins the names of."""
    data = shown.event.data
    name, control, lengths = data.get(f"{key}.name"), data.get(f"{key}.control"), data.get(f"{key}.iov")
    before = _integer(data.get(f"{key}.before"))
    name_at, name_size, _, control_size, got = (int(word) for word in header.split())
    size = f"{before} => {name_size}" if before is not None and before != name_size else str(name_size)
    parts = [
        f"msg_name={structures.sockaddr(name) if name else hex(name_at) if name_at else 'NULL'}",
        f"msg_namelen={size}",
        f"msg_iov={vectors(payload, lengths, shown)}",
        f"msg_iovlen={len((lengths or b'').split())}",
    ]
    if control:
        names = (data.get(f"{key}.files") or b"").decode("utf-8", "replace").split("\0")
        parts.append("msg_control=" + control_messages(control, names))
    parts += [f"msg_controllen={control_size}", f"msg_flags={flags.bits(got, flags.MESSAGES)}"]
    return "{" + ", ".join(parts) + "}"


def messages(shown: Shown, place: int) -> str:
    """The messages of sendmmsg(2) and recvmmsg(2) that went: `[{msg_hdr={...}, msg_len=5}]`."""
    if not shown.result or shown.result < 0:
        return pointer(shown, place) if shown.result is None or shown.result < 0 else "[]"
    texts = []
    for number in range(shown.result):
        payload = shown.memory(place, f".{number}")
        header = shown.memory(place, f".{number}.header")
        length = shown.memory(place, f".{number}.length")
        if payload is None or header is None or length is None:
            texts.append("...")
            break
        texts.append(f"{{msg_hdr={_header(shown, f'{place}.{number}', payload, header)}, msg_len={int(length)}}}")
    return "[" + ", ".join(texts) + "]"


def _plain_header(payload: bytes, name: bytes | None, control: bytes | None, shown: Shown) -> str:
    """What recordings without the header's numbers have of it."""
    parts = ["msg_name=" + structures.sockaddr(name)] if name else []
    whole = shown.result if shown.result and shown.result > 0 else None
    parts.append(f"msg_iov={quote(payload, whole, shown.limit)}")
    if control:
        parts.append("msg_control=" + control_messages(control, []))
    return "{" + ", ".join(parts) + "}"


def control_messages(raw: bytes, names: list[str]) -> str:
    """The control data of a msghdr: `[{cmsg_len=20, cmsg_level=SOL_SOCKET, cmsg_type=SCM_RIGHTS, cmsg_data=[7]}]`."""
    items: list[str] = []
    place = named_already = 0
    while place + 16 <= len(raw) and len(items) < 16:
        length, level, kind = struct.unpack_from("<QII", raw, place)
        if length < 16:
            break
        data = raw[place + 16 : place + min(length, len(raw) - place)]
        named = str(kind)
        text = quote(data)
        if (level, kind) == (1, 1):
            named, text = "SCM_RIGHTS", named_descriptors(data, names[named_already:])
            named_already += len(data) // 4
        elif (level, kind) == (1, 2) and len(data) >= 12:
            pid, uid, gid = struct.unpack_from("<iII", data)
            named, text = "SCM_CREDENTIALS", f"{{pid={pid}, uid={uid}, gid={gid}}}"
        elif (level, kind) == (0, 8) and len(data) >= 12:
            named = "IP_PKTINFO"
        level_name = flags.enum(level, flags.SOCKET_LEVELS)
        items.append(f"{{cmsg_len={length}, cmsg_level={level_name}, cmsg_type={named}, cmsg_data={text}}}")
        place += (length + 7) & ~7
    return "[" + ", ".join(items) + "]"


def option(shown: Shown, place: int) -> str:
    """The name of a socket option, by level."""
    return flags.enum(shown.event.arguments[place], _OPTIONS.get(shown.event.arguments[1] & 0xFFFFFFFF, {}))


def option_value(shown: Shown, place: int) -> str:
    """What a socket option is set to, or was found to be."""
    data = shown.memory(place)
    if data is None or (shown.name == "getsockopt" and not shown.succeeded):
        return pointer(shown, place)
    level, name = shown.event.arguments[1] & 0xFFFFFFFF, shown.event.arguments[2] & 0xFFFFFFFF
    if level == 1:
        if name == _SO_PEERCRED and len(data) >= 12:
            pid, uid, gid = struct.unpack_from("<iii", data)
            return f"{{pid={pid}, uid={uid}, gid={gid}}}"
        if name == _SO_LINGER and len(data) >= 8:
            on, seconds = struct.unpack_from("<ii", data)
            return f"{{l_onoff={on}, l_linger={seconds}}}"
        if name in _SO_TIMEOUTS and len(data) >= 16:
            return structures.timeval(data)
        if name == _SO_BINDTODEVICE:
            return quote(data, None, shown.limit)
        if name == _SO_ERROR and len(data) == 4:
            number = int.from_bytes(data, "little")
            return f"[{errnos.NAMES.get(number, number)}]"
    if len(data) == 4:
        return f"[{int.from_bytes(data, 'little', signed=True)}]"
    return quote(data, None, shown.limit)
