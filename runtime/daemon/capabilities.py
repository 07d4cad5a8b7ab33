"""Which capabilities a container's process gets (moby: oci/caps).

Names are the kernel's (capabilities(7)), in the order of their numbers; the last one that this kernel knows is in
/proc/sys/kernel/cap_last_cap.
"""

from runtime.daemon.errors import InvalidParameterError

KERNEL_NAMES = (
    "CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE  "
    "NET_BIND_SERVICE NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO SYS_CHROOT  "
    "SYS_PTRACE SYS_PACCT SYS_ADMIN SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG MKNOD LEASE  "
    "AUDIT_WRITE AUDIT_CONTROL SETFCAP MAC_OVERRIDE MAC_ADMIN SYSLOG WAKE_ALARM BLOCK_SUSPEND AUDIT_READ PERFMON  "
    "BPF CHECKPOINT_RESTORE"
).split()

DEFAULT = [
    f"CAP_{name}"
    for name in (
        "CHOWN DAC_OVERRIDE FSETID FOWNER MKNOD NET_RAW SETGID SETUID SETFCAP SETPCAP NET_BIND_SERVICE SYS_CHROOT KILL "
        "AUDIT_WRITE"
    ).split()
]
"""What root in a container keeps by default: docker's list, in docker's order."""


def known() -> list[str]:
    """All capabilities of this kernel."""
    with open("/proc/sys/kernel/cap_last_cap", encoding="ascii") as file:
        last = int(file.read())
    return [f"CAP_{name}" for name in KERNEL_NAMES[: last + 1]]


def available() -> list[str]:
    """All that this process may pass on: its bounding set (a daemon in a container, or without CAP_SYS_RESOURCE)."""
    with open("/proc/self/status", encoding="ascii") as file:
        bounding = next(int(line.split()[1], 16) for line in file if line.startswith("CapBnd"))
    return [name for number, name in enumerate(known()) if bounding >> number & 1]


def resolve(add: list[str], drop: list[str], privileged: bool) -> list[str]:
    """The final list. `ALL` in add or drop means the whole list; single names are then taken from or put to it."""
    if privileged:
        return available()
    added, dropped = [_normal(name, "CapAdd") for name in add], [_normal(name, "CapDrop") for name in drop]
    if "ALL" in added:
        return [name for name in available() if name not in dropped]
    if "ALL" in dropped:
        return list(dict.fromkeys(added))
    kept = [name for name in DEFAULT if name not in dropped]
    return kept + [name for name in dict.fromkeys(added) if name not in kept and name not in dropped]


def _normal(name: str, field: str) -> str:
    upper = name.upper()
    if upper == "ALL":
        return upper
    full = upper if upper.startswith("CAP_") else f"CAP_{upper}"
    if full not in known():
        raise InvalidParameterError(f'invalid {field}: unknown capability: "{full}"')
    return full
