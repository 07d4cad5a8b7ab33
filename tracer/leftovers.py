"""What belongs to a stack, found by the names in its plan: processes, cgroups, network links.

A process belongs to a stack when it is in a cgroup under the stack's parent; or is one of the stack's programs, by a
command line that names the stack's root; or has a root directory inside the stack's; or descends from one of these.
An editor or a pager on one of the stack's files does not belong to it, nor does this process or who started it.
"""

import json
import os
from collections.abc import Iterator
from pathlib import Path

from tracer import procfs
from tracer.stack import StackPlan

_PROGRAMS = frozenset({"containerd", "dockerd", "runc", "crun", "glassbottom-oci", "docker-init"})
_MODULES = frozenset({"tracer.engine", "tracer.hostbox_loader"})


def processes_of(plan: StackPlan) -> list[int]:
    """Everybody who belongs to the stack now, save this process and its parents."""
    ours = _ancestors()
    namespace, inner_root = procfs.mount_namespace(), _within_filesystem(plan.root)
    everybody = [pid for pid in procfs.pids() if pid not in ours and procfs.state(pid) not in ("", "Z", "X")]
    found = {pid for pid in everybody if _belongs(pid, plan, namespace, inner_root)}
    parents = {pid: procfs.parent(pid) for pid in everybody}
    # The engine that started them: it may write elsewhere than in the stack's root, and dies first as it is the oldest.
    found |= {above for pid in found if (above := parents[pid]) in parents and "tracer.engine" in procfs.argv(above)}
    size = -1
    while size != len(found):
        size = len(found)
        found |= {pid for pid, parent in parents.items() if parent in found}
    return sorted(found)


def _belongs(pid: int, plan: StackPlan, own_namespace: str, inner_root: str) -> bool:
    component = plan.cgroup_parent.strip("/")
    if any(component in path.split("/") for path in procfs.cgroups(pid)):
        return True
    words = procfs.argv(pid)
    if _is_stack_program(words) and any(_names(word, plan.root) for word in words):
        return True
    namespace = procfs.mount_namespace(pid)
    if not namespace or namespace == own_namespace:
        return False
    # A container that lost its shim, where no cgroup could be made: its root is a folder of the stack's.
    return any(
        mount.point == "/" and (inside(mount.root, inner_root) or f"={plan.root}/" in mount.options)
        for mount in procfs.mounts(pid)
    )


def _is_stack_program(words: list[str]) -> bool:
    """Whether an argv is of a program that a stack is made of; an editor on one of its files is not."""
    if any(word.startswith("runtime.") or word in _MODULES for word in words[1:4]):
        return True
    names = {os.path.basename(word) for word in words[:2]}
    return bool(names & _PROGRAMS) or any(name.startswith("containerd-shim") for name in names)


def inside(path: str, root: str) -> bool:
    """Whether a path is the stack's root or something in it."""
    return path == root or path.startswith(f"{root}/")


def _names(word: str, root: str) -> bool:
    """Whether a word of a command line names something in the root: ``PATH``, ``--flag=PATH`` or ``unix://PATH``."""
    return inside(word.rpartition("=")[2].removeprefix("unix://"), root)


def _within_filesystem(path: str) -> str:
    """The path as its own filesystem knows it, which is how mountinfo names the root of a bind mount."""
    for mount in reversed(procfs.mounts()):
        if mount.point == "/" or inside(path, mount.point):
            return mount.root.rstrip("/") + path[len(mount.point.rstrip("/")) :]
    return path


def _ancestors() -> set[int]:
    found, pid = set(), os.getpid()
    while pid > 0 and pid not in found:
        found.add(pid)
        pid = procfs.parent(pid)
    return found


def cgroup_folders(plan: StackPlan) -> Iterator[str]:
    """The stack's cgroup in every hierarchy: below the hierarchy's root, or below any cgroup that we are in."""
    name = plan.cgroup_parent.strip("/")
    own = {path.rstrip("/") for path in procfs.cgroups(os.getpid())}
    prefixes = {""} | {prefix for path in own for prefix in _prefixes(path)}
    for mount in procfs.mounts():
        if mount.kind in {"cgroup", "cgroup2"}:
            for prefix in sorted(prefixes):
                folder = f"{mount.point}{prefix}/{name}"
                if os.path.isdir(folder):
                    yield folder


def _prefixes(path: str) -> list[str]:
    parts = path.split("/")[1:]
    return ["/" + "/".join(parts[: count + 1]) for count in range(len(parts))]


def links_of(plan: StackPlan) -> list[str]:
    """Every bridge of the stack's, and before each whatever is plugged into it."""
    found = []
    for bridge in (plan.bridge, *_bridges_on_record(plan)):
        try:
            found += os.listdir(f"/sys/class/net/{bridge}/brif")
        except OSError:
            pass  # it was never made, or has gone
        found.append(bridge)
    return [name for name in found if os.path.exists(f"/sys/class/net/{name}")]


def _bridges_on_record(plan: StackPlan) -> Iterator[str]:
    """A network is on record before its bridge is made, and until it is gone."""
    for path in sorted(Path(plan.root, "data", "networks").glob("*.json")):
        try:
            yield str(json.loads(path.read_text())["bridge"])
        except (OSError, ValueError, KeyError, TypeError):
            continue  # half written: the bridge is made after the record
