"""A container's own layer on top of the image's, and the volumes that begin with the image's files.

(moby: daemon/create.go setRWLayer, daemon/volumes_unix.go populateVolumes)

Made at create and not at start, so that what a run leaves in it is there in the next one, and so that `docker run` has
less to wait for between start and the process.
"""

import os
import stat
import time

from runtime.api.containerd import snapshots_pb2
from runtime.daemon.container import Container
from runtime.daemon.container_files import copy_up
from runtime.daemon.containerd_client import Containerd, GRPCError, Status
from runtime.daemon.errors import InvalidParameterError, ServerError
from runtime.daemon.rootfs_files import RootfsFiles, SnapshotMount, layers_of
from runtime.daemon.timestamps import rfc3339


async def prepare(containerd: Containerd, snapshotter: str, id: str, parent: str) -> list[SnapshotMount]:
    """Make the layer; returns what the shim is to mount."""
    request = snapshots_pb2.PrepareSnapshotRequest(snapshotter=snapshotter, key=id, parent=parent)
    # Until a run makes a containerd container that refers to it, nothing but this label holds the snapshot.
    request.labels["containerd.io/gc.root"] = rfc3339(time.time_ns())
    try:
        reply = await containerd.snapshots.call("Prepare", request)
    except GRPCError as error:
        if error.status is Status.NOT_FOUND:
            raise InvalidParameterError(f"image is not unpacked: {error.message}") from error
        raise
    mounts = [SnapshotMount(mount.type, mount.source, tuple(mount.options)) for mount in reply.mounts]
    # What programs look for to learn that they are in a container; nobody has the layer mounted yet.
    os.close(os.open(f"{layers_of(mounts)[0]}/.dockerenv", os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o755))
    return mounts


async def remove(containerd: Containerd, snapshotter: str, id: str) -> None:
    """Remove the layer; it may be gone already. Raises GRPCError."""
    try:
        await containerd.snapshots.call("Remove", snapshots_pb2.RemoveSnapshotRequest(snapshotter=snapshotter, key=id))
    except GRPCError as error:
        if error.status is not Status.NOT_FOUND:
            raise


def volumes_to_fill(container: Container) -> list[tuple[str, str]]:
    """Directories of the image, and the volumes that lie on them; most volumes lie where the image has nothing."""
    image = RootfsFiles(container.rootfs)
    copies = []
    for point in container.mount_points:
        inside = image.resolve(point.destination) if point.copy_up else None
        if inside is None:
            continue
        if not _is_directory(image, inside):
            if point.anonymous:
                raise ServerError(f"cannot mount volume over existing file, file exists {inside}")
            raise ServerError(f"source {inside} is not directory")
        copies.append((inside, point.source))
    return copies


async def fill_volumes(container: Container, copies: list[tuple[str, str]]) -> None:
    """Copy the image's files into each volume that is still empty. Raises ApiError."""
    empty = [(inside, source) for inside, source in copies if not os.listdir(source)]
    if empty:  # a program is started for it
        await copy_up(container, empty)


def _is_directory(image: RootfsFiles, path: str) -> bool:
    place = image.locate(path)
    return place is not None and stat.S_ISDIR(os.lstat(place).st_mode)
