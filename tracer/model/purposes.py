"""What each call of a process was for: its phase where it is folded, else what it amounts to.

    folded      dynamic linking · interpreter start · Go runtime start · files · memory ...       (`phases.py`)
    an action   making namespaces · building the rootfs · sealing the rootfs · giving up powers ...
    a message   talking: the call carried (part of) one
    neither     the sort of ordinary work that its name belongs to, else everything else

Every call has exactly one purpose, so that the counts add up to all calls.
"""

from collections.abc import Iterator, Mapping

from tracer.model.phases import SORTS
from tracer.model.processes import Process
from tracer.model.trace import TraceModel

TALKING = "talking to others"
ELSE = "everything else"
OTHER_ACTION = "other actions with a name"
NOT_SEEN_TO_START = "of processes that were not seen to start"
_NAMED = {
    "making namespaces": (
        "NamespaceEntered UidMapped GidMapped SetgroupsSet HostnameSet DomainnameSet TimeOffsetSet LoginUidSet"
    ),
    "building the rootfs": "MountAttached MountMoved PropagationSet RootPivoted RootChanged DeviceMade",
    "sealing the rootfs": "PathMasked MountRemounted MountDetached SysctlSet",
    "setting limits": (
        "CgroupMade CgroupJoined CgroupLimitSet CgroupControllersEnabled DeviceFilterInstalled RlimitSet OomScoreSet"
    ),
    "giving up powers": (
        "CapabilitiesDropped BoundingCapabilityDropped NoNewPrivilegesSet SeccompInstalled UserSwitched GroupSwitched "
        "GroupsSet KeyringJoined LabelSet"
    ),
    "handing over to the program": "ExecFifoMade ExecFifoOpened ExecFifoWritten ProgramExecuted ConfigOpened",
    "terminals and sessions": (
        "ConsoleAllocated ControllingTerminalSet TerminalModeSet WindowSizeSet SessionStarted SubreaperSet"
    ),
    "networks": "LinkChanged LinkCreated LinkDeleted LinkMoved AddressAdded RouteAdded RoutingRuleAdded RuleAdded",
    TALKING: "Connected AddressBound DescriptorsSent FifoMade",
}
PURPOSE_OF_ACTION = {action: purpose for purpose, actions in _NAMED.items() for action in actions.split()}


_SORT_OF_CALL = {name: sort for sort, names in reversed(list(SORTS.items())) for name in names}
"""The narrowest sort of ordinary work that a call belongs to, for one that stands too alone to be folded."""


def purposes_of_calls(model: TraceModel) -> dict[int, str]:
    """What the calls are for that something was made of, which are those that are never folded."""
    actions = {action.sequence: PURPOSE_OF_ACTION.get(action.action, OTHER_ACTION) for action in model.actions}
    stages = {stage.sequence for stage in model.stages}
    found = {}
    for call, made in model.carried.items():
        acted = next((actions[sequence] for sequence in made if sequence in actions), "")
        if acted or any(sequence not in stages for sequence in made):
            found[call] = acted or TALKING
    return found


def purposes_of_process(
    model: TraceModel, process: Process, cursor: int, named: Mapping[int, str]
) -> Iterator[tuple[int, int, str]]:
    """Runs of the process's calls up to a moment, as places in its list: from, up to (not included), and what for."""
    calls, count = model.calls_of(process, cursor)
    if not count:
        return
    for segment in model.phases_of(process, cursor).segments(count):
        if segment.name:
            yield segment.start, segment.stop, segment.name
        else:
            for place in range(segment.start, segment.stop):
                call = calls[place]
                yield place, place + 1, named.get(call) or _SORT_OF_CALL.get(model.call_name(call), ELSE)
