"""process.scheduler and process.ioPriority: how the kernel divides CPU time and disk time (runtime-spec 1.1).

Counterpart: runc 1.2's `setupScheduler` and `setupIOPriority` (libcontainer/init_linux.go); sched_setattr(2),
ioprio_set(2), sched(7). Planned and checked by the runtime, applied by the process to itself while it still has its
capabilities: a real-time policy, a lower nice value and IOPRIO_CLASS_RT need CAP_SYS_NICE. As with runc, a right that
is not there (in a user namespace, in a cgroup without real-time budget) is an error, and not given up silently.
"""

import struct

from runtime.oci import syscalls as sc
from runtime.oci.errors import ConfigError, reason

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

POLICIES = {
    "SCHED_OTHER": 0,
    "SCHED_FIFO": 1,
    "SCHED_RR": 2,
    "SCHED_BATCH": 3,
    "SCHED_ISO": 4,  # reserved: no kernel has it yet, and each refuses it
    "SCHED_IDLE": 5,
    "SCHED_DEADLINE": 6,
}
REAL_TIME = ("SCHED_FIFO", "SCHED_RR")
FLAGS = {
    "SCHED_FLAG_RESET_ON_FORK": 0x01,
    "SCHED_FLAG_RECLAIM": 0x02,
    "SCHED_FLAG_DL_OVERRUN": 0x04,
    "SCHED_FLAG_KEEP_POLICY": 0x08,
    "SCHED_FLAG_KEEP_PARAMS": 0x10,
    "SCHED_FLAG_UTIL_CLAMP_MIN": 0x20,
    "SCHED_FLAG_UTIL_CLAMP_MAX": 0x40,
}
IO_CLASSES = {"IOPRIO_CLASS_RT": 1, "IOPRIO_CLASS_BE": 2, "IOPRIO_CLASS_IDLE": 3}
IO_CLASS_SHIFT = 13
_SCHED_ATTR = struct.Struct("=IIQiIQQQII")
"""struct sched_attr: size, policy, flags, nice, priority, runtime, deadline, period, util_min, util_max."""
EPERM = 1


class Plan:
    """What is to be set; None for what stays as it is."""

    __slots__ = ("attributes", "io_priority")

    def __init__(self, attributes: bytes | None, io_priority: int | None) -> None:
        self.attributes = attributes
        self.io_priority = io_priority


def plan(process: "dict[str, Any]") -> Plan:
    """Check the words and numbers of both fields, and make them what the calls want."""
    scheduler, io_priority = process.get("scheduler"), process.get("ioPriority")
    return Plan(
        _attributes(scheduler) if scheduler is not None else None,
        _io_priority(io_priority) if io_priority is not None else None,
    )


def _check_word(field: str, word: str, known: dict[str, int]) -> None:
    if word not in known:
        raise ConfigError(field, f'"{word}" is not one of {", ".join(known)}')


def _attributes(scheduler: "dict[str, Any]") -> bytes:
    _check_word("process.scheduler.policy", scheduler["policy"], POLICIES)
    for index, name in enumerate(scheduler.get("flags", [])):
        _check_word(f"process.scheduler.flags[{index}]", name, FLAGS)
    policy, nice, priority = scheduler["policy"], scheduler.get("nice", 0), scheduler.get("priority", 0)
    if not -20 <= nice <= 19:
        raise ConfigError("process.scheduler.nice", f"{nice} is not between -20 and 19")
    if policy not in REAL_TIME and priority:
        raise ConfigError("process.scheduler.priority", f"is for {' and '.join(REAL_TIME)}, not for {policy}")
    if policy in REAL_TIME and not 1 <= priority <= 99:
        raise ConfigError("process.scheduler.priority", f"{priority} is not between 1 and 99, as {policy} needs it")
    times = [scheduler.get(name, 0) for name in ("runtime", "deadline", "period")]
    for name, time in zip(("runtime", "deadline", "period"), times, strict=True):
        if time and policy != "SCHED_DEADLINE":
            raise ConfigError(f"process.scheduler.{name}", f"is for SCHED_DEADLINE, not for {policy}")
        if not 0 <= time < 1 << 64:
            raise ConfigError(f"process.scheduler.{name}", f"{time} is no number of nanoseconds")
    flags = sum(FLAGS[name] for name in dict.fromkeys(scheduler.get("flags", [])))
    return _SCHED_ATTR.pack(_SCHED_ATTR.size, POLICIES[policy], flags, nice, priority, *times, 0, 0)


def _io_priority(io_priority: "dict[str, Any]") -> int:
    _check_word("process.ioPriority.class", io_priority["class"], IO_CLASSES)
    priority: int = io_priority["priority"]
    if not 0 <= priority <= 7:
        raise ConfigError("process.ioPriority.priority", f"{priority} is not between 0 and 7")
    return IO_CLASSES[io_priority["class"]] << IO_CLASS_SHIFT | priority


def apply(planned: Plan) -> None:
    """Set them for the calling process; what it forks and executes inherits both."""
    if planned.attributes is not None:
        try:
            sc.sched_setattr(0, planned.attributes, 0)
        except OSError as error:
            why = reason(error)
            if error.errno == EPERM:
                why += (
                    " (CAP_SYS_NICE; for SCHED_FIFO and SCHED_RR linux.resources.cpu.realtimeRuntime where cgroups "
                    "divide it; for SCHED_DEADLINE all CPUs, so no linux.resources.cpu.cpus)"
                )
            raise ConfigError("process.scheduler", f"sched_setattr: {why}") from None
    if planned.io_priority is not None:
        try:
            sc.ioprio_set(sc.IOPRIO_WHO_PROCESS, 0, planned.io_priority)
        except OSError as error:
            raise ConfigError("process.ioPriority", f"ioprio_set: {reason(error)}") from None
