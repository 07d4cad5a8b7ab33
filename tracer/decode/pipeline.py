"""From what the kernel reported to what it means: system calls in, messages and actions out.

    SyscallExited --> files: a socket?  --> streams --> http1 | http2+grpc | ttrpc --> MessageSeen
                             stdio?     --> stdio                                  --> MessageSeen
                  --> the call itself   --> actions                                --> ActionSeen

The pipeline is fed by the engine's loop, call by call, and answers at once: a stage may hold the process that made the
call. It is pure (no files, no sockets, no clock), so the same recording gives the same messages on any machine.
"""

from collections.abc import Mapping

from tracer.decode.actions import ActionFold
from tracer.events import (
    Event,
    ProcessExecuted,
    ProcessExited,
    ProcessForked,
    SyscallExited,
)
from tracer.stages.layers import LayerFold


class Pipeline:
    """The fold over a recording. Feed it process events, and the calls whose numbers are in its two sets."""

    entry_numbers: frozenset[int]
    """Calls whose SyscallEntered must be fed: none, decoding needs results."""
    exit_numbers: frozenset[int]
    """Calls whose SyscallExited must be fed."""

    def __init__(self, syscall_names: Mapping[int, str]) -> None:
        self._layers = LayerFold()
        self._actions = ActionFold(syscall_names, self._layers)
        self.entry_numbers = frozenset()
        self.exit_numbers = self._actions.exit_numbers

    def feed(self, sequence: int, event: Event) -> list[Event]:
        """The messages and actions that this event completes, in order."""
        if isinstance(event, SyscallExited):
            found: list[Event] = []
            for action in self._actions.feed(sequence, event):
                self._layers.feed(action)
                found.append(action)
            return found
        if isinstance(event, ProcessForked | ProcessExecuted | ProcessExited):
            self._layers.feed(event)
        return []
