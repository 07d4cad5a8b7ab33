"""Structures that system calls point to, as one line of text each.

Layouts are the kernel's for 64-bit little-endian machines (x86_64, aarch64): `struct sockaddr_*`, control messages,
`clone_args`, `open_how`, `mount_attr`, `rlimit64`, `timespec`, `epoll_event`, `__user_cap_data_struct`, `sock_filter`.
What is too short to be one is printed as the bytes that it is.
"""

import struct
from collections import Counter

from tracer.decode import errnos, flags
from tracer.decode.quote import quote

_RLIM_INFINITY = (1 << 64) - 1
_INFINITY_TEXT = "RLIM64_INFINITY"
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
    family, address = socket_address(raw)
    if not family:
        return quote(raw)
    if family == "AF_UNIX":
        return f'{{sa_family=AF_UNIX, sun_path="{address}"}}' if address else "{sa_family=AF_UNIX}"
    return f"{{sa_family={family}, {address}}}" if address else f"{{sa_family={family}}}"


def control_messages(raw: bytes) -> str:
    """The control data of a msghdr: `[{SOL_SOCKET, SCM_RIGHTS, [7]}]`."""
    items: list[str] = []
    place = 0
    while place + 16 <= len(raw) and len(items) < 16:
        length, level, kind = struct.unpack_from("<QII", raw, place)
        if length < 16:
            break
        data = raw[place + 16 : place + min(length, len(raw) - place)]
        if (level, kind) == (1, 1):
            fds = ", ".join(str(fd) for (fd,) in struct.iter_unpack("<i", data[: len(data) // 4 * 4]))
            items.append(f"{{SOL_SOCKET, SCM_RIGHTS, [{fds}]}}")
        elif (level, kind) == (1, 2) and len(data) >= 12:
            pid, uid, gid = struct.unpack_from("<3I", data)
            items.append(f"{{SOL_SOCKET, SCM_CREDENTIALS, {{pid={pid}, uid={uid}, gid={gid}}}}}")
        else:
            items.append(f"{{{flags.enum(level, flags.SOCKET_LEVELS)}, {kind}, {quote(data)}}}")
        place += (length + 7) & ~7
    return "[" + ", ".join(items) + "]"


def clone_args(raw: bytes) -> str:
    """`struct clone_args` of clone3(2)."""
    if len(raw) < 64:
        return quote(raw)
    values = struct.unpack_from(f"<{min(len(raw) // 8, len(_CLONE_ARGS))}Q", raw)
    parts = []
    for name, value in zip(_CLONE_ARGS, values, strict=False):
        if name == "flags":
            parts.append("flags=" + flags.bits(value, flags.CLONE))
        elif name == "exit_signal":
            parts.append("exit_signal=" + flags.enum(value, flags.SIGNALS))
        elif value:
            parts.append(
                f"{name}={value:#x}" if name not in ("stack_size", "set_tid_size", "cgroup") else f"{name}={value}"
            )
    return "{" + ", ".join(parts) + "}"


def open_how(raw: bytes) -> str:
    """`struct open_how` of openat2(2)."""
    if len(raw) < 24:
        return quote(raw)
    how, mode, resolve = struct.unpack_from("<3Q", raw)
    parts = ["flags=" + open_flags(how)]
    if mode:
        parts.append(f"mode={mode:#05o}".replace("0o", "0"))
    return "{" + ", ".join([*parts, "resolve=" + flags.bits(resolve, flags.RESOLVE)]) + "}"


def open_flags(value: int) -> str:
    """`O_RDONLY|O_CLOEXEC`."""
    mode = flags.ACCESS_MODES[value & 3]
    rest = value & ~3
    return f"{mode}|{flags.bits(rest, flags.OPEN)}" if rest else mode


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
        names = "|".join(f"1<<{flags.enum(bit, flags.CAPABILITIES)}" for bit in range(64) if mask >> bit & 1)
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
    return f"{value // 1024}*1024" if value > 4096 and value % 1024 == 0 else str(value)


def timespec(raw: bytes) -> str:
    """`{tv_sec=0, tv_nsec=20000}`."""
    if len(raw) < 16:
        return quote(raw)
    seconds, nanoseconds = struct.unpack_from("<qq", raw)
    return f"{{tv_sec={seconds}, tv_nsec={nanoseconds}}}"


def epoll_events(raw: bytes) -> str:
    """An array of `struct epoll_event` (packed on x86_64, 12 bytes each)."""
    items = [
        f"{{events={flags.bits(events, flags.EPOLL_EVENTS)}, data={data:#x}}}"
        for events, data in struct.iter_unpack("<IQ", raw[: len(raw) // 12 * 12])
    ]
    return "[" + ", ".join(items) + "]"


def signal_set(raw: bytes) -> str:
    """`[HUP INT CHLD]`, or `~[...]` where most are set."""
    if len(raw) < 8:
        return quote(raw)
    mask = int.from_bytes(raw[:8], "little")
    every = (1 << 64) - 1
    inverted = mask.bit_count() > 32
    if inverted:
        mask = ~mask & every
    names = [
        flags.SIGNALS[number][3:] if number in flags.SIGNALS else f"RT_{number - 32}"
        for number in range(1, 65)
        if mask >> (number - 1) & 1
    ]
    return ("~" if inverted else "") + "[" + " ".join(names) + "]"


def integers(raw: bytes) -> str:
    """An array of 32-bit numbers: groups, a pair of descriptors."""
    return "[" + ", ".join(str(value) for (value,) in struct.iter_unpack("<i", raw[: len(raw) // 4 * 4])) + "]"


def wait_status(raw: bytes) -> str:
    """`[{WIFEXITED(s) && WEXITSTATUS(s) == 0}]`."""
    if len(raw) < 4:
        return quote(raw)
    status = int.from_bytes(raw[:4], "little")
    if status & 0x7F == 0:
        return f"[{{WIFEXITED(s) && WEXITSTATUS(s) == {status >> 8 & 0xFF}}}]"
    if status & 0xFF == 0x7F:
        return f"[{{WIFSTOPPED(s) && WSTOPSIG(s) == {flags.enum(status >> 8 & 0xFF, flags.SIGNALS)}}}]"
    core = " && WCOREDUMP(s)" if status & 0x80 else ""
    return f"[{{WIFSIGNALED(s) && WTERMSIG(s) == {flags.enum(status & 0x7F, flags.SIGNALS)}{core}}}]"


def window_size(raw: bytes) -> str:
    """`{ws_row=24, ws_col=80, ...}` of TIOCGWINSZ and TIOCSWINSZ."""
    if len(raw) < 8:
        return quote(raw)
    rows, columns, width, height = struct.unpack_from("<4H", raw)
    return f"{{ws_row={rows}, ws_col={columns}, ws_xpixel={width}, ws_ypixel={height}}}"


_RETURNS = {
    0x80000000: "kill process",
    0x00000000: "kill thread",
    0x00030000: "trap",
    0x7FC00000: "notify",
    0x7FF00000: "trace",
    0x7FFC0000: "log",
    0x7FFF0000: "allow",
}


def bpf_summary(program: bytes) -> str:
    """What a seccomp filter may answer: `allow, errno EPERM, errno ENOSYS`, in the order of the program."""
    answers: Counter[str] = Counter()
    for code, _, _, value in struct.iter_unpack("<HBBI", program[: len(program) // 8 * 8]):
        if code == 0x06:  # BPF_RET | BPF_K
            action = value & 0xFFFF0000
            if action == 0x00050000:
                number = value & 0xFFFF
                answers[f"errno {errnos.NAMES.get(number, number)}"] += 1
            else:
                answers[_RETURNS.get(action, hex(action))] += 1
    return ", ".join(answers)
