"""A recording as strace writes its log: one line a call, a signal or the end of a thread.

    openat(AT_FDCWD</>, "/etc/ld.so.cache", O_RDONLY|O_CLOEXEC) = 3</etc/ld.so.cache>
    --- SIGCHLD {si_signo=SIGCHLD, si_code=CLD_EXITED, si_pid=4712, si_uid=0, si_status=0, ...} ---
    +++ exited with 0 +++

Real counterpart: `strace -f -y -s 256`. Where a call is cut in two by another thread's line, strace writes two halves;
here it is one line at the moment it returned.
"""

from collections.abc import Iterator, Mapping

from tracer.decode import siginfo
from tracer.decode.text import format_call
from tracer.events import Event, ProcessExecuted, ProcessExited, SignalDelivered, SyscallEntered, SyscallExited
from tracer.events import SyscallSignature as Signature

STRING_BYTES = 256
"""Bytes of a buffer that a line shows: `-s 256`."""


class StraceLines:
    """The fold: events in, lines out, each with the thread that it belongs to."""

    def __init__(self, signatures: Mapping[int, Signature], machine: str) -> None:
        self._signatures = signatures
        self._machine = machine
        self._begun: dict[int, SyscallEntered] = {}
        """Thread -> the call that it is in, where its beginning was recorded."""

    def feed(self, event: Event) -> Iterator[tuple[int, str]]:
        """The lines that this event adds."""
        if isinstance(event, SyscallEntered):
            self._begun[event.tid] = event
        elif isinstance(event, SyscallExited):
            self._begun.pop(event.tid, None)
            yield event.tid, self._call(event)
        elif isinstance(event, SignalDelivered):
            yield event.tid, f"--- {siginfo.delivered(event)} ---"
        elif isinstance(event, ProcessExecuted) and event.former_tid != event.tid:
            yield from self._unfinished(event.tid)
            yield event.tid, f"+++ superseded by execve in pid {event.former_tid} +++"
            if event.former_tid in self._begun:
                self._begun[event.tid] = self._begun.pop(event.former_tid)
        elif isinstance(event, ProcessExited):
            yield from self._unfinished(event.tid)
            yield event.tid, f"+++ {siginfo.ended(event)} +++"

    def _unfinished(self, tid: int) -> Iterator[tuple[int, str]]:
        begun = self._begun.pop(tid, None)
        if begun is not None:
            yield tid, self._call(begun).replace(" <unfinished ...>", ") = ?")

    def _call(self, event: SyscallEntered | SyscallExited) -> str:
        return format_call(event, self._signatures.get(event.number), STRING_BYTES, self._machine)
