"""What one call amounts to, whatever libc or runtime spelled it: before it happens (an intent) or after (an action).

    unshare, clone, clone3, setns            -> NamespaceEntered        pivot_root            -> RootPivoted
    mount, move_mount                        -> MountAttached, PathMasked, MountRemounted, PropagationSet
    write to cgroup.procs, memory.max ...    -> CgroupJoined, CgroupLimitSet
    capset                                   -> CapabilitiesDropped     seccomp, prctl        -> SeccompInstalled

Each recogniser looks at one call alone: its arguments, the memory they point to, the files its descriptors are. What
takes several calls (the bounding set, fsopen to move_mount) is put together in `actions`. A recogniser never judges
success: an intent is a call that has not happened yet.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

from tracer.decode import intents_files, intents_process
from tracer.decode.call import Call, Intent
from tracer.events import Scalar

__all__ = ["Call", "Intent", "calls_of", "intent"]


class _Recogniser(NamedTuple):
    function: Callable[[Call], Intent | None]
    actions: tuple[str, ...]


def _table() -> dict[str, _Recogniser]:
    return {
        name: _Recogniser(function, actions)
        for names, function, actions in (*intents_files.RECOGNISERS, *intents_process.RECOGNISERS)
        for name in names.split()
    }


_RECOGNISERS = _table()

CALLS = frozenset(_RECOGNISERS)
"""All calls that may amount to something by themselves."""


def intent(
    name: str,
    arguments: tuple[int, ...],
    data: Mapping[str, bytes | None],
    files: Mapping[int, str],
    machine: str = "x86_64",
) -> Intent | None:
    """What this call amounts to if it succeeds, or None for a call that means nothing by itself."""
    recogniser = _RECOGNISERS.get(name)
    if recogniser is None:
        return None
    return recogniser.function(Call(name, arguments, data, files, machine))


def calls_of(action: str) -> frozenset[str]:
    """The calls that can amount to this action."""
    return frozenset(name for name, recogniser in _RECOGNISERS.items() if action in recogniser.actions)


def fields_text(fields: Mapping[str, Scalar]) -> str:
    """An action's fields in one line: `target=/proc type=proc`."""
    return " ".join(f"{name}={value}" for name, value in fields.items() if value not in (None, "", False))
