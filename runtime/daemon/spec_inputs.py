"""Look up what config.json needs beyond the container's own record (the IO half of `spec.py`).

The user's numbers come from the image's passwd and group; the namespaces of `container:ID` modes from the processes
that hold them; what the host allows is probed once.
"""

import os
import shutil
from typing import Any

from runtime.daemon import spec, users
from runtime.daemon.container import Container
from runtime.daemon.container_store import ContainerStore
from runtime.daemon.errors import ConflictError
from runtime.daemon.options import DaemonOptions
from runtime.daemon.rootfs_files import RootfsFiles
from runtime.daemon.spec import HostFacts, SpecInputs


def probe_host() -> HostFacts:
    """What this host allows."""
    with open("/proc/self/uid_map", encoding="ascii") as file:
        ranges = [[int(number) for number in line.split()] for line in file]
    mapped = sum(length for _, _, length in ranges)
    return HostFacts(
        cgroup_v2=os.path.exists("/sys/fs/cgroup/cgroup.controllers"),
        rootless=mapped < 2**32 - 1,
        mapped_ids=mapped,
        init_binary=shutil.which("docker-init") or "",
    )


class SpecGatherer:
    """Builds config.json for a container that is about to start."""

    def __init__(self, options: DaemonOptions, facts: HostFacts, containers: ContainerStore) -> None:
        self._options = options
        self._facts = facts
        self._containers = containers

    def spec(self, container: Container, etc_files: dict[str, str]) -> dict[str, Any]:
        """The finished document."""
        host = container.host_config
        files = RootfsFiles(container.rootfs)
        parent = host["CgroupParent"] or self._options.cgroup_parent
        namespace_paths, shm_path = self._shared(host)
        inputs = SpecInputs(
            host=self._facts,
            user=users.resolve(container.config.get("User") or "", host["GroupAdd"] or [], files),
            cgroups_path=f"/{parent.strip('/')}/{container.id}",
            mounts=container.mount_points,
            etc_files=etc_files,
            shm_path=shm_path,
            namespace_paths=namespace_paths,
        )
        return spec.build(container, inputs)

    def _shared(self, host: dict[str, Any]) -> tuple[dict[str, str], str]:
        """Paths of the namespaces that `--network|--pid|--ipc container:ID` joins, and of the other's /dev/shm."""
        paths, shm_path = {}, ""
        for key, kind, file in (
            ("NetworkMode", "network", "net"),
            ("PidMode", "pid", "pid"),
            ("IpcMode", "ipc", "ipc"),
        ):
            mode, _, name = host[key].partition(":")
            if mode != "container":
                continue
            other = self._containers.find(name)
            if not other.state.running:
                raise ConflictError(f"cannot join {kind} of a non running container: {other.id}")
            paths[kind] = f"/proc/{other.state.pid}/ns/{file}"
            if kind == "ipc":
                shm_path = f"/proc/{other.state.pid}/root/dev/shm"
        return paths, shm_path
