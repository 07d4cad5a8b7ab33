"""An image out of whole layers: the built-in one, and `docker import` (moby: daemon/images/image_import.go)."""

import json
import time
from dataclasses import dataclass
from typing import Any

from runtime.daemon.call import SERVER_VERSION
from runtime.daemon.image_content import Descriptor, describe, from_bytes
from runtime.daemon.image_install import OCI_CONFIG, OCI_LAYER, OCI_MANIFEST, Installer, NewImage, build_manifest
from runtime.daemon.image_spool import Spool
from runtime.daemon.platforms import go_architecture
from runtime.daemon.references import DANGLING
from runtime.daemon.timestamps import rfc3339


@dataclass(frozen=True)
class BuiltImage:
    """An OCI image as the blobs it consists of."""

    layers: tuple[bytes, ...]
    """Uncompressed tars, the lowest first."""
    config: bytes


async def install_built(installer: Installer, name: str, image: BuiltImage) -> None:
    """Store an image that is in memory under a full name and unpack it."""
    layers = [describe(OCI_LAYER, layer) for layer in image.layers]
    async with installer.leases.take() as lease:
        for layer, data in zip(layers, image.layers, strict=True):
            await installer.write(layer, from_bytes(data), lease)
        new = await assemble(installer, image.config, layers, lease)
        await installer.install(new, lease)
        await installer.names.give(name, new.target)


async def assemble(installer: Installer, config: bytes, layers: list[Descriptor], lease: str) -> NewImage:
    """Make a manifest for a config and layers that are in the content store already."""
    of_config = describe(OCI_CONFIG, config)
    manifest = build_manifest(of_config, layers)
    target = describe(OCI_MANIFEST, manifest)
    await installer.put(of_config, config, lease)
    await installer.put(target, manifest, lease)
    return NewImage(target, target.digest, json.loads(manifest), json.loads(config))


async def install_imported(installer: Installer, name: str, spool: Spool, config: dict[str, Any], comment: str) -> str:
    """Make an image of one layer, the archive in the spool, under a full name; returns its ID."""
    layer = spool.describe(OCI_LAYER, 0, spool.size)
    now = rfc3339(time.time_ns())
    document = {
        "architecture": go_architecture(),
        "os": "linux",
        "created": now,
        "comment": comment,
        "docker_version": SERVER_VERSION,
        "config": config,
        "rootfs": {"type": "layers", "diff_ids": [layer.digest]},
        "history": [{"created": now, "comment": comment}],
    }
    async with installer.leases.take() as lease:
        await installer.write(layer, spool.source(0, spool.size), lease)
        new = await assemble(installer, json.dumps(document, separators=(",", ":")).encode(), [layer], lease)
        await installer.install(new, lease)
        await installer.names.give(name, new.target)
        if name != DANGLING:
            await installer.names.note_tag(new.id)
    return new.id
