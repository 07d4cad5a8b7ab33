"""One process that the shim looks after: the container's init, or one that was exec'd into it.

Real counterpart: containerd pkg/process init.go, exec.go and their state machines.

    created --start--> running --exit--> stopped --delete--> gone
                        |    ^
                      pause resume      (init only: a container is frozen as a whole)
"""

from runtime.api.containerd.process_pb2 import Status
from runtime.shim.clock import ZERO, now
from runtime.shim.errors import FAILED_PRECONDITION, TaskError, not_found
from runtime.shim.loop import Promise
from runtime.shim.stdio import StdioPaths, Streams


class Process:
    """What is known of a process, from its creation to the deletion of its record."""

    def __init__(self, exec_id: str, paths: StdioPaths, streams: Streams) -> None:
        self.exec_id = exec_id
        """Empty for init."""
        self.paths = paths
        self.streams = streams
        self.pid = 0
        self.status = Status.CREATED
        self.exit_status = 0
        self.exited_at = ZERO
        self.end: Promise[int] = Promise()
        """The exit status, from the reaper."""
        self.exited: Promise[None] = Promise()
        """Fulfilled when the end is noted and all output delivered."""
        self.starting = False
        """While the start event is not out, the exit event must wait for it: a short process can end before that."""
        self.spec = b""
        """For an exec: the JSON of its OCI process."""

    def finish(self, exit_status: int) -> None:
        """Note the end and tell all who wait."""
        self.exit_status = exit_status
        self.exited_at = now()
        self.status = Status.STOPPED
        self.exited.fulfil(None)

    def require_running(self) -> None:
        """Refuse what only a living process can be asked, in the words that containerd's clients know."""
        if self.exited.done:
            raise not_found("process already finished")
        if self.pid == 0:
            raise TaskError(FAILED_PRECONDITION, "process not created: failed precondition")
