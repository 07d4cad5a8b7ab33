"""Look up what config.json needs beyond the container's own record (the IO half of `spec.py`).

The user's numbers come from the image's passwd and group; the namespaces of `container:ID` modes from the processes
that hold them; what the host allows is probed once.
"""

import os
import shutil
from typing import Any

from runtime.daemon import block_io, devices, propagation, security_options, spec, users
from runtime.daemon.container import Container
from runtime.daemon.container_store import ContainerStore
from runtime.daemon.errors import NotFoundError
from runtime.daemon.links import Links
from runtime.daemon.options import DaemonOptions
from runtime.daemon.rootfs_files import RootfsFiles
from runtime.daemon.shared_memory import require_running
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
        apparmor=security_options.has_apparmor(),
        limits=_optional_limits(),
    )


def _optional_limits(root: str = "/sys/fs/cgroup") -> frozenset[str]:
    """What depends on the kernel's configuration and on the version of the cgroups (moby: pkg/sysinfo)."""
    files = {
        "KernelMemory": "memory/memory.kmem.limit_in_bytes",
        "KernelMemoryTCP": "memory/memory.kmem.tcp.limit_in_bytes",
        "CpuRealtimePeriod": "cpu/cpu.rt_period_us",
        "CpuRealtimeRuntime": "cpu/cpu.rt_runtime_us",
    }
    return block_io.supported(root) | {field for field, file in files.items() if os.path.exists(f"{root}/{file}")}


class SpecGatherer:
    """Builds config.json for a container that is about to start."""

    def __init__(self, options: DaemonOptions, facts: HostFacts, containers: ContainerStore, links: Links) -> None:
        self._options = options
        self._facts = facts
        self._containers = containers
        self._links = links

    def spec(self, container: Container, etc_files: dict[str, str]) -> dict[str, Any]:
        """The finished document."""
        host = container.host_config
        devices.refuse_requests(host["DeviceRequests"] or [])
        if propagation.of_root(container.mount_points):
            with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as mountinfo:
                propagation.verify(container.mount_points, mountinfo)
        files = RootfsFiles(container.rootfs)
        parent = host["CgroupParent"] or self._options.cgroup_parent
        inputs = SpecInputs(
            host=self._facts,
            user=users.resolve(container.config.get("User") or "", host["GroupAdd"] or [], files),
            cgroups_path=f"/{parent.strip('/')}/{container.id}",
            mounts=container.mount_points,
            etc_files=etc_files,
            shm_path=container.shm_path,
            linked_env=self._links.environment(container),
            namespace_paths=self._shared(host),
        )
        return spec.build(container, inputs)

    def _shared(self, host: dict[str, Any]) -> dict[str, str]:
        """Paths of the namespaces that `--network|--pid|--ipc container:ID` joins."""
        paths = {}
        for key, kind, file in (
            ("NetworkMode", "network", "net"),
            ("PidMode", "pid", "pid"),
            ("IpcMode", "ipc", "ipc"),
        ):
            mode, _, name = host[key].partition(":")
            if mode != "container":
                continue
            try:
                other = self._containers.find(name)
            except NotFoundError as error:
                what = kind.upper() if kind == "pid" else kind
                raise NotFoundError(
                    f"cannot join {what} of a non running container: {name}: {error.message}"
                ) from error
            require_running(other)
            paths[kind] = f"/proc/{other.state.pid}/ns/{file}"
        return paths
