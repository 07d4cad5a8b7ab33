"""`update`: change the resource limits of a container that exists."""

import json
import os
import sys

from runtime.oci import schema, state
from runtime.oci.cgroups.group import Group
from runtime.oci.commands import arguments
from runtime.oci.errors import OCIError, UsageError
from runtime.oci.flags import Arguments, Flag

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

ABOUT = "Change resource limits. They are written to the container's cgroup and kept in its configuration."

NUMBERS = {
    "blkio-weight": ("blockIO", "weight"),
    "cpu-period": ("cpu", "period"),
    "cpu-quota": ("cpu", "quota"),
    "cpu-burst": ("cpu", "burst"),
    "cpu-share": ("cpu", "shares"),
    "cpu-rt-period": ("cpu", "realtimePeriod"),
    "cpu-rt-runtime": ("cpu", "realtimeRuntime"),
    "cpu-idle": ("cpu", "idle"),
    "memory": ("memory", "limit"),
    "memory-reservation": ("memory", "reservation"),
    "memory-swap": ("memory", "swap"),
    "pids-limit": ("pids", "limit"),
}
TEXTS = {"cpuset-cpus": ("cpu", "cpus"), "cpuset-mems": ("cpu", "mems")}
FLAGS = (
    Flag("--resources -r", "FILE", "linux.resources as JSON, - for stdin; the other flags are not read then"),
    *(Flag(f"--{name}", "N", f"linux.resources.{'.'.join(path)}") for name, path in NUMBERS.items()),
    *(Flag(f"--{name}", "LIST", f"linux.resources.{'.'.join(path)}") for name, path in TEXTS.items()),
)


@arguments.verb("update", ABOUT, FLAGS, "CONTAINER-ID")
def main(root: str, found: Arguments) -> int:
    container = state.load(root, found.positionals[0])
    if container.status() == "stopped":
        raise OCIError("container not running")
    resources = _from_file(found.value("resources")) if found.value("resources") else _from_flags(found)
    # devices are for create: a caller that sends its whole structure again does not mean to change them
    resources.pop("devices", None)
    Group(container.cgroup_paths).limit(resources)
    config = container.config()
    kept = config.setdefault("linux", {}).setdefault("resources", {})
    for section, values in resources.items():
        if isinstance(values, dict):
            kept.setdefault(section, {}).update(values)
        else:
            kept[section] = values
    state.write_atomically(os.path.join(container.directory, state.CONFIG_FILE), config)
    return 0


def _from_file(path: str) -> "dict[str, Any]":
    try:
        if path == "-":
            content = json.load(sys.stdin)
        else:
            with open(path, "rb") as file:
                content = json.load(file)
    except ValueError as error:
        raise OCIError(f"--resources {path}: not valid JSON: {error}") from None
    schema.check(content, schema.RESOURCES, "linux.resources")
    checked: dict[str, Any] = schema.without_nulls(content)
    return checked


def _from_flags(found: Arguments) -> "dict[str, Any]":
    resources: dict[str, Any] = {}
    for name, (section, field) in NUMBERS.items():
        text = found.value(name)
        if text:
            resources.setdefault(section, {})[field] = parse_amount(text, name)
    for name, (section, field) in TEXTS.items():
        if found.value(name):
            resources.setdefault(section, {})[field] = found.value(name)
    if not resources:
        raise UsageError("update: nothing to change (see update --help)")
    return resources


def parse_amount(text: str, flag: str) -> int:
    """A number, with k, m or g for the powers of 1024."""
    factor = {"k": 1 << 10, "m": 1 << 20, "g": 1 << 30}.get(text[-1:].lower(), 1)
    digits = text[:-1] if factor > 1 else text
    try:
        return int(digits) * factor
    except ValueError:
        raise UsageError(f'--{flag}: "{text}" is not a number') from None
