"""process.rlimits (setrlimit(2)), set from outside with prlimit."""

import resource

from runtime.oci.errors import ConfigError, reason

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

UNLIMITED = 1 << 64
MAX_SIGNED = 1 << 63


def plan(rlimits: "list[dict[str, Any]]") -> list[tuple[int, int, int]]:
    """(resource, soft, hard) for each; RLIM_INFINITY comes as the largest unsigned number in JSON."""
    planned = []
    seen: set[str] = set()
    for index, limit in enumerate(rlimits):
        field = f"process.rlimits[{index}]"
        name = limit["type"]
        number = getattr(resource, name, None) if name.startswith("RLIMIT_") else None
        if number is None:
            raise ConfigError(f"{field}.type", f'unknown resource limit "{name}"')
        if name in seen:
            raise ConfigError(f"{field}.type", f'"{name}" is listed twice')
        seen.add(name)
        if limit["soft"] > limit["hard"]:
            raise ConfigError(field, f"soft {limit['soft']} is above hard {limit['hard']}")
        planned.append((number, _python_limit(limit["soft"]), _python_limit(limit["hard"])))
    return planned


def _python_limit(value: int) -> int:
    return resource.RLIM_INFINITY if value >= MAX_SIGNED else value


def apply(pid: int, rlimits: "list[dict[str, Any]]") -> None:
    """Set the limits of another process."""
    for limit, (number, soft, hard) in zip(rlimits, plan(rlimits), strict=True):
        try:
            resource.prlimit(pid, number, (soft, hard))
        except (PermissionError, ValueError) as error:
            raise ConfigError(
                f"process.rlimits {limit['type']}", f"cannot set {limit['soft']}:{limit['hard']}: {reason(error)}"
            ) from None
