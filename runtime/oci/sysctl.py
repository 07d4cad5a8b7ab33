"""linux.sysctl: kernel parameters of the container's own namespaces (sysctl(8), proc(5)).

Only parameters that belong to a namespace the container has for itself are taken; any other would change the host.
"""

import os

from runtime.oci import namespaces
from runtime.oci.errors import ConfigError, OCIError, reason

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

IPC_NAMES = frozenset(
    f"kernel.{name}" for name in ("msgmax", "msgmnb", "msgmni", "sem", "shmall", "shmmax", "shmmni", "shm_rmid_forced")
)
UTS_NAMES = frozenset(("kernel.domainname", "kernel.hostname"))


def owner(name: str) -> str:
    """The namespace that a parameter belongs to, "" for the host."""
    if name in IPC_NAMES or name.startswith("fs.mqueue."):
        return "ipc"
    if name.startswith("net."):
        return "network"
    if name in UTS_NAMES:
        return "uts"
    return ""


def check(parameters: dict[str, str], plan: namespaces.Plan) -> None:
    """Refuse parameters that are not the container's own."""
    for written in parameters:
        field = f"linux.sysctl.{written}"
        name = dotted(written)
        if ".." in name or not owner(name):
            raise ConfigError(field, "is not in a namespace of its own: it would change the host")
        if not plan.has(owner(name)):
            raise ConfigError(field, f"needs a {owner(name)} namespace (linux.namespaces)")


def dotted(name: str) -> str:
    """sysctl(8) takes net/ipv4/ip_forward too; a dot in an interface's name is then a real dot."""
    return name.replace("/", ".") if "/" in name.split(".")[0] else name


def path(name: str) -> str:
    """The file below /proc/sys."""
    return "/proc/sys/" + (name if "/" in name else name.replace(".", "/"))


def write(parameters: dict[str, str], plan: namespaces.Plan, warn: "Callable[[str], None] | None") -> None:
    """Write them, in the order of the file; with warn, one that is not permitted is named and left."""
    check(parameters, plan)
    for name, value in parameters.items():
        try:
            _write_file(path(name), value)
        except OSError as error:
            if warn is None:
                raise OCIError(f"linux.sysctl.{name}: cannot set {value!r}: {reason(error)}") from None
            warn(f"linux.sysctl.{name}: {value!r} given up: {reason(error)}")


def _write_file(name: str, value: str) -> None:
    fd = os.open(name, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(fd, value.encode())
    finally:
        os.close(fd)
