"""What a stack has left on the host, by its name: for tests that end in `left_of(plan) == NOTHING`."""

import os

from tracer import procfs
from tracer.leftovers import cgroup_folders, links_of, processes_of
from tracer.stack import StackPlan

NOTHING: dict[str, list[str]] = {"processes": [], "mounts": [], "cgroups": [], "links": [], "files": []}


def left_of(plan: StackPlan) -> dict[str, list[str]]:
    """Everything on this host that bears the stack's name, by kind."""
    files = (plan.registry, plan.socket, plan.containerd_socket)
    return {
        "processes": [f"{pid} {' '.join(procfs.argv(pid))}" for pid in processes_of(plan)],
        "mounts": [mount.point for mount in procfs.mounts() if mount.point.startswith(f"{plan.root}/")],
        "cgroups": list(cgroup_folders(plan)),
        "links": links_of(plan),
        "files": [path for path in files if os.path.lexists(path)],
    }
