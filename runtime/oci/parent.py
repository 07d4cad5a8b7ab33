"""The runtime's side of making a process in a container: fork, guide it through sync.py's steps, clean up on failure.

Counterpart: runc's libcontainer/process_linux.go `initProcess`. `Birth` is one such making, for a new container
(`create`, `run`) or for `exec`. Whatever fails on the way, nothing stays: processes killed and reaped, group removed.
"""

import gc
import os

from runtime.oci import id_maps, intermediate, namespaces, sync
from runtime.oci import syscalls as sc
from runtime.oci.cgroups.group import SIGKILL, Group
from runtime.oci.errors import OCIError, reason

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


class Birth:
    """The two processes on the way and the channel to them."""

    __slots__ = ("channel", "intermediate_pid", "pid")

    def __init__(self) -> None:
        self.channel = sync.Channel(-1)
        self.intermediate_pid = 0
        self.pid = 0
        """init's pid, seen from here; 0 until it exists."""

    def fork(
        self,
        plan: namespaces.Plan,
        time_offsets: "dict[str, Any]",
        run_init: "Callable[[sync.Channel], None]",
    ) -> None:
        """Fork the intermediate, which waits for our first word."""
        our_fd, their_fd = sc.socketpair()
        # what exists now is shared with the children page by page: keep the collector from writing to it, for every
        # page that a child touches is charged to the container's memory limit
        gc.disable()
        gc.freeze()
        pid = os.fork()
        if pid == 0:
            try:
                os.close(our_fd)
                channel = sync.Channel(their_fd)
                intermediate.main(plan, time_offsets, channel, lambda: run_init(channel))
            finally:
                # a child that came back from here would run its parent's error handling: kill, remove, report
                os._exit(1)
        os.close(their_fd)
        self.channel = sync.Channel(our_fd)
        self.intermediate_pid = pid

    def enter_namespaces(self, plan: namespaces.Plan, linux: "dict[str, Any]") -> None:
        """GO ... INIT_IS: afterwards `pid` is known and is our own child."""
        self.channel.say(sync.GO)
        if "user" in plan.make:
            self.channel.hear(sync.MAP_IDS)
            id_maps.write(self.intermediate_pid, linux)
            self.channel.say(sync.MAPPED)
        self.pid = int(self.channel.hear(sync.INIT_IS))
        os.waitpid(self.intermediate_pid, 0)
        self.intermediate_pid = 0

    def set_limits(self, process: "dict[str, Any]", warn: "Callable[[str], None]", *, lenient: bool) -> None:
        """Rlimits and oom_score_adj, from outside: in a user namespace init could not raise them itself."""
        if process.get("rlimits"):
            from runtime.oci import rlimits

            try:
                rlimits.apply(self.pid, process["rlimits"])
            except OCIError as error:
                if not lenient:
                    raise
                warn(f"{error} (given up in a user namespace)")
        score = process.get("oomScoreAdj")
        if score is None:
            return
        try:
            with open(f"/proc/{self.pid}/oom_score_adj", "w") as file:
                file.write(str(score))
        except PermissionError:
            if not lenient:
                raise OCIError(f"process.oomScoreAdj: may not be lowered to {score} without CAP_SYS_RESOURCE") from None
            warn(f"process.oomScoreAdj: {score} given up: not permitted in a user namespace")

    def abandon(self) -> None:
        """Kill and reap what exists."""
        for pid in (self.intermediate_pid, self.pid):
            if pid:
                try:
                    os.kill(pid, SIGKILL)
                except ProcessLookupError:
                    pass
                os.waitpid(pid, 0)
        self.intermediate_pid = self.pid = 0


def open_group(group: Group, pid: int, warn: "Callable[[str], None]", *, lenient: bool) -> Group:
    """Make the cgroup and put the intermediate in it; init and all its children are born there.

    Lenient where we are not the host's root: without a delegated cgroup the container runs unlimited, and we say so.
    """
    try:
        group.create()
        group.join(pid)
    except OSError as error:
        if not lenient:
            raise OCIError(f"cgroup {error.filename}: {reason(error)}") from None
        warn(f"cgroup limits given up: {error.filename}: {reason(error)}")
        return Group({})
    return group


def write_pid_file(path: str, pid: int) -> None:
    """Decimal digits and no newline: containerd's shim parses it untrimmed. Renamed into place, never half there."""
    temporary = f"{path}.{os.getpid()}"
    with open(temporary, "w") as file:
        file.write(str(pid))
    os.rename(temporary, path)
