"""HostConfig as it was sent, made complete and checked (moby: runconfig, daemon/daemon_unix.go).

What the client left out gets dockerd's default, so that `docker inspect` shows every field and the rest of the daemon
never asks whether one is there. What cannot be meant is refused here, in dockerd's words, before anything is made.
"""

import os
from typing import Any

from runtime.daemon import block_io, capabilities, cpusets, log_options
from runtime.daemon.errors import InvalidParameterError, NotModeledError
from runtime.daemon.json_types import INT, INT64, UINT, UINT16, UINT64, check_types

MASKED_PATHS = (
    "/proc/asound /proc/acpi /proc/kcore /proc/keys /proc/latency_stats /proc/timer_list /proc/timer_stats  "
    "/proc/sched_debug /proc/scsi /sys/firmware"
).split()
READONLY_PATHS = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"]

MINIMUM_MEMORY_BYTES = 6 * 1024 * 1024
DEFAULT_SHM_BYTES = 64 * 1024 * 1024

_NULL = (
    "Binds VolumesFrom CapAdd CapDrop ExtraHosts GroupAdd Links SecurityOpt DeviceCgroupRules DeviceRequests  PidsLimit"
).split()
_EMPTY_LIST = (*"Dns DnsOptions DnsSearch Devices Ulimits BlkioWeightDevice".split(), *block_io.RATES)
_EMPTY_TEXT = (
    "ContainerIDFile VolumeDriver Cgroup PidMode UTSMode UsernsMode Isolation CgroupParent CpusetCpus CpusetMems"
).split()
_ZERO = (
    "OomScoreAdj CpuShares Memory NanoCpus BlkioWeight CpuPeriod CpuQuota CpuRealtimePeriod CpuRealtimeRuntime  "
    "KernelMemory KernelMemoryTCP MemoryReservation MemorySwap CpuCount CpuPercent IOMaximumIOps  "
    "IOMaximumBandwidth"
).split()
_FALSE = ["AutoRemove", "Privileged", "PublishAllPorts", "ReadonlyRootfs", "OomKillDisable"]

_UNSAID: dict[str, dict[str, Any]] = {
    "Ulimits": {"Name": "", "Hard": 0, "Soft": 0},
    "Devices": {"PathOnHost": "", "PathInContainer": "", "CgroupPermissions": ""},
    "BlkioWeightDevice": {"Path": "", "Weight": 0},
    **{key: {"Path": "", "Rate": 0} for key in block_io.RATES},
}
"""What the fields of a list's items are until they are said."""

NOT_MODELED = {
    "StorageOpt": "--storage-opt",
}
"""Flags that would do nothing, refused instead of passed over. FIDELITY.md is made from this."""

_TYPES: dict[str, Any] = (
    {key: [str] for key in (*_NULL[:-1], "Dns", "DnsOptions", "DnsSearch")}
    | {
        **dict.fromkeys(("CapAdd", "CapDrop"), ([str], str)),
        "DeviceRequests": [{"Driver": str, "Count": INT, "DeviceIDs": [str], "Capabilities": [[str]]}],
        "Devices": [dict.fromkeys(("PathOnHost", "PathInContainer", "CgroupPermissions"), str)],
        "Ulimits": [{"Name": str, "Soft": INT64, "Hard": INT64}],
        "BlkioWeightDevice": [{"Path": str, "Weight": UINT16}],
    }
    | {key: [{"Path": str, "Rate": UINT64}] for key in block_io.RATES}
    | dict.fromkeys((*_EMPTY_TEXT, "NetworkMode", "IpcMode", "CgroupnsMode", "Runtime"), str)
    | dict.fromkeys((*_ZERO, "PidsLimit", "ShmSize", "MemorySwappiness"), INT64)
    | {"OomScoreAdj": INT, "BlkioWeight": UINT16, "IOMaximumIOps": UINT64, "IOMaximumBandwidth": UINT64}
    | dict.fromkeys((*_FALSE, "Init"), bool)
    | {
        "PortBindings": {str: (type(None), [{"HostIp": str, "HostPort": str}])},
        "Tmpfs": {str: str},
        "Sysctls": {str: str},
        "LogConfig": {"Type": str, "Config": {str: str}},
        "RestartPolicy": {"Name": str, "MaximumRetryCount": INT},
        "Annotations": {str: str},
        "Mounts": [
            dict.fromkeys(("Type", "Source", "Target", "Consistency"), str)
            | {
                "ReadOnly": bool,
                "BindOptions": {"Propagation": str, "NonRecursive": bool},
                "VolumeOptions": {
                    "NoCopy": bool,
                    "Labels": {str: str},
                    "DriverConfig": {"Name": str, "Options": {str: str}},
                },
                "TmpfsOptions": {"SizeBytes": INT64, "Mode": UINT},
            }
        ],
        "ConsoleSize": [UINT],
    }
)


