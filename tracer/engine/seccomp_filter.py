"""Filtered speed: a seccomp-BPF filter that stops a tracee only at the calls that are watched, seccomp(2).

Its real counterpart is `strace --seccomp-bpf`. A call that is not in the list costs the tracee nothing measurable
(the kernel remembers that its number is always allowed); one that is gives SECCOMP_RET_TRACE, a stop at its entry,
and PTRACE_SYSCALL from there one more at its exit.

A filter cannot be taken out again. It is inherited by every child, and without a tracer RET_TRACE turns calls into
ENOSYS. Three things follow:

 - Nothing that has it may outlive the engine: PTRACE_O_EXITKILL kills it, and the kernel sends that SIGKILL before it
   takes the tracer away, so no instruction of the tracee ever sees an ENOSYS of ours.
 - A container's own filter goes in on top of ours, and what it denies (SECCOMP_RET_ERRNO) beats our RET_TRACE: the
   call would fail unseen. So a process that is about to install one is watched call by call from there, and all that
   it starts (`OwnFilters`).
 - It can be seen: `Seccomp_filters:` in /proc/PID/status counts one more.

Left out: a child made with CLONE_UNTRACED, which no tracer is told of, and which therefore loses these calls; a note
says that there is one (`census`).
"""

import ctypes
import struct
from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tracer.engine import bindings

if TYPE_CHECKING:
    from tracer.engine.census import Census
    from tracer.engine.chronicle import Chronicle
    from tracer.engine.tracee import Task

_LOAD_WORD = 0x20  # BPF_LD | BPF_W | BPF_ABS
_JUMP_IF_EQUAL = 0x15  # BPF_JMP | BPF_JEQ | BPF_K
_JUMP_IF_GREATER_OR_EQUAL = 0x35
_RETURN = 0x06  # BPF_RET | BPF_K
_RET_ALLOW = 0x7FFF0000
_RET_TRACE = 0x7FF00000
_NUMBER_OFFSET = 0  # struct seccomp_data {int nr; __u32 arch; ...}
_ARCH_OFFSET = 4
_SIGNAL_OFFSET = 32  # the lower half of tgkill's argument 2
_SIGURG = 23
_X32_BIT = 0x40000000
"""x86_64 with 32-bit pointers: other numbers in the same arch. Nobody uses it; it is stopped at, and noted."""

_PR_SET_NO_NEW_PRIVS = 38
_SECCOMP = {"x86_64": 317, "aarch64": 277}
_SET_MODE_FILTER = 1
_SPEC_ALLOW = 4
"""Before Linux 5.16 a filter switched off speculation, and slowed the tracee down, unless asked not to."""
_TSYNC = 1
_PR_SET_SECCOMP = 22
_MODE_FILTER = 2

ALWAYS = frozenset({"execve", "execveat", "clone", "clone3", "seccomp", "prctl", "listen"})
"""What the engine needs for itself, whoever listens: programs, births, other filters, who is ready."""


def program(numbers: Collection[int], arch: int, tgkill: int = -1) -> bytes:
    """The BPF program that traces these calls of `arch`, and everything of any other ABI.

    Of `tgkill` not SIGURG: Go's threads interrupt each other by it, up to a hundred times in a start, and it is no
    action.
    """
    lines = [
        (_LOAD_WORD, 0, 0, _ARCH_OFFSET),
        (_JUMP_IF_EQUAL, 1, 0, arch),
        (_RETURN, 0, 0, _RET_TRACE),
        (_LOAD_WORD, 0, 0, _NUMBER_OFFSET),
        (_JUMP_IF_GREATER_OR_EQUAL, 0, 1, _X32_BIT),
        (_RETURN, 0, 0, _RET_TRACE),
    ]
    # Each comparison brings its own return: a jump reaches 255 instructions, and there may be more calls than that.
    for number in sorted(numbers):
        if number == tgkill:
            lines += [
                (_JUMP_IF_EQUAL, 0, 4, number),
                (_LOAD_WORD, 0, 0, _SIGNAL_OFFSET),
                (_JUMP_IF_EQUAL, 0, 1, _SIGURG),
                (_RETURN, 0, 0, _RET_ALLOW),
                (_RETURN, 0, 0, _RET_TRACE),
            ]
            continue
        lines += [(_JUMP_IF_EQUAL, 0, 1, number), (_RETURN, 0, 0, _RET_TRACE)]
    lines.append((_RETURN, 0, 0, _RET_ALLOW))
    return b"".join(struct.pack("<HBBI", *line) for line in lines)


@dataclass(frozen=True, slots=True)
class Filter:
    """What a launched program is started with."""

    machine: str
    program: bytes
    names: tuple[str, ...]
    """Of the calls that are watched, in order."""

    def install(self) -> None:
        """Put it on the calling process, for good. Raises OSError.

        Whoever may not (no CAP_SYS_ADMIN) gives up new privileges first; under an unprivileged tracer there are none
        to be had anyway.
        """
        libc = bindings.checked_libc()
        buffer = ctypes.create_string_buffer(self.program, len(self.program))
        # struct sock_fprog {unsigned short len; struct sock_filter *filter;}
        head = ctypes.create_string_buffer(struct.pack("<H6xQ", len(self.program) // 8, ctypes.addressof(buffer)), 16)
        call = [ctypes.c_long(value) for value in (_SECCOMP[self.machine], _SET_MODE_FILTER, _SPEC_ALLOW)]
        if libc.syscall(*call, head) == 0:
            return
        nothing = ctypes.c_ulong(0)
        libc.prctl(_PR_SET_NO_NEW_PRIVS, ctypes.c_ulong(1), nothing, nothing, nothing)
        if libc.syscall(*call, head) != 0:
            raise OSError(ctypes.get_errno(), "seccomp")


class OwnFilters:
    """Tasks that install a filter of their own: from there on, every call of theirs is watched."""

    def __init__(self, chronicle: "Chronicle", census: "Census") -> None:
        self._chronicle = chronicle
        self._census = census

    def before_seccomp(self, task: "Task") -> None:
        """seccomp(2) begins. A null program is libseccomp asking which flags the kernel knows."""
        operation, flags, address = task.arguments[:3]
        if operation & 0xFFFFFFFF == _SET_MODE_FILTER and address:
            self._watch(task, whole_process=bool(flags & _TSYNC))

    def before_prctl(self, task: "Task") -> None:
        """prctl(2) begins. A null program is dockerd asking whether there are filters at all: EFAULT is a yes."""
        option, mode, address = task.arguments[:3]
        if option & 0xFFFFFFFF == _PR_SET_SECCOMP and mode == _MODE_FILTER and address:
            self._watch(task, whole_process=False)

    def _watch(self, task: "Task", *, whole_process: bool) -> None:
        process = task.process
        if process.request == bindings.PTRACE_SYSCALL:
            return
        process.request = bindings.PTRACE_SYSCALL
        process.fds.clear()  # what was remembered is up to date only from here on
        self._chronicle.note(
            "watching",
            f"process {process.pid} installs a seccomp filter of its own: from here on every call is recorded that it "
            "makes, or that a process makes which it starts",
            {"pid": process.pid},
        )
        if whole_process:
            # Its other threads get the filter in the middle of whatever they do.
            for other in self._census.tasks.values():
                if other.process is process and other is not task:
                    bindings.ptrace(bindings.PTRACE_INTERRUPT, other.tid, 0, 0)
