"""Recognisers for namespaces, identity, privileges, limits, programs, terminals and sockets.

namespaces(7), capabilities(7), seccomp(2), prctl(2), setrlimit(2), execve(2), unix(7).
"""

import struct

from tracer.decode import flags, seccomp_filter
from tracer.decode.call import Call, Intent
from tracer.decode.structures import socket_address
from tracer.events import Scalar

_ALL_NAMESPACES = sum(flags.NAMESPACE_KINDS)
_CLONE_NEWTIME = 0x80
_NS_FILES = {
    "mnt": "mount",
    "uts": "uts",
    "ipc": "ipc",
    "pid": "pid",
    "net": "network",
    "user": "user",
    "cgroup": "cgroup",
    "time": "time",
}
_SCM_RIGHTS = 1
_SOL_SOCKET = 1
_SIGURG = 23
_RLIM_INFINITY = (1 << 64) - 1
_TIOCSCTTY, _TIOCSWINSZ = 0x540E, 0x5414
_TERMIOS_SETS = (0x5402, 0x5403, 0x5404)
_PR_SET_SECCOMP, _PR_CAPBSET_DROP, _PR_SET_CHILD_SUBREAPER, _PR_SET_NO_NEW_PRIVS = 22, 24, 36, 38
_BPF_PROG_ATTACH, _BPF_LINK_CREATE, _BPF_CGROUP_DEVICE = 8, 28, 6
_KEYCTL_JOIN = 1


def _kinds(mask: int, how: str) -> Intent | None:
    names = flags.bit_names(mask, flags.NAMESPACE_KINDS)
    if not names:
        return None
    fields: dict[str, Scalar] = {"how": how, "kinds": ",".join(names)}
    return Intent("NamespaceEntered", {**fields, **dict.fromkeys(names, True)})


def _unshare(call: Call) -> Intent | None:
    return _kinds(call.flags(0), "unshare")


def _clone(call: Call) -> Intent | None:
    # The low byte is the signal at exit: CLONE_NEWTIME cannot be asked for here.
    return _kinds(call.flags(0) & ~0xFF, "clone")


def _clone3(call: Call) -> Intent | None:
    return _kinds(int.from_bytes(call.raw(0)[:8], "little"), "clone")


def _setns(call: Call) -> Intent | None:
    mask = call.flags(1) & _ALL_NAMESPACES
    file = call.files.get(0, "")
    kind = _NS_FILES.get(file.partition(":")[0].rpartition("/")[2], "")
    if not mask and kind:
        mask = next(bit for bit, name in flags.NAMESPACE_KINDS.items() if name == kind)
    found = _kinds(mask, "setns")
    if found is not None:
        found.fields["file"] = file
    return found


def _sethostname(call: Call) -> Intent:
    action = "HostnameSet" if call.name == "sethostname" else "DomainnameSet"
    return Intent(action, {"name": call.raw(0).decode("utf-8", "replace")})


def _capset(call: Call) -> Intent:
    raw = call.raw(1).ljust(24, b"\0")
    words = struct.unpack("<6I", raw[:24])
    fields: dict[str, Scalar] = {}
    for place, name in enumerate(("effective", "permitted", "inheritable")):
        mask = words[place] | words[place + 3] << 32
        fields[name] = capability_names(mask)
    return Intent("CapabilitiesDropped", fields)


def capability_names(mask: int) -> str:
    """`CAP_CHOWN,CAP_KILL`; `none`; `all` where every one that is known is there."""
    if not mask:
        return "none"
    if all(mask >> number & 1 for number in flags.CAPABILITIES):
        return "all"
    return ",".join(name for number, name in flags.CAPABILITIES.items() if mask >> number & 1)


def _prctl(call: Call) -> Intent | None:
    option, value = call.number(0), call.arguments[1]
    if option == _PR_CAPBSET_DROP:
        return Intent("BoundingCapabilityDropped", {"capability": flags.enum(value, flags.CAPABILITIES)})
    if option == _PR_SET_NO_NEW_PRIVS and value == 1:
        return Intent("NoNewPrivilegesSet", {})
    if option == _PR_SET_CHILD_SUBREAPER:
        return Intent("SubreaperSet", {"on": bool(value)})
    if option == _PR_SET_SECCOMP and value == 2:
        return _filter(call)
    return None


def _seccomp(call: Call) -> Intent | None:
    # libseccomp first asks what the kernel can do, with no program at all.
    return _filter(call) if call.number(0) == 1 and call.arguments[2] else None


