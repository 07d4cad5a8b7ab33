"""What a container may take of the disks: `--blkio-weight`, `--blkio-weight-device`, `--device-read-bps` and its kin.

A weight shares a busy disk out, a limit caps it whether it is busy or not. The disk is named by its node, and the
kernel wants its numbers, so the node is looked up at every start: the same path may be another disk by then.
runtime-spec, config-linux.md, "Block IO"; moby: daemon/daemon_unix.go (getBlkioWeightDevices and its siblings).
"""

import os
from typing import Any, NamedTuple

from runtime.daemon.errors import InvalidParameterError, ServerError


class _Limit(NamedTuple):
    """One field of HostConfig."""

    spec_field: str
    """Its name under `linux.resources.blockIO`."""
    v1_file: str
    """The file of cgroup v1 that shows whether this kernel has it."""
    discarded: str
    """What the user is told where it has not, in dockerd's words."""


_MISSING = "or the cgroup is not mounted"
_FIELDS = {
    "BlkioWeight": _Limit(
        "weight", "blkio.weight", f"Your kernel does not support Block I/O weight {_MISSING}. Weight discarded."
    ),
    "BlkioWeightDevice": _Limit(
        "weightDevice",
        "blkio.weight_device",
        f"Your kernel does not support Block I/O weight_device {_MISSING}. Weight-device discarded.",
    ),
    "BlkioDeviceReadBps": _Limit(
        "throttleReadBpsDevice",
        "blkio.throttle.read_bps_device",
        f"Your kernel does not support BPS Block I/O read limit {_MISSING}. Block I/O BPS read limit discarded.",
    ),
    "BlkioDeviceWriteBps": _Limit(
        "throttleWriteBpsDevice",
        "blkio.throttle.write_bps_device",
        f"Your kernel does not support BPS Block I/O write limit {_MISSING}. Block I/O BPS write limit discarded.",
    ),
    "BlkioDeviceReadIOps": _Limit(
        "throttleReadIOPSDevice",
        "blkio.throttle.read_iops_device",
        f"Your kernel does not support IOPS Block read limit {_MISSING}. Block I/O IOPS read limit discarded.",
    ),
    "BlkioDeviceWriteIOps": _Limit(
        "throttleWriteIOPSDevice",
        "blkio.throttle.write_iops_device",
        f"Your kernel does not support IOPS Block write limit {_MISSING}. Block I/O IOPS write limit discarded.",
    ),
}
_DEVICE_LISTS = tuple(_FIELDS)[1:]
RATES = _DEVICE_LISTS[1:]
"""The fields that are lists of a device and a rate."""


def supported(cgroup_root: str) -> frozenset[str]:
    """The fields of HostConfig that this kernel can carry out (moby: pkg/sysinfo)."""
    try:
        with open(f"{cgroup_root}/cgroup.controllers", encoding="ascii") as file:
            return frozenset(_FIELDS) if "io" in file.read().split() else frozenset()
    except FileNotFoundError:
        return frozenset(
            field for field, limit in _FIELDS.items() if os.path.exists(f"{cgroup_root}/blkio/{limit.v1_file}")
        )


def discard_unsupported(host: dict[str, Any], supported_fields: frozenset[str]) -> list[str]:
    """Take out what this kernel does not have; returns what the user is to be told of it."""
    told = []
    for field, limit in _FIELDS.items():
        if host[field] and field not in supported_fields:
            host[field] = [] if field in _DEVICE_LISTS else 0
            told.append(limit.discarded)
    return told


def verify(host: dict[str, Any]) -> None:
    """Refuse what no host could do."""
    if host["BlkioWeight"] and not 10 <= host["BlkioWeight"] <= 1000:
        raise InvalidParameterError("Range of blkio weight is from 10 to 1000")


def build(host: dict[str, Any]) -> dict[str, Any]:
    """`linux.resources.blockIO`; ServerError for a path that cannot be looked up."""
    block_io: dict[str, Any] = {}
    if host["BlkioWeight"]:
        block_io["weight"] = host["BlkioWeight"]
    for field in _DEVICE_LISTS:
        value = "weight" if field == "BlkioWeightDevice" else "rate"
        entries = [_numbers(entry["Path"]) | {value: entry[value.capitalize()]} for entry in host[field]]
        if entries:
            block_io[_FIELDS[field].spec_field] = entries
    return block_io


def _numbers(path: str) -> dict[str, int]:
    try:
        device = os.stat(path).st_rdev
    except (OSError, ValueError) as error:  # ValueError: a NUL in it
        why = (error.strerror or "").lower() if isinstance(error, OSError) else "invalid argument"
        raise ServerError(f"stat {path}: {why}") from error
    return {"major": os.major(device), "minor": os.minor(device)}
