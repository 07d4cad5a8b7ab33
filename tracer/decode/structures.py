"""Structures that system calls point to, as one line of text each.

Layouts are the kernel's for 64-bit little-endian machines (x86_64, aarch64): `struct sockaddr_*`, control messages,
`clone_args`, `open_how`, `mount_attr`, `rlimit64`, `timespec`, `epoll_event`, `__user_cap_data_struct`, `sock_filter`.
What is too short to be one is printed as the bytes that it is.
"""

import struct
from ipaddress import IPv6Address

from tracer.decode import flags, flags_requests
from tracer.decode.quote import quote, quote_text

_RLIM_INFINITY = (1 << 64) - 1
_INFINITY_TEXT = "RLIM64_INFINITY"
_CONTINUED = 0xFFFF
_SA_RESTORER = 0x04000000
_CLONE_SETTLS, _CLONE_INTO_CGROUP = 0x80000, 0x200000000
_CLONE_POINTERS = {"pidfd": 0x1000, "child_tid": 0x01200000, "parent_tid": 0x100000}
"""Members of clone_args that only mean something with one of these flags."""
_CLONE_ARGS = (
    *("flags", "pidfd", "child_tid", "parent_tid", "exit_signal", "stack", "stack_size", "tls"),
    *("set_tid", "set_tid_size", "cgroup"),
)


def socket_address(raw: bytes) -> tuple[str, str]:
    """(family, address): `AF_UNIX`, `/run/docker.sock` or `@abstract`; `AF_INET`, `127.0.0.1:80`."""
    if len(raw) < 2:
        return "", ""
    number = int.from_bytes(raw[:2], "little")
    family = flags.enum(number, flags.ADDRESS_FAMILIES)
    if number == 1:
        path = raw[2:]
        if path[:1] == b"\0":
            return family, "@" + path[1:].decode("utf-8", "replace")
        return family, path.split(b"\0", 1)[0].decode("utf-8", "replace")
    if number == 2 and len(raw) >= 8:
        return family, f"{'.'.join(str(byte) for byte in raw[4:8])}:{int.from_bytes(raw[2:4], 'big')}"
    if number == 10 and len(raw) >= 24:
        words = ":".join(f"{word:x}" for word in struct.unpack_from(">8H", raw, 8))
        return family, f"[{words}]:{int.from_bytes(raw[2:4], 'big')}"
    if number == 16 and len(raw) >= 12:
        pid, groups = struct.unpack_from("<2I", raw, 4)
        return family, f"pid={pid} groups={groups:#x}"
    return family, ""


def sockaddr(raw: bytes) -> str:
    """`{sa_family=AF_UNIX, sun_path="/run/docker.sock"}`."""
    if len(raw) < 2:
        return quote(raw)
    number = int.from_bytes(raw[:2], "little")
    family = f"sa_family={flags.enum(number, flags.ADDRESS_FAMILIES)}"
    members = _ADDRESSES[number](raw) if number in _ADDRESSES else None
    if members is None:
        members = f"sa_data={quote(raw[2:])}" if len(raw) > 2 else ""
    return f"{{{family}, {members}}}" if members else f"{{{family}}}"


def _unix_address(raw: bytes) -> str:
    if len(raw) == 2:
        return ""
    if raw[2] == 0:
        return f"sun_path=@{quote(raw[3:], shown=108)}"
    return f"sun_path={quote_text(raw[2:])}"


def _inet_address(raw: bytes) -> str | None:
    if len(raw) < 8:
        return None
    address = ".".join(str(byte) for byte in raw[4:8])
    return f'sin_port=htons({int.from_bytes(raw[2:4], "big")}), sin_addr=inet_addr("{address}")'


def _inet6_address(raw: bytes) -> str | None:
    if len(raw) < 28:
        return None
    port, flow = struct.unpack_from(">HI", raw, 2)
    scope = int.from_bytes(raw[24:28], "little")
    return (
        f'sin6_port=htons({port}), sin6_flowinfo=htonl({flow}), inet_pton(AF_INET6, "{IPv6Address(raw[8:24])}", '
        f"&sin6_addr), sin6_scope_id={scope}"
    )