def complete(sent: dict[str, Any], default_runtime: str, cgroup_v2: bool) -> dict[str, Any]:
    """Every field of HostConfig, from the client or by default."""
    check_types("HostConfig.HostConfig", sent, _TYPES)
    full: dict[str, Any] = {
        **dict.fromkeys(_NULL),
        **{key: [] for key in _EMPTY_LIST},
        **dict.fromkeys(_EMPTY_TEXT, ""),
        **dict.fromkeys(_ZERO, 0),
        **dict.fromkeys(_FALSE, False),
        "NetworkMode": "default",
        "PortBindings": {},
        "LogConfig": {"Type": "json-file", "Config": {}},
        "RestartPolicy": {"Name": "no", "MaximumRetryCount": 0},
        "CgroupnsMode": "private" if cgroup_v2 else "host",
        "IpcMode": "private",
        "ShmSize": DEFAULT_SHM_BYTES,
        "Runtime": default_runtime,
        "ConsoleSize": [0, 0],
        "MemorySwappiness": None,
    }
    # Empty and null mean "not said" for all of these; false and 0 are their own defaults.
    full.update({key: value for key, value in sent.items() if value not in (None, "", [], {})})
    for key in ("CapAdd", "CapDrop"):
        if isinstance(full[key], str):
            full[key] = [full[key]]
    full["ShmSize"] = full["ShmSize"] or DEFAULT_SHM_BYTES  # the one number whose 0, which the CLI sends, is not meant
    if full["MemorySwappiness"] == -1:
        full["MemorySwappiness"] = None
    full["LogConfig"] = {
        "Type": full["LogConfig"].get("Type") or "json-file",
        "Config": full["LogConfig"].get("Config") or {},
    }
    full["RestartPolicy"] = {
        "Name": full["RestartPolicy"].get("Name") or "",
        "MaximumRetryCount": full["RestartPolicy"].get("MaximumRetryCount") or 0,
    }
    for key, unsaid in _UNSAID.items():
        full[key] = [unsaid | {name: value for name, value in one.items() if value is not None} for one in full[key]]
    if full["Memory"] > 0 and full["MemorySwap"] == 0:
        full["MemorySwap"] = 2 * full["Memory"]  # docker: as much swap again as there is memory
    for key, paths in (("MaskedPaths", MASKED_PATHS), ("ReadonlyPaths", READONLY_PATHS)):
        # Here an empty list is meant: it is what the CLI sends for `--security-opt systempaths=unconfined`.
        said = sent.get(key) if sent.get(key) is not None else list(paths)
        full[key] = None if full["Privileged"] else said
    if (full["PidsLimit"] or 0) <= 0:
        full["PidsLimit"] = None
    return full


def discard_unsupported(host: dict[str, Any], supported: frozenset[str]) -> list[str]:
    """Take out, or refuse, what this kernel does not have; returns what the user is to be told of it."""
    told = block_io.discard_unsupported(host, supported)
    if host["KernelMemory"] and "KernelMemory" not in supported:
        host["KernelMemory"] = 0
        told.append(
            "Your kernel does not support kernel memory limit capabilities or the cgroup is not mounted. "
            "Limitation discarded."
        )
    elif host["KernelMemory"]:
        told.append("Specifying a kernel memory limit is deprecated and will be removed in a future release.")
    if any(host[field] and field not in supported for field in ("CpuRealtimePeriod", "CpuRealtimeRuntime")):
        raise InvalidParameterError("kernel does not support CPU real-time scheduler")
    return told


