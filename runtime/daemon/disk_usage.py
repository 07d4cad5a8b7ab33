"""How much room things take: `docker ps -s`, `inspect -s`, `system df` (moby: daemon/disk_usage.go, layer.Size).

As in dockerd, files count with their length and directories not at all; a file with two names counts once.
"""

import os
import stat
from typing import Any

from runtime.api.containerd import snapshots_pb2
from runtime.daemon.container import Container
from runtime.daemon.container_views import list_item
from runtime.daemon.engine import Engine
from runtime.daemon.image_views import list_item as image_item
from runtime.daemon.rootfs_files import layers_of


def tree_bytes(folder: str) -> int:
    """The length of all files below a directory."""
    lengths: dict[int, int] = {}
    for directory, _, names in os.walk(folder):
        for name in names:
            try:
                status = os.lstat(os.path.join(directory, name))
            except FileNotFoundError:
                continue  # the container is at work in there
            if stat.S_ISREG(status.st_mode):
                lengths[status.st_ino] = status.st_size
    return sum(lengths.values())


async def container_sizes(engine: Engine, container: Container) -> tuple[int, int]:
    """Bytes in the writable layer, and in the whole root."""
    if container.rootfs and container.rootfs[0].type == "overlay":
        written = tree_bytes(layers_of(container.rootfs)[0])
    else:
        request = snapshots_pb2.UsageRequest(snapshotter=container.snapshotter, key=container.id)
        written = int((await engine.containerd.snapshots.call("Usage", request)).size)
    return written, written + await engine.images.size_below(container.id)


async def disk_usage(engine: Engine) -> dict[str, Any]:
    """GET /system/df."""
    images = await engine.images.all()
    containers = engine.containers.all()
    names = await engine.images.ids_of({container.image_name for container in containers})
    linked_as = engine.links.names()
    of_image = [container.image_id for container in containers]
    of_volume = [point.volume for container in containers for point in container.mount_points]
    return {
        "LayersSize": sum(image.size for image in images),
        "Images": [image_item(image) | {"Containers": of_image.count(image.id), "SharedSize": 0} for image in images],
        "Containers": [
            list_item(container, names, linked_as[container.id], await container_sizes(engine, container))
            for container in containers
        ],
        "Volumes": [
            volume
            | {"UsageData": {"RefCount": of_volume.count(volume["Name"]), "Size": tree_bytes(volume["Mountpoint"])}}
            for volume in engine.volumes.all()
        ],
        "BuildCache": None,
        "BuilderSize": 0,
    }
