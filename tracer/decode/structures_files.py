"""Structures of calls about files: stat, statx, statfs, flock, termios, time stamps; layouts as in `structures`."""

import struct

from tracer.decode import flags, flags_requests
from tracer.decode.quote import quote

_SPECIAL_BITS = {0o4000: "S_ISUID", 0o2000: "S_ISGID", 0o1000: "S_ISVTX"}
_UTIME = {0x3FFFFFFF: "UTIME_NOW", 0x3FFFFFFE: "UTIME_OMIT"}
_ALL, _BASIC = 0xFFF, 0x7FF


def file_mode(value: int) -> str:
    """`S_IFDIR|S_ISVTX|0777`."""
    kind = flags.FILE_TYPES.get(value & 0o170000, f"{value & 0o170000:#o}".replace("0o", "0"))
    special = [name for bit, name in _SPECIAL_BITS.items() if value & bit]
    return "|".join([*([kind] if value & 0o170000 else []), *special, f"0{value & 0o777:02o}"])


def device(value: int) -> str:
    """`makedev(0x1, 0x3)`: twelve bits of major and twenty of minor, interleaved; include/linux/kdev_t.h."""
    major = (value >> 8 & 0xFFF) | (value >> 32 & 0xFFFFF000)
    minor = (value & 0xFF) | (value >> 12 & 0xFFFFFF00)
    return f"makedev({major:#x}, {minor:#x})".replace("0x0,", "0,").replace("0x0)", "0)")


def stat(raw: bytes, *, is_arm: bool) -> str:
    """`{st_mode=S_IFREG|0644, st_size=512, ...}`; the device's number where it is one."""
    if len(raw) < 56:
        return quote(raw)
    mode = struct.unpack_from("<I", raw, 16 if is_arm else 24)[0]
    if mode & 0o170000 in (0o020000, 0o060000):
        number = struct.unpack_from("<Q", raw, 32 if is_arm else 40)[0]
        return f"{{st_mode={file_mode(mode)}, st_rdev={device(number)}, ...}}"
    return f"{{st_mode={file_mode(mode)}, st_size={struct.unpack_from('<q', raw, 48)[0]}, ...}}"


def statx(raw: bytes) -> str:
    """`{stx_mask=STATX_BASIC_STATS|STATX_MNT_ID, stx_attributes=0, stx_mode=S_IFREG|0644, stx_size=512, ...}`."""
    if len(raw) < 48:
        return quote(raw)
    mask, attributes = struct.unpack_from("<I4xQ", raw)
    mode, size = struct.unpack_from("<H10xQ", raw, 28)
    told = flags.bits(attributes, flags_requests.STATX_ATTRIBUTES)
    return f"{{stx_mask={statx_mask(mask)}, stx_attributes={told}, stx_mode={file_mode(mode)}, stx_size={size}, ...}}"


def statx_mask(value: int) -> str:
    """What of a statx is asked for, or given."""
    for whole, name in ((_ALL, "STATX_ALL"), (_BASIC, "STATX_BASIC_STATS")):
        if value & whole == whole:
            rest = value & ~whole
            return f"{name}|{flags.bits(rest, flags.STATX)}" if rest else name
    return flags.bits(value, flags.STATX)


def statfs(raw: bytes) -> str:
    """`{f_type=PROC_SUPER_MAGIC, f_bsize=4096, ...}`."""
    if len(raw) < 88:
        return quote(raw)
    kind, size, blocks, free, available, files, ffree, first, second, name, fragment, mount = struct.unpack_from(
        "<7Q2I3Q", raw
    )
    fsid = ", ".join(hex(part) if part else "0" for part in (first, second))
    return (
        f"{{f_type={flags.enum_hex(kind, flags_requests.FILE_SYSTEMS)}, f_bsize={size}, f_blocks={blocks}, "
        f"f_bfree={free}, f_bavail={available}, f_files={files}, f_ffree={ffree}, f_fsid={{val=[{fsid}]}}, "
        f"f_namelen={name}, f_frsize={fragment}, f_flags={flags.bits(mount, flags_requests.MOUNTED)}}}"
    )


def flock(raw: bytes, *, with_holder: bool) -> str:
    """`{l_type=F_WRLCK, l_whence=SEEK_SET, l_start=0, l_len=0}`; `l_pid` where the holder was asked for."""
    if len(raw) < 28:
        return quote(raw)
    kind, whence, start, length, holder = struct.unpack_from("<hh4xqqi", raw)
    locks = {0: "F_RDLCK", 1: "F_WRLCK", 2: "F_UNLCK"}
    return (
        f"{{l_type={flags.enum(kind, locks)}, l_whence={flags.enum(whence, flags.SEEK)}, "
        f"l_start={start}, l_len={length}{f', l_pid={holder}' if with_holder else ''}}}"
    )


def time_stamps(raw: bytes) -> str:
    """The two times of utimensat(2); UTIME_NOW, UTIME_OMIT."""
    if len(raw) < 32:
        return quote(raw)
    texts = []
    for seconds, nanoseconds in struct.iter_unpack("<qq", raw[:32]):
        named = _UTIME.get(nanoseconds)
        texts.append(named or f"{{tv_sec={seconds}, tv_nsec={nanoseconds}}}")
    return "[" + ", ".join(texts) + "]"


def terminal_modes(raw: bytes) -> str:
    """`{c_iflag=ICRNL|IXON, c_oflag=..., c_cflag=B38400|CS8|CREAD, c_lflag=ISIG|ICANON|ECHO, ...}` of termios(3)."""
    if len(raw) < 16:
        return quote(raw)
    given, made, control, local = struct.unpack_from("<4I", raw)
    delays = [flags_requests.OUTPUT_DELAYS[shift][made & mask] for shift, mask in flags_requests.OUTPUT_DELAY_MASKS]
    speed = flags.enum(control & 0x100F, flags_requests.SPEEDS)
    size = f"CS{5 + (control >> 4 & 3)}"
    output = "|".join([*delays, *flags.bit_names(made, flags_requests.OUTPUT_MODES)])
    return (
        f"{{c_iflag={flags.bits(given, flags_requests.INPUT_MODES)}, c_oflag={output}, "
        f"c_cflag={'|'.join([speed, size, *flags.bit_names(control, flags_requests.CONTROL_MODES)])}, "
        f"c_lflag={flags.bits(local, flags_requests.LOCAL_MODES)}, ...}}"
    )
