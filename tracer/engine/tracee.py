"""Who is traced: processes (thread groups) and their tasks (threads), as the kernel schedules and ptrace stops them.

A `Process` holds what its threads share (descriptors, working directory, memory); a `Task` holds what one thread is
doing: the system call it is in. Identity is outer pid plus start time: pids are reused, and inside a pid namespace
the same process has other numbers, which may collide with numbers outside.
"""

import enum
import os
from typing import TYPE_CHECKING

from tracer.engine.bindings import PTRACE_SYSCALL
from tracer.engine.memory import Memory

if TYPE_CHECKING:
    from tracer.engine.fdtable import OpenFile
    from tracer.engine.plans import Plan

Arguments = tuple[int, ...]


class Place(enum.Enum):
    """Which processors a task may use; see `affinity`."""

    ANYWHERE = enum.auto()
    HERE = enum.auto()
    """The engine's own, because it has been put there."""
    OWN = enum.auto()
    """What one of the tracees has asked for: not ours to change."""


class Process:
    """A thread group on the host."""

    __slots__ = (
        *(
            "attached",
            "background",
            "cwd",
            "fds",
            "foreign",
            "generation",
            "memory",
            "nspids",
            "pid",
            "request",
            "shares_cwd",
        ),
        "tasks",
    )

    def __init__(self, pid: int, *, background: bool, request: int = PTRACE_SYSCALL) -> None:
        self.pid = pid
        self.request = request
        """How its tasks go on between calls: PTRACE_SYSCALL, to stop at every call; PTRACE_CONT, to stop only at
        those that a filter stops at, or at none."""
        self.memory = Memory(pid)
        self.fds: dict[int, OpenFile] = {}
        self.cwd: OpenFile | None = None
        self.shares_cwd = False
        """With another process (CLONE_FS), which may change it."""
        self.generation = 0
        self.background = background
        """Descends from what was launched before the story began."""
        self.attached = False
        """It ran before the engine, or descends from one that did: it stays on the processors that it has, and is let
        go at the end, never killed."""
        self.nspids: tuple[int, ...] = ()
        self.foreign = False
        """It has made calls of another ABI (32-bit), which are noted once and not recorded."""
        self.tasks = 0
        """How many of its tasks are alive."""


class Task:
    """A thread: what ptrace stops. The fields after `process` describe the call that it is in."""

    __slots__ = (
        "arguments",
        "early",
        "entered_ns",
        "entry",
        "file",
        "files",
        "in_call",
        "number",
        "place",
        "plan",
        "prelude",
        "process",
        "tid",
    )

    def __init__(self, tid: int, process: Process) -> None:
        self.tid = tid
        self.process = process
        self.place = Place.ANYWHERE
        self.in_call = False
        self.number = -1
        self.plan: Plan
        self.arguments: tuple[int, ...] = ()
        self.entered_ns = 0
        self.entry = -1
        """Sequence number of the call's SyscallEntered; -1 while it has not been reported."""
        self.file: OpenFile
        """What the (first) descriptor argument refers to; its kind bounds how much of the buffer is captured."""
        self.files: dict[int, str] = {}
        """The names of the files that the descriptor arguments refer to, by argument number."""
        self.early: dict[str, bytes | None] | None = None
        """What was captured at the entry of a call that destroys its own arguments (execve)."""
        self.prelude = False
        """Between the engine's fork and the launched program's execve: not part of the story."""


def start_time(tid: int) -> int:
    """Clock ticks since boot, field 22 of proc_pid_stat(5); 0 where the task is gone already."""
    raw = contents_of(f"/proc/{tid}/stat")
    # The command name may hold spaces and parentheses: fields are counted from the last ')'.
    fields = raw[raw.rfind(b")") + 2 :].split(b" ", 20)
    return int(fields[19]) if len(fields) > 20 else 0


def state(tid: int) -> str:
    """`R`, `S`, `D`, `T`, `t`, `Z`, ... of proc_pid_stat(5); empty where the task is gone."""
    raw = contents_of(f"/proc/{tid}/stat")
    place = raw.rfind(b")") + 2
    return raw[place : place + 1].decode("ascii")


def pid_namespace(pid: int) -> str:
    """The pid namespace's name, `pid:[4026531836]`; empty where it cannot be read."""
    try:
        return os.readlink(f"/proc/{pid}/ns/pid")
    except OSError:
        return ""


def namespace_pids(tid: int) -> tuple[int, ...]:
    """`NSpid:` of proc_pid_status(5): the task's ids from the outermost pid namespace to its own."""
    for line in contents_of(f"/proc/{tid}/status").splitlines():
        if line.startswith(b"NSpid:"):
            return tuple(int(number) for number in line.split()[1:])
    return ()


def thread_group(tid: int) -> tuple[int, int]:
    """(`Tgid`, `PPid`) of proc_pid_status(5); zeros where the task is gone."""
    found = {b"Tgid:": 0, b"PPid:": 0}
    for line in contents_of(f"/proc/{tid}/status").splitlines():
        key, _, value = line.partition(b"\t")
        if key in found:
            found[key] = int(value)
    return found[b"Tgid:"], found[b"PPid:"]


def strings(raw: bytes) -> tuple[str, ...]:
    """The strings of /proc/PID/cmdline or environ, each of which ends with a NUL."""
    return tuple(text(part) for part in raw.removesuffix(b"\0").split(b"\0")) if raw else ()


def link_of(pid: int, name: str) -> str:
    """Where /proc/PID/NAME points: `exe`, `cwd`, `root`; empty where it cannot be read."""
    try:
        return text(os.readlink(f"/proc/{pid}/{name}".encode()))
    except OSError:
        return ""


def text(raw: bytes) -> str:
    """Kernel bytes as text: UTF-8, and what is not UTF-8 shows as a hexadecimal escape."""
    return raw.decode("utf-8", "backslashreplace")


def contents_of(path: str) -> bytes:
    """A /proc file whole; empty where it cannot be read."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return b""
    try:
        parts = []
        while part := os.read(fd, 65536):
            parts.append(part)
            if len(part) < 4000:
                break
        return b"".join(parts)
    except OSError:
        return b""
    finally:
        os.close(fd)