def _netlink_address(raw: bytes) -> str | None:
    if len(raw) < 12:
        return None
    pid, groups = struct.unpack_from("<iI", raw, 4)
    return f"nl_pid={pid}, nl_groups={groups:08x}"


_ADDRESSES = {1: _unix_address, 2: _inet_address, 10: _inet6_address, 16: _netlink_address}


def clone_args(raw: bytes) -> str:
    """`struct clone_args` of clone3(2): the members that its flags give a meaning."""
    if len(raw) < 64:
        return quote(raw)
    values = dict(zip(_CLONE_ARGS, struct.unpack_from(f"<{min(len(raw) // 8, len(_CLONE_ARGS))}Q", raw), strict=False))
    asked = values["flags"]
    parts = ["flags=" + flags.bits(asked, flags.CLONE)]
    parts += [f"{name}={_address(values[name])}" for name, bits in _CLONE_POINTERS.items() if asked & bits]
    signal = values["exit_signal"]
    parts.append(f"exit_signal={flags.signal_name(signal) if signal else 0}")
    parts += [f"stack={_address(values['stack'])}", f"stack_size={values['stack_size']:#x}".replace("=0x0", "=0")]
    if asked & _CLONE_SETTLS:
        parts.append(f"tls={_address(values['tls'])}")
    if values.get("set_tid") or values.get("set_tid_size"):
        parts += [f"set_tid={_address(values['set_tid'])}", f"set_tid_size={values['set_tid_size']}"]
    if asked & _CLONE_INTO_CGROUP:
        parts.append(f"cgroup={values.get('cgroup', 0)}")
    return "{" + ", ".join(parts) + "}"


def _address(value: int) -> str:
    return hex(value) if value else "NULL"


def open_how(raw: bytes, *, is_arm: bool) -> str:
    """`struct open_how` of openat2(2)."""
    if len(raw) < 24:
        return quote(raw)
    how, mode, resolve = struct.unpack_from("<3Q", raw)
    parts = ["flags=" + open_flags(how, is_arm=is_arm)]
    if mode:
        parts.append(f"mode={mode:#05o}".replace("0o", "0"))
    return "{" + ", ".join([*parts, "resolve=" + flags.bits(resolve, flags.RESOLVE)]) + "}"


def open_flags(value: int, *, is_arm: bool = False) -> str:
    """`O_RDONLY|O_CLOEXEC`."""
    mode = flags.ACCESS_MODES[value & 3]
    rest = value & ~3
    return f"{mode}|{flags.bits(rest, flags.OPEN_AARCH64 if is_arm else flags.OPEN)}" if rest else mode


def mount_attr(raw: bytes) -> str:
    """`struct mount_attr` of mount_setattr(2)."""
    if len(raw) < 32:
        return quote(raw)
    attr_set, attr_clear, propagation, userns = struct.unpack_from("<4Q", raw)
    set_text = flags.bits(attr_set, flags.MOUNT_ATTRIBUTES)
    clear_text = flags.bits(attr_clear, flags.MOUNT_ATTRIBUTES)
    return (
        f"{{attr_set={set_text}, attr_clr={clear_text}, "
        f"propagation={flags.bits(propagation, flags.MOUNT)}, userns_fd={userns}}}"
    )


def capability_header(raw: bytes) -> str:
    """`{version=_LINUX_CAPABILITY_VERSION_3, pid=0}`."""
    if len(raw) < 8:
        return quote(raw)
    version, pid = struct.unpack_from("<Ii", raw)
    return f"{{version={flags.enum(version, flags.CAPABILITY_VERSIONS)}, pid={pid}}}"


