"""The five capability sets (capabilities(7), runtime-spec config.md "process.capabilities").

    bounding     what execve may ever give, to anyone in the container: drop-only
    permitted    what the process may turn on
    effective    what the kernel checks
    inheritable  what may pass an execve of a file that has it inheritable too
    ambient      what passes an execve of a plain file by a user that is not root

A name that the kernel does not know, or a right that we do not hold ourselves and so cannot give, is a warning and is
left out, as the spec asks.
"""

from runtime.oci import syscalls as sc

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

NAMES = """
    CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE NET_BIND_SERVICE
    NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO SYS_CHROOT SYS_PTRACE SYS_PACCT SYS_ADMIN
    SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL SETFCAP MAC_OVERRIDE
    MAC_ADMIN SYSLOG WAKE_ALARM BLOCK_SUSPEND AUDIT_READ PERFMON BPF CHECKPOINT_RESTORE
""".split()
"""In the order of their numbers in linux/capability.h."""

NUMBERS = {f"CAP_{name}": number for number, name in enumerate(NAMES)}
SYS_ADMIN = 1 << NUMBERS["CAP_SYS_ADMIN"]


class Sets:
    """The five sets as bit masks."""

    __slots__ = ("ambient", "bounding", "effective", "inheritable", "permitted")

    def __init__(self, bounding: int, effective: int, permitted: int, inheritable: int, ambient: int) -> None:
        self.bounding = bounding
        self.effective = effective
        self.permitted = permitted
        self.inheritable = inheritable
        self.ambient = ambient


def mask(names: list[str]) -> tuple[int, list[str]]:
    """The bit mask of some names, and the names that are no capability."""
    bits = 0
    unknown = []
    for name in names:
        if name.upper() in NUMBERS:
            bits |= 1 << NUMBERS[name.upper()]
        else:
            unknown.append(name)
    return bits, unknown


def plan(configured: "dict[str, Any]", available: int) -> tuple[Sets, list[str]]:
    """The sets to apply, out of those that we hold, and a warning for each name that had to be left out."""
    left_out: list[str] = []
    masks = {}
    for name in ("bounding", "effective", "permitted", "inheritable", "ambient"):
        bits, unknown = mask(configured.get(name, []))
        masks[name] = bits & available
        left_out += [f"{missing}: unknown capability, ignored" for missing in unknown]
        left_out += [
            f"{capability}: not held by the runtime itself, cannot be granted"
            for capability, number in NUMBERS.items()
            if (bits & ~available) >> number & 1
        ]
    # the kernel has rules between the sets: effective within permitted, ambient within permitted and inheritable
    masks["effective"] &= masks["permitted"]
    masks["ambient"] &= masks["permitted"] & masks["inheritable"]
    return Sets(**masks), list(dict.fromkeys(left_out))


def drop_bounding(keep: int) -> None:
    """Shrink the bounding set. Needs CAP_SETPCAP, so it comes before the other sets shrink."""
    for number in range(64):
        if not keep >> number & 1:
            try:
                sc.prctl(sc.PR_CAPBSET_DROP, number)
            except OSError:
                return  # EINVAL: past the last capability of this kernel


def apply(sets: Sets, extra: int = 0) -> None:
    """Set permitted, effective and inheritable; `extra` stays on for a while (see process_setup.py)."""
    sc.capset(sets.effective | extra, sets.permitted | extra, sets.inheritable)


def raise_ambient(ambient: int) -> None:
    """Set the ambient set; each must be permitted and inheritable by now."""
    sc.prctl(sc.PR_CAP_AMBIENT, sc.PR_CAP_AMBIENT_CLEAR_ALL)
    for number in range(64):
        if ambient >> number & 1:
            sc.prctl(sc.PR_CAP_AMBIENT, sc.PR_CAP_AMBIENT_RAISE, number)
