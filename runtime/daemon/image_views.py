"""How an image looks in `docker images`, `docker inspect` and `docker history` (moby: daemon/images)."""

from typing import Any

from runtime.daemon.images import Image
from runtime.daemon.references import familiar
from runtime.daemon.timestamps import ZERO, from_rfc3339, rfc3339

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
    """The names with a digest, which say where it was pulled from: `alpine@sha256:...`."""
    return [familiar(name) for name in image.names if "@" in name]


def list_item(image: Image) -> dict[str, Any]:
    """One entry of GET /images/json. An image without a name is shown as <none>, which is how clients know it."""
    dangling = not image.names
    return {
        "Containers": -1,
        "Created": image.created_ns // 10**9,
        "Id": image.id,
        "Labels": image.run_config.get("Labels"),
        "ParentId": "",
        "RepoDigests": ["<none>@<none>"] if dangling else digests(image) or None,
        "RepoTags": ["<none>:<none>"] if dangling else tags(image) or None,
        "SharedSize": -1,
        "Size": image.size,
        "VirtualSize": image.size,
    }


def inspect(image: Image, snapshotter: str, last_tagged: str) -> dict[str, Any]:
    """GET /images/NAME/json."""
    config = image.config
    history = config.get("history") or [{}]
    return {
        "Id": image.id,
        "RepoTags": tags(image),
        "RepoDigests": digests(image),
        "Parent": "",
        "Comment": config.get("comment") or history[-1].get("comment", ""),
        "Created": rfc3339(image.created_ns) if image.created_ns else ZERO,
        "Container": config.get("container", ""),
        "ContainerConfig": _EMPTY_CONFIG | (config.get("container_config") or {}),
        "DockerVersion": config.get("docker_version", ""),
        "Author": config.get("author", ""),
        "Config": _EMPTY_CONFIG | image.run_config,
        "Architecture": config.get("architecture", ""),
        **({"Variant": config["variant"]} if config.get("variant") else {}),
        "Os": config.get("os", ""),
        "Size": image.size,
        "VirtualSize": image.size,
        "GraphDriver": {"Data": {}, "Name": snapshotter},
        "RootFS": {"Type": "layers", "Layers": image.diff_ids},
        "Metadata": {"LastTagTime": last_tagged},
    }


def history(image: Image) -> list[dict[str, Any]]:
    """GET /images/NAME/history: one entry a step, the last first; steps that made no layer have no size."""
    sizes = list(image.sizes)
    entries = []
    for step in image.config.get("history") or []:
        size = 0 if step.get("empty_layer") or not sizes else sizes.pop(0)
        entries.append(
            {
                "Comment": step.get("comment", ""),
                "Created": from_rfc3339(step.get("created") or ZERO) // 10**9,
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