def capability_data(raw: bytes) -> str:
    """`{effective=1<<CAP_CHOWN|..., permitted=..., inheritable=0}`."""
    if len(raw) < 12:
        return quote(raw)
    words = struct.unpack("<6I", raw[:24].ljust(24, b"\0"))
    parts = []
    for place, name in enumerate(("effective", "permitted", "inheritable")):
        mask = words[place] | words[place + 3] << 32
        names = "|".join(f"1<<{flags.CAPABILITIES.get(bit, bit)}" for bit in range(64) if mask >> bit & 1)
        parts.append(f"{name}={names or 0}")
    return "{" + ", ".join(parts) + "}"


def rlimit(raw: bytes) -> str:
    """`{rlim_cur=1024, rlim_max=RLIM64_INFINITY}`."""
    if len(raw) < 16:
        return quote(raw)
    soft, hard = struct.unpack_from("<2Q", raw)
    return f"{{rlim_cur={_limit(soft)}, rlim_max={_limit(hard)}}}"


def _limit(value: int) -> str:
    if value == _RLIM_INFINITY:
        return _INFINITY_TEXT
    return f"{value // 1024}*1024" if value > 1024 and value % 1024 == 0 else str(value)


def timespec(raw: bytes) -> str:
    """`{tv_sec=0, tv_nsec=20000}`."""
    if len(raw) < 16:
        return quote(raw)
    seconds, nanoseconds = struct.unpack_from("<qq", raw)
    return f"{{tv_sec={seconds}, tv_nsec={nanoseconds}}}"


def timeval(raw: bytes) -> str:
    """`{tv_sec=0, tv_usec=20000}`."""
    if len(raw) < 16:
        return quote(raw)
    seconds, microseconds = struct.unpack_from("<qq", raw)
    return f"{{tv_sec={seconds}, tv_usec={microseconds}}}"


def timer(raw: bytes) -> str:
    """`struct itimerspec`: `{it_interval={tv_sec=0, tv_nsec=0}, it_value={tv_sec=1, tv_nsec=0}}`."""
    return f"{{it_interval={timespec(raw[:16])}, it_value={timespec(raw[16:32])}}}" if len(raw) >= 32 else quote(raw)


def interval_timer(raw: bytes) -> str:
    """`struct itimerval`, with microseconds."""
    return f"{{it_interval={timeval(raw[:16])}, it_value={timeval(raw[16:32])}}}" if len(raw) >= 32 else quote(raw)


def usage(raw: bytes) -> str:
    """`struct rusage`: `{ru_utime={tv_sec=0, tv_usec=884}, ru_stime={tv_sec=0, tv_usec=0}, ...}`."""
    return f"{{ru_utime={timeval(raw[:16])}, ru_stime={timeval(raw[16:32])}, ...}}" if len(raw) >= 32 else quote(raw)


