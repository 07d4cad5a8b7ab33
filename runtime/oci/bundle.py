"""A bundle: a directory with config.json and a root file system (runtime-spec, bundle.md and config.md).

Read and checked whole before anything is made, so that a wrong file leaves nothing behind. Beyond the shape
(schema.py) these are the rules that tie fields together. What this runtime does not do is refused by field name rather
than ignored, where ignoring it would leave a container less confined than its author thinks.
"""

import os

from runtime.oci import namespaces, plain_json, scheduling, schema
from runtime.oci.errors import ConfigError, OCIError
from runtime.oci.version import SPEC_VERSION, is_spoken

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


MAX_ID = (1 << 31) - 1
"""The largest user and group id that runc takes, too."""


def load(directory: str) -> "dict[str, Any]":
    """Read and check the config.json of a bundle."""
    path = os.path.join(directory, "config.json")
    try:
        with open(path, "rb") as file:
            config = plain_json.loads(file.read())
    except FileNotFoundError:
        raise OCIError(f"JSON specification file {path} not found") from None
    except (ValueError, RecursionError) as error:
        raise OCIError(f"{path}: not valid JSON: {error}") from None
    return check(config, directory)


def check(config: "Any", directory: str) -> "dict[str, Any]":
    """Check a decoded config.json; return it without nulls and with root.path made absolute."""
    schema.check(config, schema.CONFIG)
    config = schema.without_nulls(config)
    version = config["ociVersion"]
    if not is_spoken(version):
        raise ConfigError("ociVersion", f'"{version}" is not supported: this runtime speaks 1.0.0 to {SPEC_VERSION}')
    if "process" not in config:
        # the spec lets create do without and start insist: one clear sentence now is kinder
        raise ConfigError("process", "is required")
    check_process(config["process"])
    _check_root(config["root"], directory)
    _check_linux(config)
    for name, hooks in config.get("hooks", {}).items():
        for index, hook in enumerate(hooks if name in schema.HOOK_NAMES else []):
            if hook.get("timeout", 1) <= 0:
                raise ConfigError(f"hooks.{name}[{index}].timeout", f"{hook['timeout']} must be greater than zero")
    for index, mount in enumerate(config.get("mounts", [])):
        if "\0" in mount["destination"] or not mount["destination"]:
            raise ConfigError(f"mounts[{index}].destination", "must be a path")
        for field in ("uidMappings", "gidMappings"):
            if mount.get(field):
                raise ConfigError(f"mounts[{index}].{field}", "id-mapped mounts are not supported by this runtime")
    checked: dict[str, Any] = config
    return checked


def load_process(path: str) -> "dict[str, Any]":
    """Read the process object that `exec --process FILE` is given."""
    try:
        with open(path, "rb") as file:
            process = plain_json.loads(file.read())
    except ValueError as error:
        raise OCIError(f"{path}: not valid JSON: {error}") from None
    schema.check(process, schema.PROCESS, "process")
    process = schema.without_nulls(process)
    check_process(process)
    checked: dict[str, Any] = process
    return checked


def check_process(process: "dict[str, Any]") -> None:
    """The rules of the process object that are not about types."""
    if not process["args"]:
        raise ConfigError("process.args", "must not be empty")
    if not process["cwd"].startswith("/"):
        raise ConfigError("process.cwd", f'"{process["cwd"]}" must be absolute')
    for index, variable in enumerate(process.get("env", [])):
        if "=" not in variable or variable.startswith("="):
            raise ConfigError(f"process.env[{index}]", f'"{variable}" is not NAME=VALUE')
    scheduling.plan(process)
    if process.get("execCPUAffinity"):
        raise ConfigError("process.execCPUAffinity", "is not supported by this runtime")
    _check_ids(process.get("user", {}))
    if any("\0" in word for word in (*process["args"], *process.get("env", []), process["cwd"])):
        raise ConfigError("process", "args, env and cwd must not contain a NUL character")


def _check_ids(user: "dict[str, Any]") -> None:
    """-1, also written as 2**32 - 1, means "leave as it is" to setresuid(2): the process would stay root."""
    ids: list[tuple[str, int]] = [(name, user[name]) for name in ("uid", "gid") if name in user]
    ids += [(f"additionalGids[{index}]", gid) for index, gid in enumerate(user.get("additionalGids", []))]
    for name, number in ids:
        if not 0 <= number <= MAX_ID:
            raise ConfigError(f"process.user.{name}", f"{number} is not in range 0 to {MAX_ID}")


def _check_root(root: "dict[str, Any]", directory: str) -> None:
    root["path"] = os.path.realpath(os.path.join(directory, root["path"]))
    if not os.path.isdir(root["path"]):
        raise ConfigError("root.path", f'"{root["path"]}" is not a directory')
    if root["path"] == "/":
        raise ConfigError("root.path", "must not be the host's /")


def _check_linux(config: "dict[str, Any]") -> None:
    linux = config.get("linux", {})
    plan = namespaces.plan(config)
    needs = (
        ("hostname", "uts", bool(config.get("hostname"))),
        ("domainname", "uts", bool(config.get("domainname"))),
        ("linux.timeOffsets", "time", bool(linux.get("timeOffsets"))),
        ("linux.maskedPaths", "mount", bool(linux.get("maskedPaths"))),
        ("linux.readonlyPaths", "mount", bool(linux.get("readonlyPaths"))),
        ("linux.uidMappings", "user", bool(linux.get("uidMappings"))),
    )
    for field, kind, given in needs:
        if given and not plan.has(kind):
            raise ConfigError(field, f"needs a {kind} namespace (linux.namespaces)")
    if not plan.has("mount"):
        raise ConfigError(
            "linux.namespaces", "a mount namespace is required: without one the host's mounts would change"
        )
    if "user" in plan.make and not (linux.get("uidMappings") and linux.get("gidMappings")):
        raise ConfigError("linux.uidMappings", "a new user namespace needs uidMappings and gidMappings")
    if linux.get("cgroupsPath", "").count(":") == 2:
        raise ConfigError("linux.cgroupsPath", "slice:prefix:name is systemd's form, which is not supported")
    for unsupported in ("intelRdt", "memoryPolicy", "mountLabel", "netDevices"):
        if linux.get(unsupported):
            raise ConfigError(f"linux.{unsupported}", "is not supported by this runtime")
    if linux.get("personality", {}).get("flags"):
        raise ConfigError("linux.personality.flags", "are not supported by this runtime")
