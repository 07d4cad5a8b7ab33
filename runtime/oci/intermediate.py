"""The process between the runtime and init: it enters the namespaces, then makes init as its *sibling*.

Counterpart: stage 1 of runc's nsexec.c, in C there because Go programs have threads and setns(2) wants a single one.
Why there has to be one: a process that made or joined a pid namespace does not enter it, only its next child does. And
why clone(CLONE_PARENT): init has to be a child of the runtime, which reports its pid and, when it exits, leaves init to
the nearest subreaper above: the shim or conmon, who wait for the container.
"""

import os

from runtime.oci import namespaces, sync
from runtime.oci import syscalls as sc

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

SIGCHLD = 17


def main(
    plan: namespaces.Plan, time_offsets: "dict[str, Any]", channel: sync.Channel, run_init: "Callable[[], None]"
) -> None:
    """Never returns, in either of the processes that leave it."""
    try:
        enter_namespaces(plan, time_offsets, channel)
        pid = sc.clone(sc.CLONE_PARENT | SIGCHLD)
    except Exception as error:  # noqa: BLE001 (this is a process's main: whatever it is, the parent shall know)
        channel.fail(error)
        os._exit(1)
    if pid == 0:
        run_init()
    channel.say(sync.INIT_IS, str(pid))
    os._exit(0)


def enter_namespaces(plan: namespaces.Plan, time_offsets: "dict[str, Any]", channel: sync.Channel) -> None:
    """Join, then make; the user namespace before all others that are made."""
    channel.hear(sync.GO)
    namespaces.join(plan.join)
    if "user" in plan.make:
        sc.unshare(sc.CLONE_NEWUSER)
        # unmapped we are nobody, even to ourselves; only someone outside may write the maps
        channel.say(sync.MAP_IDS)
        channel.hear(sync.MAPPED)
        namespaces.become_root_inside()
    if plan.flags():
        sc.unshare(plan.flags())
    if "time" in plan.make and time_offsets:
        # a change of uid made us undumpable, and /proc/self of an undumpable process belongs to the outer root
        sc.prctl(sc.PR_SET_DUMPABLE, 1)
        namespaces.set_time_offsets(time_offsets)