def epoll_events(raw: bytes, *, is_arm: bool = False) -> list[str]:
    """Each `struct epoll_event`: 12 bytes, packed, on x86_64; 16 on other machines."""
    layout = struct.Struct("<I4xQ" if is_arm else "<IQ")
    return [
        f"{{events={flags.bits(events, flags.EPOLL_EVENTS)}, data={{u32={data & 0xFFFFFFFF}, u64={data}}}}}"
        for events, data in layout.iter_unpack(raw[: len(raw) // layout.size * layout.size])
    ]


def signal_set(raw: bytes) -> str:
    """`[HUP INT CHLD]`, or `~[RTMIN RT_1]` where two thirds are set."""
    if len(raw) < 8:
        return quote(raw)
    mask = int.from_bytes(raw[:8], "little")
    inverted = mask.bit_count() >= 64 * 2 // 3
    if inverted:
        mask = ~mask & (1 << 64) - 1
    names = [flags.signal_name(number)[3:] for number in range(1, 65) if mask >> (number - 1) & 1]
    return ("~" if inverted else "") + "[" + " ".join(names) + "]"


def signal_action(raw: bytes) -> str:
    """The kernel's `struct sigaction`: handler, flags, restorer, mask."""
    if len(raw) < 32:
        return quote(raw)
    handler, bits, restorer, _ = struct.unpack_from("<4Q", raw)
    named = {0: "SIG_DFL", 1: "SIG_IGN"}.get(handler, hex(handler))
    text = f"sa_handler={named}, sa_mask={signal_set(raw[24:32])}, sa_flags={flags.bits(bits, flags.SIGNAL_ACTIONS)}"
    return f"{{{text}, sa_restorer={_address(restorer)}}}" if bits & _SA_RESTORER else f"{{{text}}}"


def signal_stack(raw: bytes) -> str:
    """`{ss_sp=0xc000104000, ss_flags=0, ss_size=32768}`."""
    if len(raw) < 24:
        return quote(raw)
    base, bits, size = struct.unpack_from("<Qi4xQ", raw)
    return f"{{ss_sp={_address(base)}, ss_flags={flags.bits(bits, flags_requests.SIGALTSTACK)}, ss_size={size}}}"


def system_information(raw: bytes) -> str:
    """`struct sysinfo`: `{uptime=60, loads=[0, 0, 0], totalram=..., ..., mem_unit=1}`."""
    if len(raw) < 108:
        return quote(raw)
    uptime, *loads = struct.unpack_from("<q3Q", raw)
    memory = struct.unpack_from("<6Q", raw, 32)
    processes, high, free_high, unit = struct.unpack_from("<H6xQQI", raw, 80)
    names = ("totalram", "freeram", "sharedram", "bufferram", "totalswap", "freeswap")
    parts = [f"uptime={uptime}", f"loads=[{', '.join(str(load) for load in loads)}]"]
    parts += [f"{name}={value}" for name, value in zip(names, memory, strict=True)]
    parts += [f"procs={processes}", f"totalhigh={high}", f"freehigh={free_high}", f"mem_unit={unit}"]
    return "{" + ", ".join(parts) + "}"


def system_name(raw: bytes) -> str:
    """`struct utsname`: six fields of 65 bytes, of which two are shown."""
    if len(raw) < 130:
        return quote(raw)
    return f"{{sysname={quote_text(raw[:65])}, nodename={quote_text(raw[65:130])}, ...}}"


def integers(raw: bytes) -> str:
    """An array of 32-bit numbers: groups, a pair of descriptors."""
    return "[" + ", ".join(str(value) for (value,) in struct.iter_unpack("<i", raw[: len(raw) // 4 * 4])) + "]"


def groups(raw: bytes) -> str:
    """An array of group numbers, unsigned."""
    return "[" + ", ".join(str(value) for (value,) in struct.iter_unpack("<I", raw[: len(raw) // 4 * 4])) + "]"


def wait_status(raw: bytes) -> str:
    """`[{WIFEXITED(s) && WEXITSTATUS(s) == 0}]`."""
    if len(raw) < 4:
        return quote(raw)
    status = int.from_bytes(raw[:4], "little")
    if status == _CONTINUED:
        return "[{WIFCONTINUED(s)}]"
    if status & 0x7F == 0:
        return f"[{{WIFEXITED(s) && WEXITSTATUS(s) == {status >> 8 & 0xFF}}}]"
    if status & 0xFF == 0x7F:
        return f"[{{WIFSTOPPED(s) && WSTOPSIG(s) == {flags.signal_name(status >> 8 & 0xFF)}}}]"
    core = " && WCOREDUMP(s)" if status & 0x80 else ""
    return f"[{{WIFSIGNALED(s) && WTERMSIG(s) == {flags.signal_name(status & 0x7F)}{core}}}]"


def window_size(raw: bytes) -> str:
    """`{ws_row=24, ws_col=80, ...}` of TIOCGWINSZ and TIOCSWINSZ."""
    if len(raw) < 8:
        return quote(raw)
    rows, columns, width, height = struct.unpack_from("<4H", raw)
    return f"{{ws_row={rows}, ws_col={columns}, ws_xpixel={width}, ws_ypixel={height}}}"
