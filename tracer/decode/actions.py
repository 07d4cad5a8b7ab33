"""Skeleton of the middle level: see `intents`."""

from collections.abc import Mapping

from tracer.events import ActionSeen, SyscallExited
from tracer.stages.layers import LayerFold


class ActionFold:
    """Calls that belong together become one action."""

    def __init__(self, syscall_names: Mapping[int, str], layers: LayerFold) -> None:
        self._names = syscall_names
        self._layers = layers
        self.exit_numbers: frozenset[int] = frozenset()

    def feed(self, sequence: int, event: SyscallExited) -> list[ActionSeen]:
        """The actions that this call completes."""
        return []