def _filter(call: Call) -> Intent:
    program = call.data.get("2.program") or b""
    told = seccomp_filter.summary(program, call.machine)
    return Intent("SeccompInstalled", {"instructions": len(program) // 8, "summary": told})


def _user(call: Call) -> Intent:
    if call.name in ("setuid", "setreuid", "setresuid"):
        return Intent("UserSwitched", {"uid": call.number(len(call.arguments) > 1)})
    if call.name == "setgroups":
        raw = call.raw(1)
        groups = ",".join(str(gid) for (gid,) in struct.iter_unpack("<I", raw[: len(raw) // 4 * 4]))
        return Intent("GroupsSet", {"groups": groups})
    return Intent("GroupSwitched", {"gid": call.number(len(call.arguments) > 1)})


def _rlimit(call: Call) -> Intent | None:
    at = 1 if call.name == "prlimit64" else 0
    raw = call.raw(at + 1)
    if not call.arguments[at + 1] or len(raw) < 16:
        return None  # prlimit64 that only asks
    soft, hard = struct.unpack("<2Q", raw[:16])
    fields: dict[str, Scalar] = {"resource": flags.enum(call.number(at), flags.RLIMITS)}
    for name, value in (("soft", soft), ("hard", hard)):
        fields[name] = "unlimited" if value == _RLIM_INFINITY else value
    return Intent("RlimitSet", fields)


def _execve(call: Call) -> Intent:
    at = 1 if call.name == "execveat" else 0
    path = call.path(at) if at else call.text(0)
    argv = call.raw(at + 1).rstrip(b"\0").replace(b"\0", b" ").decode("utf-8", "replace")
    return Intent("ProgramExecuted", {"path": path, "argv": argv[:1024]})


def _sendmsg(call: Call) -> Intent | None:
    control = call.data.get("1.control") or b""
    place = 0
    while place + 16 <= len(control):
        length, level, kind = struct.unpack_from("<QII", control, place)
        if level == _SOL_SOCKET and kind == _SCM_RIGHTS and length >= 20:
            count = (min(length, len(control) - place) - 16) // 4
            payload = call.raw(1)[:64].decode("utf-8", "replace").strip("\0")
            return Intent("DescriptorsSent", {"count": count, "payload": payload, "socket": call.files.get(0, "")})
        if length < 16:
            break
        place += (length + 7) & ~7
    return None


def _ioctl(call: Call) -> Intent | None:
    request = call.flags(1)
    if request == _TIOCSCTTY:
        return Intent("ControllingTerminalSet", {"terminal": call.files.get(0, "")})
    if request == _TIOCSWINSZ and len(call.raw(2)) >= 4:
        rows, columns = struct.unpack_from("<2H", call.raw(2))
        return Intent("WindowSizeSet", {"rows": rows, "columns": columns, "terminal": call.files.get(0, "")})
    if request in _TERMIOS_SETS and len(call.raw(2)) >= 16:
        local = struct.unpack_from("<I", call.raw(2), 12)[0]
        return Intent("TerminalModeSet", {"raw": not local & 0x2, "echo": bool(local & 0x8)})  # ICANON, ECHO
    return None


def _address(call: Call) -> Intent | None:
    family, text = socket_address(call.raw(1))
    if family not in ("AF_UNIX", "AF_INET", "AF_INET6"):
        return None
    action = "Connected" if call.name == "connect" else "AddressBound"
    return Intent(action, {"family": family, "address": text})


def _listen(call: Call) -> Intent:
    return Intent("Listening", {"socket": call.files.get(0, "")})


def _kill(call: Call) -> Intent | None:
    number = call.number(2 if call.name == "tgkill" else 1)
    if number in (0, _SIGURG):
        return None  # a question whether it lives; Go's preemption of its own threads
    fields: dict[str, Scalar] = {"signal": flags.enum(number, flags.SIGNALS)}
    if call.name == "pidfd_send_signal":
        # The descriptor says only that it is a process: which one, pidfd_open(2) or clone(2) was told.
        return Intent("SignalSent", {**fields, "pidfd": call.number(0)})
    return Intent("SignalSent", {**fields, "pid": call.number(0)})


def _setsid(call: Call) -> Intent:
    return Intent("SessionStarted", {})


def _bpf(call: Call) -> Intent | None:
    attach_type = int.from_bytes(call.raw(1)[8:12], "little")
    if call.number(0) in (_BPF_PROG_ATTACH, _BPF_LINK_CREATE) and attach_type == _BPF_CGROUP_DEVICE:
        return Intent("DeviceFilterInstalled", {})
    return None


def _keyctl(call: Call) -> Intent | None:
    return Intent("KeyringJoined", {"name": call.text(1)}) if call.number(0) == _KEYCTL_JOIN else None


RECOGNISERS = (
    ("unshare", _unshare, ("NamespaceEntered",)),
    ("clone", _clone, ("NamespaceEntered",)),
    ("clone3", _clone3, ("NamespaceEntered",)),
    ("setns", _setns, ("NamespaceEntered",)),
    ("sethostname setdomainname", _sethostname, ("HostnameSet", "DomainnameSet")),
    ("capset", _capset, ("CapabilitiesDropped",)),
    (
        "prctl",
        _prctl,
        ("BoundingCapabilityDropped", "NoNewPrivilegesSet", "SubreaperSet", "SeccompInstalled"),
    ),
    ("seccomp", _seccomp, ("SeccompInstalled",)),
    (
        "setuid setreuid setresuid setgid setregid setresgid setgroups",
        _user,
        ("UserSwitched", "GroupSwitched", "GroupsSet"),
    ),
    ("prlimit64 setrlimit", _rlimit, ("RlimitSet",)),
    ("execve execveat", _execve, ("ProgramExecuted",)),
    ("sendmsg", _sendmsg, ("DescriptorsSent",)),
    ("ioctl", _ioctl, ("ControllingTerminalSet", "WindowSizeSet", "TerminalModeSet")),
    ("bind", _address, ("AddressBound",)),
    ("connect", _address, ("Connected",)),
    ("listen", _listen, ("Listening",)),
    ("kill tgkill pidfd_send_signal", _kill, ("SignalSent",)),
    ("setsid", _setsid, ("SessionStarted",)),
    ("bpf", _bpf, ("DeviceFilterInstalled",)),
    ("keyctl", _keyctl, ("KeyringJoined",)),
)
