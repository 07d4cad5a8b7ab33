"""Namespaces: which kinds there are, which to make, which to join, and in which order.

Counterpart: runc's nsexec.c and libcontainer/configs/namespaces_linux.go; namespaces(7), runtime-spec config-linux.md.

Order matters twice.
- Making: the user namespace first, on its own. The others made after it belong to it, and that ownership is what
  gives root inside the right to mount, to set the hostname, to configure the network.
- Joining: what needs our old privileges first, the user namespace next, the mount namespace last, because after it
  paths mean something else. All are opened before the first is joined for the same reason.
A new pid or time namespace is entered by the next child, not by the caller: hence the intermediate process.
"""

import os

from runtime.oci import syscalls
from runtime.oci.errors import ConfigError, OCIError, reason

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class Kind:
    """One kind of namespace: runtime-spec's name, the kernel's flag, the name under /proc/PID/ns."""

    __slots__ = ("flag", "name", "proc_name")

    def __init__(self, name: str, proc_name: str, flag: int) -> None:
        self.name = name
        self.proc_name = proc_name
        self.flag = flag


KINDS = (
    Kind("user", "user", syscalls.CLONE_NEWUSER),
    Kind("ipc", "ipc", syscalls.CLONE_NEWIPC),
    Kind("uts", "uts", syscalls.CLONE_NEWUTS),
    Kind("network", "net", syscalls.CLONE_NEWNET),
    Kind("pid", "pid", syscalls.CLONE_NEWPID),
    Kind("time", "time", syscalls.CLONE_NEWTIME),
    Kind("cgroup", "cgroup", syscalls.CLONE_NEWCGROUP),
    Kind("mount", "mnt", syscalls.CLONE_NEWNS),
)
BY_NAME = {kind.name: kind for kind in KINDS}


class Plan:
    """Which namespaces a process joins and which it makes."""

    __slots__ = ("join", "make")

    def __init__(self, make: set[str], join: dict[str, str]) -> None:
        self.make = make
        self.join = join
        """Kind -> path of the namespace file."""

    def has(self, name: str) -> bool:
        """Whether the process will be in a namespace other than the runtime's own."""
        return name in self.make or name in self.join

    def flags(self) -> int:
        """What to give unshare(2), the user namespace apart."""
        return sum(BY_NAME[name].flag for name in self.make if name != "user")


def plan(config: "dict[str, Any]") -> Plan:
    """Read linux.namespaces: without a path it is made, with one it is joined, absent means stay."""
    make: set[str] = set()
    join: dict[str, str] = {}
    for index, entry in enumerate(config.get("linux", {}).get("namespaces", [])):
        field = f"linux.namespaces[{index}]"
        name = entry.get("type", "")
        if name not in BY_NAME:
            raise ConfigError(f"{field}.type", f'unknown namespace "{name}"')
        if name in make or name in join:
            raise ConfigError(field, f'namespace "{name}" is listed twice')
        path = entry.get("path", "")
        if path and not path.startswith("/"):
            raise ConfigError(f"{field}.path", f'"{path}" must be absolute')
        if path:
            join[name] = path
        else:
            make.add(name)
    for name in make:
        if not os.path.exists(f"/proc/self/ns/{BY_NAME[name].proc_name}"):
            raise OCIError(f"this kernel has no {name} namespaces")
    return Plan(make, join)


def of_process(pid: int) -> dict[str, str]:
    """The namespaces of a running process that differ from ours, as paths to join (for `exec`)."""
    different = {}
    for kind in KINDS:
        path = f"/proc/{pid}/ns/{kind.proc_name}"
        try:
            if os.readlink(path) != os.readlink(f"/proc/self/ns/{kind.proc_name}"):
                different[kind.name] = path
        except FileNotFoundError:
            continue  # a kind that this kernel does not have
    return different


def join(paths: dict[str, str]) -> None:
    """Enter existing namespaces.

    A namespace that is owned by our present user namespace must be entered before we give that up, one that is owned
    by the container's only after: so try, join the user namespace, and try the refused ones again (as nsenter(1) does).
    """
    opened = [(kind, os.open(paths[kind.name], os.O_RDONLY | os.O_CLOEXEC)) for kind in KINDS if kind.name in paths]
    refused = []
    if "user" in paths:
        for kind, fd in opened[1:]:
            try:
                syscalls.setns(fd, kind.flag)
            except PermissionError:
                refused.append((kind, fd))
        opened = opened[:1] + refused
    for kind, fd in opened:
        try:
            syscalls.setns(fd, kind.flag)
        except OSError as error:
            raise OCIError(f"join {kind.name} namespace {paths[kind.name]}: {reason(error)}") from None
        if kind.name == "user":
            become_root_inside()


def become_root_inside() -> None:
    """Take uid and gid 0 of the user namespace: its files and devices are made in root's name."""
    os.setresgid(0, 0, 0)
    os.setresuid(0, 0, 0)


def set_time_offsets(offsets: "dict[str, Any]") -> None:
    """linux.timeOffsets: how far the clocks of a new time namespace are moved; only while it is still empty."""
    for clock, offset in offsets.items():
        if clock not in ("monotonic", "boottime"):
            raise ConfigError("linux.timeOffsets", f'unknown clock "{clock}"')
        with open("/proc/self/timens_offsets", "w") as file:
            file.write(f"{clock} {offset.get('secs', 0)} {offset.get('nanosecs', 0)}\n")
