"""`linux.resources` of config.json: what the container's cgroup is told (moby: daemon/daemon_unix.go).

The words are the specification's, whichever cgroup version the runtime then writes them to. What was not asked for is
left out, so that the runtime writes no file for it.
"""

from typing import Any

from runtime.daemon import block_io, devices
from runtime.daemon.errors import InvalidParameterError

_DEFAULT_PERIOD_US = 100_000

_DEFAULT_RULES = [
    # Nothing is allowed, then the nodes that every container has (runtime-spec, config-linux.md, Default Devices).
    {"allow": False, "access": "rwm"},
    {"allow": True, "type": "c", "major": 1, "minor": 5, "access": "rwm"},  # zero
    {"allow": True, "type": "c", "major": 1, "minor": 3, "access": "rwm"},  # null
    {"allow": True, "type": "c", "major": 1, "minor": 9, "access": "rwm"},  # urandom
    {"allow": True, "type": "c", "major": 1, "minor": 8, "access": "rwm"},  # random
    {"allow": True, "type": "c", "major": 5, "minor": 0, "access": "rwm"},  # tty
    {"allow": True, "type": "c", "major": 5, "minor": 1, "access": "rwm"},  # console
    {"allow": False, "type": "c", "major": 10, "minor": 229, "access": "rwm"},  # fuse
]


def build(host: dict[str, Any], rootless: bool, given: list[tuple[dict[str, Any], str]]) -> dict[str, Any]:
    """The limits of a container; `given` are its devices, see `devices.given`."""
    resources: dict[str, Any] = {
        "memory": _present(
            # A negative one is no limit: dockerd passes on those above 0.
            limit=max(host["Memory"], 0),
            swap=max(host["MemorySwap"], 0),
            reservation=max(host["MemoryReservation"], 0),
            kernel=host["KernelMemory"],
            swappiness=host["MemorySwappiness"],
            disableOOMKiller=host["OomKillDisable"],
        ),
        "cpu": _cpu(host),
        "pids": {"limit": host["PidsLimit"]} if (host["PidsLimit"] or 0) > 0 else {},
        "blockIO": block_io.build(host),
    }
    if not rootless:  # a device rule is a privilege of the host's root
        resources["devices"] = _device_rules(host, given)
    return {key: value for key, value in resources.items() if value}


def _cpu(host: dict[str, Any]) -> dict[str, Any]:
    period, quota = host["CpuPeriod"], host["CpuQuota"]
    if host["NanoCpus"]:
        # --cpus 0.5 is half of every period.
        period, quota = _DEFAULT_PERIOD_US, host["NanoCpus"] * _DEFAULT_PERIOD_US // 10**9
    return _present(
        shares=host["CpuShares"],
        period=period,
        quota=quota,
        realtimePeriod=host["CpuRealtimePeriod"],
        realtimeRuntime=host["CpuRealtimeRuntime"],
        cpus=host["CpusetCpus"],
        mems=host["CpusetMems"],
    )


def _device_rules(host: dict[str, Any], given: list[tuple[dict[str, Any], str]]) -> list[dict[str, Any]]:
    if host["Privileged"]:
        return [{"allow": True, "access": "rwm"}]
    rules = [devices.cgroup_rule(node, access) for node, access in given]
    return [*_DEFAULT_RULES, *rules, *(_written_rule(text) for text in host["DeviceCgroupRules"] or [])]


def _written_rule(text: str) -> dict[str, Any]:
    """`--device-cgroup-rule 'c 10:200 rwm'`."""
    words = text.split()
    numbers = words[1].split(":") if len(words) == 3 else []
    if len(numbers) != 2 or words[0] not in ("a", "b", "c") or not all(n == "*" or n.isdigit() for n in numbers):
        raise InvalidParameterError(f"invalid device cgroup rule format: '{text}'")
    major, minor = (-1 if number == "*" else int(number) for number in numbers)
    return {"allow": True, "type": words[0], "major": major, "minor": minor, "access": words[2]}


def _present(**values: Any) -> dict[str, Any]:
    """The values that were asked for."""
    return {key: value for key, value in values.items() if value not in (None, 0, "", False)}
