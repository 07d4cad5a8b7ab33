"""Follow a process that runs already, as `strace -f -p PID` does: the host's dockerd, on an explicit word.

    engine                              dockerd, with threads A, B
      | PTRACE_SEIZE A, B                 |  go on: to be seized stops nobody
      | list /proc/PID/task again         |  B has made C, before it was seized
      | PTRACE_SEIZE C                    |
      | list again: nobody new            |  whom a seized task makes, the kernel seizes with it

Others depend on such a process, so it is seized without PTRACE_O_EXITKILL: however the engine ends, kill -9 included,
the kernel lets it go on, and its children, which inherit that. Nothing of ours stays with it: no filter, no processor
mask, and no signal.
"""

import errno
import os

from tracer.commands import Attached
from tracer.engine import bindings
from tracer.engine.tracee import contents_of, start_time, state


class AttachError(Exception):
    """A process cannot be followed; the message says which, and why."""


def seize(attached: Attached) -> list[int]:
    """Seize every thread of a process; their tids, the leader first. Raises AttachError."""
    pid = attached.pid
    seized: list[int] = []
    seen: set[int] = set()
    while new := [tid for tid in _threads(pid) if tid not in seen]:
        for tid in new:
            seen.add(tid)
            if _seize_one(attached, tid):
                seized.append(tid)
    if start_time(pid) != attached.start_time or pid not in seized:
        raise AttachError(f"cannot follow {attached.label}: process {pid} has ended")
    return seized


def _seize_one(attached: Attached, tid: int) -> bool:
    """Whether it is ours now, and was not before."""
    try:
        bindings.checked_ptrace(bindings.PTRACE_SEIZE, tid, 0, bindings.ATTACHED_OPTIONS)
    except OSError as error:
        tracer = _tracer_of(tid)
        if error.errno == errno.ESRCH or state(tid) in ("", "Z") or tracer == os.getpid():
            return False  # gone, or seized by the kernel together with the thread that made it
        if tracer:
            why = f"process {tracer} traces it already, and a process can have one tracer only"
        elif error.errno == errno.EPERM:
            why = "not permitted; it takes root (CAP_SYS_PTRACE) and kernel.yama.ptrace_scope below 3"
        else:
            why = os.strerror(error.errno or 0).lower()
        raise AttachError(f"cannot follow {attached.label} (pid {attached.pid}): {why}") from error
    return True


def _threads(pid: int) -> list[int]:
    """The tasks of a process, the leader first; none where it is gone."""
    try:
        return sorted((int(name) for name in os.listdir(f"/proc/{pid}/task")), key=lambda tid: (tid != pid, tid))
    except OSError:
        return []


def _tracer_of(tid: int) -> int:
    """`TracerPid:` of proc_pid_status(5); 0 where there is none, or none that we may see."""
    for line in contents_of(f"/proc/{tid}/status").splitlines():
        if line.startswith(b"TracerPid:"):
            return int(line.split()[1])
    return 0
