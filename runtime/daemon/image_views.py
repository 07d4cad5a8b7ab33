"""How an image looks in `docker images`, `docker inspect` and `docker history` (moby: daemon/images)."""

from typing import Any

from runtime.daemon.images import Image
from runtime.daemon.references import familiar, split_tag
from runtime.daemon.timestamps import rfc3339

_EMPTY_CONFIG: dict[str, Any] = {
    "Hostname": "",
    "Domainname": "",
    "User": "",
    "AttachStdin": False,
    "AttachStdout": False,
    "AttachStderr": False,
    "Tty": False,
    "OpenStdin": False,
    "StdinOnce": False,
    "Env": None,
    "Cmd": None,
    "Image": "",
    "Volumes": None,
    "WorkingDir": "",
    "Entrypoint": None,
    "OnBuild": None,
    "Labels": None,
}


def tags(image: Image) -> list[str]:
    """The names with a tag, as people read them."""
    return [familiar(name) for name in image.names if "@" not in name]


def digests(image: Image) -> list[str]:
    """The names with the digest instead: `hostbox@sha256:...`."""
    return list(dict.fromkeys(f"{split_tag(tag)[0]}@{image.target}" for tag in tags(image)))


def list_item(image: Image) -> dict[str, Any]:
    """One entry of GET /images/json."""
    return {
        "Containers": -1,
        "Created": image.created_ns // 10**9,
        "Id": image.id,
        "Labels": image.run_config.get("Labels"),
        "ParentId": "",
        "RepoDigests": digests(image) or None,
        "RepoTags": tags(image) or None,
        "SharedSize": -1,
        "Size": image.size,
        "VirtualSize": image.size,
    }


def inspect(image: Image, snapshotter: str) -> dict[str, Any]:
    """GET /images/NAME/json."""
    return {
        "Id": image.id,
        "RepoTags": tags(image),
        "RepoDigests": digests(image),
        "Parent": "",
        "Comment": "",
        "Created": rfc3339(image.created_ns),
        "Container": "",
        "ContainerConfig": _EMPTY_CONFIG,
        "DockerVersion": "",
        "Author": image.config.get("author", ""),
        "Config": _EMPTY_CONFIG | image.run_config,
        "Architecture": image.config.get("architecture", ""),
        "Os": image.config.get("os", ""),
        "Size": image.size,
        "VirtualSize": image.size,
        "GraphDriver": {"Data": {}, "Name": snapshotter},
        "RootFS": {"Type": "layers", "Layers": image.diff_ids},
        "Metadata": {"LastTagTime": "0001-01-01T00:00:00Z"},
    }


def history(image: Image) -> list[dict[str, Any]]:
    """GET /images/NAME/history: one entry a step, the last first; steps that made no layer have no size."""
    sizes = [int(layer.get("size", 0)) for layer in image.layers]
    entries = []
    for step in image.config.get("history") or []:
        size = 0 if step.get("empty_layer") or not sizes else sizes.pop(0)
        entries.append(
            {
                "Comment": step.get("comment", ""),
                "Created": image.created_ns // 10**9,
                "CreatedBy": step.get("created_by", ""),
                "Id": "<missing>",
                "Size": size,
                "Tags": None,
            }
        )
    entries.reverse()
    if entries:
        entries[0] |= {"Id": image.id, "Tags": tags(image) or None}
    return entries
