"""/dev/shm of containers that others may share it with (moby: daemon/container_operations_unix.go setupIPCDirs).

    private         a tmpfs that the OCI runtime mounts in the container's own mount namespace: out of everybody's reach
    shareable       a tmpfs that the daemon mounts on the host, .../containers/ID/mounts/shm, and the runtime binds
    container:ID    the other's, bound too
    host            the host's
    none            there is none

It is the one thing that the daemon itself mounts: what another mount namespace has cannot be bound (mount(2), EINVAL).
It lasts for one run, and whoever has joined keeps it for longer, as in dockerd.
"""

import os

from runtime.daemon.container import Container
from runtime.daemon.container_store import ContainerStore
from runtime.daemon.errors import ApiError, ConflictError, ServerError
from runtime.daemon.mount_calls import MS_NODEV, MS_NOEXEC, MS_NOSUID, mount, unmount

_PLACE = "/dev/shm"
"""The container's, and with `--ipc host` the host's."""


def prepare(container: Container, containers: ContainerStore) -> None:
    """Decide where a container's /dev/shm is on the host, and make it if others may join. Raises ApiError, OSError."""
    mode, _, other = container.host_config["IpcMode"].partition(":")
    release(container)
    if mode == "container":
        container.shm_path = _lender(other, containers).shm_path
    elif mode == "host":
        container.shm_path = _PLACE
    elif mode == "shareable":
        if all(point.destination != _PLACE for point in container.mount_points):
            container.shm_path = _mount(container)
    elif mode not in ("private", "none"):
        raise ServerError(f"Invalid IPC mode: {container.host_config['IpcMode']}")


def release(container: Container) -> None:
    """Take back what a run had mounted, also one that an earlier daemon did not see the end of."""
    own = _own_path(container)
    if os.path.isdir(own):
        unmount(own)
    container.shm_path = ""


def _own_path(container: Container) -> str:
    return os.path.join(container.directory, "mounts", "shm")


def _mount(container: Container) -> str:
    path = _own_path(container)
    os.makedirs(path, mode=0o700, exist_ok=True)
    size = container.host_config["ShmSize"]
    mount("shm", path, "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, f"mode=1777,size={size}")
    return path


def _lender(name: str, containers: ContainerStore) -> Container:
    """The container whose IPC is to be joined."""
    failed = f"can't join IPC of container {name}"
    if not name:
        raise ServerError(f'{failed}: invalid name or ID supplied: ""')
    try:
        lender = containers.find(name)
        require_running(lender)
    except ApiError as error:
        raise type(error)(f"{failed}: {error.message}") from error
    if not os.path.isdir(lender.shm_path):
        raise ServerError(f"{failed}: non-shareable IPC (hint: use IpcMode:shareable for the donor container)")
    return lender


def require_running(lender: Container) -> None:
    """409 where there is no process whose namespace could be joined."""
    if lender.state.restarting:
        raise ConflictError(f"Container {lender.id} is restarting, wait until the container is running")
    if not lender.state.running:
        raise ConflictError(f"container {lender.id} is not running")
