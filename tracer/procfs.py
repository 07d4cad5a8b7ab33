"""What /proc says about processes, mounts and cgroups: proc_pid_stat(5), proc_pid_mountinfo(5), cgroups(7).

A pid alone names nobody: it is used again after a while. Who a process is, is its pid together with its start time,
in clock ticks since boot, which no two processes with one pid share.
"""

import os
from dataclasses import dataclass


@dataclass(frozen=True)
class Mount:
    """One line of mountinfo."""

    root: str
    """Which directory of the mounted filesystem is the root of this mount."""
    point: str
    """Where it is mounted, as the process that asked sees it."""
    kind: str
    """Filesystem type: overlay, tmpfs, cgroup2."""
    source: str
    options: str
    """The superblock's options: an overlay's lowerdir and upperdir, a v1 hierarchy's controllers."""


def pids() -> list[int]:
    """Every process that is there now."""
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def _stat_fields(pid: int) -> list[str]:
    """The fields of /proc/PID/stat from the state on; the name before them may hold spaces and brackets."""
    return _read(f"/proc/{pid}/stat").rpartition(")")[2].split()


def start_time(pid: int) -> int:
    """When the process started, 0 if it is gone."""
    fields = _stat_fields(pid)
    return int(fields[19]) if len(fields) > 19 else 0


def state(pid: int) -> str:
    """R, S, D, Z, T, t ..., empty if it is gone."""
    fields = _stat_fields(pid)
    return fields[0] if fields else ""


def parent(pid: int) -> int:
    """The parent's pid, 0 if there is none or the process is gone."""
    fields = _stat_fields(pid)
    return int(fields[1]) if len(fields) > 1 else 0


def is_alive(pid: int, started: int) -> bool:
    """Whether the very process that was noted is still running (a zombie is not)."""
    fields = _stat_fields(pid)
    return len(fields) > 19 and int(fields[19]) == started and fields[0] not in "ZX"


def argv(pid: int) -> list[str]:
    """The process's command line; empty for kernel threads and for processes that are gone."""
    text = _read(f"/proc/{pid}/cmdline")
    return text.rstrip("\0").split("\0") if text else []


def cgroups(pid: int) -> list[str]:
    """The process's cgroup in each hierarchy, as paths."""
    return [line.split(":", 2)[2] for line in _read(f"/proc/{pid}/cgroup").splitlines() if line.count(":") >= 2]


def mounts(pid: int | str = "self") -> list[Mount]:
    """The mounts that a process sees, oldest first."""
    found = []
    for line in _read(f"/proc/{pid}/mountinfo").splitlines():
        before, _, after = line.partition(" - ")
        first, last = before.split(), after.split()
        if len(first) >= 5 and len(last) >= 2:
            options = last[2] if len(last) > 2 else ""
            found.append(Mount(_plain(first[3]), _plain(first[4]), last[0], _plain(last[1]), _plain(options)))
    return found


def mount_namespace(pid: int | str = "self") -> str:
    """The name of a process's mount namespace, ``mnt:[4026531841]``; empty if it is gone or hidden from us."""
    try:
        return os.readlink(f"/proc/{pid}/ns/mnt")
    except OSError:
        return ""


def outer_uid() -> int:
    """The uid that this process has outside of its user namespace: whose files it makes."""
    for line in _read("/proc/self/uid_map").splitlines():
        inside, outside, count = (int(field) for field in line.split())
        if inside <= os.geteuid() < inside + count:
            return outside + os.geteuid() - inside
    return os.geteuid()


def in_user_namespace() -> bool:
    """Whether root here is only root of a user namespace (user_namespaces(7))."""
    return _read("/proc/self/uid_map").split() != ["0", "0", "4294967295"]


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            return file.read()
    except OSError:
        return ""  # the process has ended, or is none of our business


def _plain(text: str) -> str:
    """Undo mountinfo's octal escapes of space, tab, newline and backslash."""
    for escape, character in (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")):
        text = text.replace(escape, character)
    return text
