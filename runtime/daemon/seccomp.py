"""The seccomp profile of a container: docker's default for its capabilities, a file, or none (moby: profiles/seccomp).

`seccomp_default.json` is the default profile as data: a list of calls that are always allowed, and groups that come
with a capability. It was derived from what a real dockerd wrote into config.json, once for each capability.
"""

import functools
import json
import os
from typing import Any

from runtime.daemon.errors import InvalidParameterError

_DATA = os.path.join(os.path.dirname(__file__), "seccomp_default.json")

_ARCHITECTURES = {
    "x86_64": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"],
    "aarch64": ["SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM"],
}


def default_profile(capabilities: list[str]) -> dict[str, Any]:
    """Docker's default profile as `linux.seccomp` for a process that has these capabilities in its bounding set."""
    data = _data()
    allowed = set(data["always"])
    for capability in capabilities:
        allowed.update(data["by_capability"].get(capability, ()))
    syscalls: list[dict[str, Any]] = [{"names": sorted(allowed), "action": "SCMP_ACT_ALLOW"}]
    syscalls += data["with_arguments"]
    if "CAP_SYS_ADMIN" not in capabilities:
        syscalls += data["without_CAP_SYS_ADMIN"]
    profile = {"defaultAction": data["defaultAction"], "syscalls": syscalls}
    if architectures := _ARCHITECTURES.get(os.uname().machine):
        profile["architectures"] = architectures
    return profile


@functools.cache
def _data() -> dict[str, Any]:
    with open(_DATA, encoding="utf-8") as file:
        document: dict[str, Any] = json.load(file)
    return document


def custom_profile(text: str, capabilities: list[str]) -> dict[str, Any] | None:
    """A profile in docker's own format (the CLI sends the file's content) as `linux.seccomp`; `{}` is no filter."""
    try:
        document = json.loads(text)
        if not document.get("defaultAction") and not document.get("syscalls"):
            return None
        syscalls = [_rule(rule) for rule in document.get("syscalls") or [] if _applies(rule, capabilities)]
        profile = {"defaultAction": document["defaultAction"], "syscalls": syscalls}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InvalidParameterError(f"Decoding seccomp profile failed: {error}") from error
    for key in ("defaultErrnoRet", "architectures", "flags", "listenerPath"):
        if document.get(key):
            profile[key] = document[key]
    if "architectures" not in profile and (architectures := _ARCHITECTURES.get(os.uname().machine)):
        profile["architectures"] = architectures
    return profile


def _applies(rule: dict[str, Any], capabilities: list[str]) -> bool:
    includes, excludes = rule.get("includes") or {}, rule.get("excludes") or {}
    machine = {"x86_64": "amd64", "aarch64": "arm64"}.get(os.uname().machine, os.uname().machine)
    if any(capability not in capabilities for capability in includes.get("caps") or []):
        return False
    if includes.get("arches") and machine not in includes["arches"]:
        return False
    if any(capability in capabilities for capability in excludes.get("caps") or []):
        return False
    return machine not in (excludes.get("arches") or [])


def _rule(rule: dict[str, Any]) -> dict[str, Any]:
    names = rule.get("names") or [rule["name"]]
    kept = {"names": names, "action": rule["action"]}
    for key in ("args", "errnoRet"):
        if rule.get(key):
            kept[key] = rule[key]
    return kept
