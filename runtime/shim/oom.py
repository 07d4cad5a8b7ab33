"""Notices when the kernel kills for memory inside the container's cgroup.

Real counterpart: containerd pkg/oom/v1 and v2; kernel Documentation/admin-guide/cgroup-v1/memory.rst section 9,
cgroup-v2.rst (memory.events).

    v1  eventfd + memory.oom_control, written as two numbers into cgroup.event_control: the kernel adds 1 for each OOM
    v2  memory.events holds `oom_kill N`; kernfs wakes pollers of the file (EPOLLPRI) when it changes

A cgroup that cannot be watched (no memory controller, no right to it) is not an error: then there is no TaskOOM.
"""

import os
from collections.abc import Callable

from runtime.shim.cgroup import Cgroup, locate
from runtime.shim.log import log
from runtime.shim.loop import PRIORITY, READ, Loop


class OomWatch:
    """Watches the cgroup of one container from its creation to the end of its init."""

    def __init__(self, loop: Loop, pid: int, report: Callable[[], None]) -> None:
        self._loop = loop
        self._report = report
        self._fd = -1
        self._v1 = False
        self._kills = 0
        try:
            self._open(locate(pid))
        except OSError as reason:
            log(f"no news of memory: {reason}")

    def _open(self, cgroup: Cgroup) -> None:
        memory = cgroup.v1.get("memory")
        if memory:
            self._fd = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
            self._v1 = True
            control = os.open(f"{memory}/memory.oom_control", os.O_RDONLY | os.O_CLOEXEC)
            registry = os.open(f"{memory}/cgroup.event_control", os.O_WRONLY | os.O_CLOEXEC)
            try:
                os.write(registry, b"%d %d" % (self._fd, control))
            finally:
                os.close(registry)
                os.close(control)
            self._loop.watch(self._fd, READ, lambda _ready: self.check())
        elif cgroup.v2 and os.path.exists(f"{cgroup.v2}/memory.events"):
            self._fd = os.open(f"{cgroup.v2}/memory.events", os.O_RDONLY | os.O_CLOEXEC)
            self._kills = self._read_kills()
            self._loop.watch(self._fd, PRIORITY, lambda _ready: self.check())

    def _read_kills(self) -> int:
        for line in os.pread(self._fd, 4096, 0).decode().splitlines():
            name, _, value = line.partition(" ")
            if name == "oom_kill":
                return int(value)
        return 0

    def check(self) -> None:
        """Report what has happened since the last look."""
        if self._fd < 0:
            return
        try:
            if self._v1:
                happened = os.eventfd_read(self._fd) > 0
            else:
                kills = self._read_kills()
                happened, self._kills = kills > self._kills, kills
        except BlockingIOError:
            return
        except OSError:
            self.close()  # ENODEV: the cgroup is gone
            return
        if happened:
            self._report()

    def close(self) -> None:
        """Stop watching, before the cgroup is removed: its removal would ring the eventfd too."""
        if self._fd >= 0:
            self._loop.forget(self._fd)
            os.close(self._fd)
            self._fd = -1
