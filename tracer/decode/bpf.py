"""The argument of bpf(2): a union by command, of which those for the rules of devices are told.

bpf(2), include/uapi/linux/bpf.h. Left out: what the verifier wrote, and members that only newer programs use.
"""

import struct

from tracer.decode import flags, flags_requests
from tracer.decode.quote import quote, quote_text
from tracer.decode.shown import Shown, file_name, pointer

_PROGRAM = struct.Struct("<2I2Q2IQ2I")


def bpf_attribute(shown: Shown, place: int) -> str:
    """A union bpf_attr, by command: those that runtimes use for device rules; else the bytes."""
    data = shown.memory(place)
    if data is None:
        return pointer(shown, place)
    command = shown.event.arguments[0] & 0xFFFFFFFF
    if command == 5 and len(data) >= 48:
        return f"{{{_program(shown, place, data)}}}"
    if command in (8, 9) and len(data) >= 16:
        return f"{{{_attachment(shown, command, data)}}}"
    if command == 16 and len(data) >= 32:
        _, kind, asked, attached, programs, count = struct.unpack_from("<4IQI", data)
        target = _descriptor(shown, place, data, 0)
        text = f"target_fd={target}, attach_type={flags.enum(kind, flags_requests.BPF_ATTACHES)}"
        wanted = flags.bits(asked, flags_requests.BPF_QUERY_FLAGS)
        found = flags.bits(attached, flags_requests.BPF_ATTACH_FLAGS)
        listed = _address(programs)
        text += f", query_flags={wanted}, attach_flags={found}, prog_ids={listed}, prog_cnt={count}"
        return f"{{query={{{text}}}}}"
    if command == 28 and len(data) >= 16:
        kind, bits = struct.unpack_from("<2I", data, 8)
        named = flags.enum(kind, flags_requests.BPF_ATTACHES)
        program, target = (_descriptor(shown, place, data, number) for number in (0, 1))
        return f"{{link_create={{prog_fd={program}, target_fd={target}, attach_type={named}, flags={bits}}}}}"
    return quote(data, None, shown.limit)


def _attachment(shown: Shown, command: int, data: bytes) -> str:
    """BPF_PROG_ATTACH and BPF_PROG_DETACH: a program and the control group that it decides for."""
    kind, bits = struct.unpack_from("<2I", data, 8)
    target, program = (_descriptor(shown, 1, data, number) for number in (0, 1))
    named = flags.enum(kind, flags_requests.BPF_ATTACHES)
    if command == 9:
        return f"target_fd={target}, attach_type={named}{', ...' if data[12:].strip(bytes(1)) else ''}"
    text = f"target_fd={target}, attach_bpf_fd={program}, attach_type={named}"
    text += f", attach_flags={flags.bits(bits, flags_requests.BPF_ATTACH_FLAGS)}"
    return f"{text}, replace_bpf_fd={_descriptor(shown, 1, data, 4)}" if len(data) >= 20 else text


def _program(shown: Shown, place: int, data: bytes) -> str:
    """BPF_PROG_LOAD: the kernel has added members over time, and takes as many as it is given."""
    kind, count, code, text, level, room, log, version, bits = _PROGRAM.unpack_from(data)
    licence = shown.memory(place, ".license")
    told = quote_text(licence) if licence is not None else _address(text)
    major, minor, patch = version >> 16, version >> 8 & 0xFF, version & 0xFF
    parts = [
        f"prog_type={flags.enum(kind, flags_requests.BPF_PROGRAMS)}, insn_cnt={count}, insns={_address(code)}",
        f"license={told}, log_level={level}, log_size={room}, log_buf={_address(log)}",
        f"kern_version=KERNEL_VERSION({major}, {minor}, {patch}), prog_flags={hex(bits) if bits else 0}",
    ]
    if len(data) >= 64:
        parts.append(f"prog_name={quote_text(data[48:64].split(bytes(1), 1)[0])}")
    if len(data) >= 68:
        parts.append(f"prog_ifindex={int.from_bytes(data[64:68], 'little')}")
    if len(data) >= 72:
        where = flags.enum(int.from_bytes(data[68:72], "little"), flags_requests.BPF_ATTACHES)
        parts.append(f"expected_attach_type={where}")
    if data[72:].strip(bytes(1)):
        parts.append("...")
    return ", ".join(parts)


def _address(value: int) -> str:
    return hex(value) if value else "NULL"


def _descriptor(shown: Shown, place: int, data: bytes, number: int) -> str:
    """The descriptor that is this word of the attribute, with its file."""
    names = shown.file_names(place)
    value = int.from_bytes(data[4 * number : 4 * number + 4], "little", signed=True)
    return f"{value}{file_name(names[number]) if number < len(names) else ''}"
