"""`--security-opt` (moby: daemon_unix.go parseSecurityOpt, oci_linux.go WithApparmor).

    no-new-privileges[=BOOL]      execve gives nothing more: no set-user-ID, no file capabilities
    seccomp=PROFILE|unconfined    -> seccomp.py; the CLI has read the file already
    apparmor=PROFILE|unconfined   passed on to the runtime where the kernel has AppArmor, as dockerd does
    label=...                     SELinux: read and left alone, as by a dockerd without --selinux-enabled

`systempaths=unconfined` never comes this far: the CLI sends empty lists of paths to hide instead. What is left out is
the profile docker-default, which dockerd loads into a kernel with AppArmor for everybody who asks for none.
"""

from typing import Any

from runtime.daemon import seccomp
from runtime.daemon.errors import InvalidParameterError
from runtime.daemon.go_words import parse_bool, quoted


def words(host: dict[str, Any], strict: bool = False) -> dict[str, str]:
    """What was asked for, by key: {"no-new-privileges": "", "seccomp": "unconfined"}.

    Args:
        host: HostConfig.
        strict: refuse what is not understood, as at create. A record of an older daemon may hold such words.

    """
    found = {}
    for option in host["SecurityOpt"] or []:
        key, separator, value = option.partition("=" if "=" in option else ":")
        if option in ("no-new-privileges", "disable"):
            found[option] = ""
        elif not separator and strict:
            raise InvalidParameterError(f"invalid --security-opt 1: {quoted(option)}")
        elif key == "no-new-privileges" and (yes := parse_bool(value)) is not None:
            found.pop(key, None)
            if yes:
                found[key] = ""
        elif key in ("seccomp", "apparmor", "label"):
            found[key] = value
        elif strict:
            raise InvalidParameterError(f"invalid --security-opt 2: {quoted(option)}")
    return found


def has_apparmor() -> bool:
    """Whether the kernel confines by AppArmor."""
    try:
        with open("/sys/module/apparmor/parameters/enabled", encoding="ascii") as file:
            return file.read(1) == "Y"
    except FileNotFoundError:
        return False


def apparmor_profile(host: dict[str, Any], apparmor: bool) -> str:
    """The profile to ask the runtime for; empty where there is none, or no AppArmor."""
    if not apparmor:
        return ""
    return words(host).get("apparmor") or ("unconfined" if host["Privileged"] else "")


def confine(process: dict[str, Any], host: dict[str, Any], profile: str) -> None:
    """Write down what every process of a container is held to, those of `docker exec` too."""
    if "no-new-privileges" in words(host):
        process["noNewPrivileges"] = True
    if profile:
        process["apparmorProfile"] = profile


def seccomp_profile(host: dict[str, Any], kept: list[str]) -> dict[str, Any] | None:
    """`linux.seccomp` for a process with these capabilities; None: no filter."""
    asked = words(host).get("seccomp", "")
    if asked == "unconfined" or (host["Privileged"] and not asked):
        return None
    return seccomp.custom_profile(asked, kept) if asked and asked != "builtin" else seccomp.default_profile(kept)
