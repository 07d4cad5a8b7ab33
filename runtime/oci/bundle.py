"""A bundle: a directory with config.json and a root file system (runtime-spec, bundle.md and config.md).

Read and checked whole before anything is made, so that a wrong file leaves nothing behind. Beyond the shape
(schema.py) these are the rules that tie fields together. What this runtime does not do is refused by field name rather
than ignored, where ignoring it would leave a container less confined than its author thinks.
"""

import os

from runtime.oci import namespaces, plain_json, process_object, schema
from runtime.oci.errors import ConfigError, OCIError
from runtime.oci.version import is_spoken

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


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
        raise ConfigError("ociVersion", f'"{version}" is not supported: this runtime speaks 1.0.0 and later 1.x')
    if "process" not in config:
        # the spec lets create do without and start insist: one clear sentence now is kinder
        raise ConfigError("process", "is required")
    process_object.check(config["process"])
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
