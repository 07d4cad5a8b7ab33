"""What a wait status of a traced task means: ptrace(2), "Stopped states".

waitpid(2) hands out one 32-bit word. The engine's loop compares the two commonest values itself (`SYSCALL_STOP` and
`SECCOMP_STOP`); all others come here and leave as one of these small records.

    bits 0-7    0x7f: stopped; else the task is gone (0: it exited, N: signal N killed it, |0x80 with a core dump)
    bits 8-15   the signal, or the exit code; 0x80 added to SIGTRAP marks a system call stop (TRACESYSGOOD)
    bits 16-23  the ptrace event
"""

import signal
from dataclasses import dataclass

SYSCALL_STOP = 0x857F
"""SIGTRAP|0x80, stopped: a system call begins or ends. PTRACE_GET_SYSCALL_INFO says which."""
SECCOMP_STOP = 0x7057F
"""PTRACE_EVENT_SECCOMP: a filter stops a call that begins."""

EVENT_FORK = 1
EVENT_VFORK = 2
EVENT_CLONE = 3
EVENT_EXEC = 4
EVENT_STOP = 128

_GROUP_STOP_SIGNALS = frozenset({signal.SIGSTOP, signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU})


@dataclass(frozen=True, slots=True)
class TaskGone:
    """Exited or killed; its tid is free for reuse."""

    exit_code: int | None
    signal: int | None


@dataclass(frozen=True, slots=True)
class NewTask:
    """fork, vfork or clone made a child, which is stopped as well and reports by itself."""

    event: int


@dataclass(frozen=True, slots=True)
class Executed:
    """execve succeeded; the new program has not run yet."""


@dataclass(frozen=True, slots=True)
class GroupStop:
    """The whole thread group is stopped (SIGSTOP, Ctrl-Z): it must stay so until SIGCONT, hence PTRACE_LISTEN."""

    signal: int


@dataclass(frozen=True, slots=True)
class Trap:
    """A new child's first stop, the answer to PTRACE_INTERRUPT, or the end of a group stop: just go on."""


@dataclass(frozen=True, slots=True)
class SignalDelivery:
    """A signal is about to reach the task; it does only if it is passed on at the restart."""

    signal: int


@dataclass(frozen=True, slots=True)
class UnknownStop:
    """A status that this engine has no word for. Noted and let go on, never a crash."""

    status: int


Stop = TaskGone | NewTask | Executed | GroupStop | Trap | SignalDelivery | UnknownStop


def classify(status: int) -> Stop:
    """The meaning of any wait status but that of a system call stop."""
    if status & 0x7F != 0x7F:
        killed_by = status & 0x7F
        return TaskGone(None, killed_by) if killed_by else TaskGone((status >> 8) & 0xFF, None)
    if status & 0xFF != 0x7F:
        return UnknownStop(status)
    number = (status >> 8) & 0xFF
    event = status >> 16
    if event == 0:
        return SignalDelivery(number)
    if event in (EVENT_FORK, EVENT_VFORK, EVENT_CLONE):
        return NewTask(event)
    if event == EVENT_EXEC:
        return Executed()
    if event == EVENT_STOP:
        return GroupStop(number) if number in _GROUP_STOP_SIGNALS else Trap()
    return UnknownStop(status)