def verify(host: dict[str, Any], runtimes: dict[str, str]) -> None:
    """Refuse what no host could do, in dockerd's words."""
    _verify_memory(host)
    _verify_cpu(host)
    if host["Runtime"] not in runtimes:
        raise InvalidParameterError(f"Unknown runtime specified {host['Runtime']}")
    if host["Isolation"].lower() not in ("", "default"):
        raise InvalidParameterError(f"Invalid isolation: \"{host['Isolation']}\" - linux only supports 'default'")
    if not -1000 <= host["OomScoreAdj"] <= 1000:
        raise InvalidParameterError(f"Invalid value {host['OomScoreAdj']}, range for oom score adj is [-1000, 1000]")
    if host["ShmSize"] < 0:
        raise InvalidParameterError("SHM size can not be less than 0")
    block_io.verify(host)
    for field, flag in NOT_MODELED.items():
        if host.get(field):
            raise NotModeledError(f"{flag}: not modelled by the glassbottom daemon")
    log_options.verify(host["LogConfig"])
    policy = host["RestartPolicy"].get("Name") or "no"
    if policy not in ("no", "always", "on-failure", "unless-stopped"):
        raise InvalidParameterError(f"invalid restart policy '{policy}'")
    if policy != "on-failure" and host["RestartPolicy"]["MaximumRetryCount"]:
        raise InvalidParameterError(f"maximum retry count cannot be used with restart policy '{policy}'")
    if host["AutoRemove"] and policy != "no":
        raise InvalidParameterError("can't create 'AutoRemove' container with restart policy")
    for key in ("PidMode", "UTSMode", "UsernsMode", "CgroupnsMode"):
        _verify_mode(key, host[key])
    capabilities.resolve(host["CapAdd"] or [], host["CapDrop"] or [], host["Privileged"])


def _verify_mode(key: str, mode: str) -> None:
    word = mode.partition(":")[0]
    allowed = {
        "PidMode": ("", "host", "container"),
        "UTSMode": ("", "host"),
        "UsernsMode": ("", "host"),
        "CgroupnsMode": ("", "host", "private"),
    }[key]
    if word not in allowed:
        name = {"PidMode": "PID mode", "UTSMode": "UTS mode"}.get(key, key)
        raise InvalidParameterError(f"invalid {name}: {mode}")


def _verify_memory(host: dict[str, Any]) -> None:
    memory, swap, reservation = host["Memory"], host["MemorySwap"], host["MemoryReservation"]
    if 0 < memory < MINIMUM_MEMORY_BYTES or memory < 0:
        raise InvalidParameterError("Minimum memory limit allowed is 6MB")
    if memory == 0 and swap > 0:
        raise InvalidParameterError("You should always set the Memory limit when using Memoryswap limit, see usage")
    if 0 < swap < memory:
        raise InvalidParameterError("Minimum memoryswap limit should be larger than memory limit, see usage")
    if memory and reservation > memory:
        raise InvalidParameterError("Minimum memory limit can not be less than memory reservation limit, see usage")
    if 0 < reservation < MINIMUM_MEMORY_BYTES:
        raise InvalidParameterError("Minimum memory reservation allowed is 6MB")
    if 0 < host["KernelMemory"] < MINIMUM_MEMORY_BYTES:
        raise InvalidParameterError("Minimum kernel memory limit allowed is 6MB")
    swappiness = host["MemorySwappiness"]
    if swappiness is not None and not 0 <= swappiness <= 100:
        raise InvalidParameterError(f"Invalid value: {swappiness}, valid memory swappiness range is 0-100")


def _verify_cpu(host: dict[str, Any]) -> None:
    cpus = os.cpu_count() or 1
    nano = host["NanoCpus"]
    if nano and (host["CpuPeriod"] or host["CpuQuota"]):
        which = "Period" if host["CpuPeriod"] else "Quota"
        raise InvalidParameterError(f"Conflicting options: Nano CPUs and CPU {which} cannot both be set.")
    if nano and not 10_000_000 <= nano <= cpus * 10**9:
        raise InvalidParameterError(f"Range of CPUs is from 0.01 to {cpus}.00, as there are only {cpus} CPUs available")
    if host["CpuPeriod"] and not 1000 <= host["CpuPeriod"] <= 1_000_000:
        raise InvalidParameterError(
            "CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)"
        )
    if 0 < host["CpuQuota"] < 1000:
        raise InvalidParameterError("CPU cfs quota can not be less than 1ms (i.e. 1000)")
    if 0 < host["CpuRealtimePeriod"] < host["CpuRealtimeRuntime"]:
        raise InvalidParameterError("cpu real-time runtime cannot be higher than cpu real-time period")
    cpusets.verify(host)
