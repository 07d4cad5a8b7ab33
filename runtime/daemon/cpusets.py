"""`--cpuset-cpus` and `--cpuset-mems`: lists like `0-2,5` (cpuset(7); moby: pkg/parsers, pkg/sysinfo)."""

import os
import re
from typing import Any

from runtime.daemon.errors import InvalidParameterError

_HIGHEST = 8192
"""As many processors as Linux usually knows at most: what dockerd reads a list up to."""
_FIELDS = (("CpusetCpus", "cpus", "CPUs"), ("CpusetMems", "mems", "memory nodes"))


def verify(host: dict[str, Any]) -> None:
    """Refuse lists that are none, and what this host does not have."""
    for field, file, what in _FIELDS:
        asked, available = host[field], _available(file)
        if not asked:
            continue
        try:
            missing = parse(asked) - parse(available or asked)
        except ValueError as error:
            raise InvalidParameterError(f"Invalid value {asked} for cpuset {file}: {error}") from error
        if missing:
            raise InvalidParameterError(
                f"Requested {what} are not available - requested {asked}, available: {available}"
            )


def parse(text: str) -> set[int]:
    """The numbers of a list. Raises ValueError."""
    found: set[int] = set()
    for part in text.split(","):
        match = re.fullmatch(r"([0-9]{1,9})(?:-([0-9]{1,9}))?", part)
        first, last = (int(match[1]), int(match[2] or match[1])) if match else (1, 0)
        if first > last:
            raise ValueError(f"invalid format: {text}")
        if last > _HIGHEST:
            raise ValueError(f"value of out range, maximum is {_HIGHEST}")
        found |= set(range(first, last + 1))
    return found


def _available(file: str) -> str:
    """What the root of the hierarchy has; empty where there is no cpuset controller."""
    for path in (f"/sys/fs/cgroup/cpuset/cpuset.{file}", f"/sys/fs/cgroup/cpuset.{file}.effective"):
        if os.path.exists(path):
            with open(path, encoding="ascii") as text:
                return text.read().strip()
    return ""
