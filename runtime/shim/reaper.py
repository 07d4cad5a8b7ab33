"""Collects the ends of children: OCI runtimes that the shim started, and containers that it adopted.

Real counterpart: containerd pkg/process and sys/reaper; wait(2), prctl(2) PR_SET_CHILD_SUBREAPER.

    shim --spawn--> OCI runtime --clone--> init         the runtime exits as soon as init waits for `start`
    shim <--adopts-------------------------- init       an orphan goes to its nearest subreaper, which is the shim

So init's exit status comes to the shim by waitpid although the shim never forked it. An init may end before the shim
has read its pid from the pid file: such a status is kept, unclaimed, as long as a runtime call is under way.
"""

import os

from runtime.shim.loop import Promise


class Reaper:
    """Matches wait statuses with those who asked for the pid, whichever comes first."""

    def __init__(self) -> None:
        self._claims: dict[int, Promise[int]] = {}
        self._unclaimed: dict[int, int] = {}
        self._expecting = 0

    def claim(self, pid: int) -> Promise[int]:
        """Return the promise of this child's exit status (128 + signal for a killed one, as containerd counts)."""
        promise: Promise[int] = Promise()
        if pid in self._unclaimed:
            promise.fulfil(self._unclaimed.pop(pid))
        else:
            self._claims[pid] = promise
        return promise

    def expect(self) -> None:
        """Keep unknown statuses from now on: a runtime is about to create a process whose pid we do not know yet."""
        self._expecting += 1

    def settle(self) -> None:
        """End what `expect` began; orphans that nobody claimed are forgotten with the last one."""
        self._expecting -= 1
        if self._expecting == 0:
            self._unclaimed.clear()

    def reap(self) -> None:
        """Collect every child that has ended: signals of one kind merge, so one SIGCHLD may stand for many."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            code = os.waitstatus_to_exitcode(status)
            self._deliver(pid, code if code >= 0 else 128 - code)

    def _deliver(self, pid: int, code: int) -> None:
        promise = self._claims.pop(pid, None)
        if promise is not None:
            promise.fulfil(code)
        elif self._expecting:
            self._unclaimed[pid] = code
