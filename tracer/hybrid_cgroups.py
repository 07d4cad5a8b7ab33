"""A launcher that lets crun run where cgroup v1 and v2 are both mounted (the "hybrid" layout of systemd, cgroups(7)).

crun makes no container on such a host if any controller sits on the v2 side ("cgroups in hybrid mode not supported",
libcrun/cgroup.c). Started in a mount namespace without /sys/fs/cgroup/unified, it finds plain v1 and goes to work. The
container is made from that namespace and so does not see the v2 side either; on the host nothing changes.

It is a script in the runtime's seat, called as the runtime is called: containerd, shim and daemon, ours or real, know
nothing of it, and in a recording it is what it is, a few programs between the shim and crun.
"""

import os
import shlex

from tracer import procfs

UNIFIED = "/sys/fs/cgroup/unified"
"""Where systemd mounts cgroup v2 beside v1, and where crun looks for it."""


def refused_by(runtime: str) -> bool:
    """Whether this OCI runtime, a path or a name, would refuse the host's cgroups without the launcher."""
    if os.path.basename(runtime) != "crun":
        return False
    if not any(mount.point == UNIFIED and mount.kind == "cgroup2" for mount in procfs.mounts()):
        return False
    with open(f"{UNIFIED}/cgroup.controllers", encoding="ascii") as file:
        return bool(file.read().strip())


def write_launcher(path: str, runtime: str) -> None:
    """Make `path` a program that runs `runtime` with the same arguments where the v2 side cannot be seen."""
    # A mount that came from a more privileged namespace is locked (mount_namespaces(7)): then it is covered instead.
    hide = f"umount {UNIFIED} 2>/dev/null || mount -t tmpfs none {UNIFIED}"
    inside = f'{hide} && exec "$@"'
    command = f"unshare --mount --propagation slave sh -c {shlex.quote(inside)} sh {shlex.quote(runtime)}"
    with open(path, "w", encoding="utf-8") as file:
        file.write(f'#!/bin/sh\nexec {command} "$@"\n')
    os.chmod(path, 0o755)
