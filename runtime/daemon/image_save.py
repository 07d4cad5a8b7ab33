"""`docker save`: images as an archive (moby 25 and later: image/tarexport/save.go).

One tar that is an OCI layout and a docker-archive at once: blobs by digest, as they are in the content store, and two
tables of contents, `index.json` and `manifest.json`. Old dockerds read the second, OCI tools the first, and our own
`docker load` gets back what was saved, bit for bit.
"""

import json
import tarfile
from collections.abc import AsyncIterator
from typing import Any

from runtime.daemon.containerd_client import Containerd
from runtime.daemon.image_content import blob_pieces
from runtime.daemon.image_install import OCI_MANIFEST
from runtime.daemon.images import Image
from runtime.daemon.references import familiar, parse

_LAYOUT = b'{"imageLayoutVersion":"1.0.0"}'


async def archive(containerd: Containerd, images: list[tuple[Image, list[str]]]) -> AsyncIterator[bytes]:
    """The archive of these images, piece by piece, each with the full names that it is saved under."""
    yield _directory("blobs/") + _directory("blobs/sha256/")
    written: set[str] = set()
    manifests: list[dict[str, Any]] = []
    entries: list[dict[str, Any]] = []
    for image, names in images:
        manifest_size = 0
        for blob in (image.manifest["config"], *image.layers):
            if blob["digest"] not in written:
                written.add(blob["digest"])
                async for piece in _blob(containerd, blob["digest"], blob["size"]):
                    yield piece
        data = b"".join([piece async for piece in blob_pieces(containerd, image.manifest_digest)])
        manifest_size = len(data)
        if image.manifest_digest not in written:
            written.add(image.manifest_digest)
            yield _file(_blob_name(image.manifest_digest), data)
        manifests += _index_entries(image, manifest_size, names)
        entries.append(_docker_entry(image, names))
    index = {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": manifests}
    yield _file("index.json", json.dumps(index).encode())
    yield _file("manifest.json", json.dumps(entries).encode())
    yield _file("oci-layout", _LAYOUT)
    yield b"\0" * (2 * tarfile.BLOCKSIZE)


def _index_entries(image: Image, size: int, names: list[str]) -> list[dict[str, Any]]:
    media_type = image.manifest.get("mediaType") or OCI_MANIFEST
    entry = {"mediaType": media_type, "digest": image.manifest_digest, "size": size}
    if not names:
        return [entry]
    return [
        entry
        | {"annotations": {"io.containerd.image.name": name, "org.opencontainers.image.ref.name": parse(name).tag}}
        for name in names
    ]


def _docker_entry(image: Image, names: list[str]) -> dict[str, Any]:
    return {
        "Config": _blob_name(image.id),
        "RepoTags": [familiar(name) for name in names] or None,
        "Layers": [_blob_name(layer["digest"]) for layer in image.layers],
    }


async def _blob(containerd: Containerd, digest: str, size: int) -> AsyncIterator[bytes]:
    yield _header(_blob_name(digest), size)
    async for piece in blob_pieces(containerd, digest):
        yield piece
    yield _padding(size)


def _blob_name(digest: str) -> str:
    return f"blobs/{digest.replace(':', '/')}"


def _file(name: str, data: bytes) -> bytes:
    return _header(name, len(data)) + data + _padding(len(data))


def _header(name: str, size: int) -> bytes:
    info = tarfile.TarInfo(name)  # owner 0:0 and time 0: the same image gives the same archive
    info.size = size
    return info.tobuf()


def _directory(name: str) -> bytes:
    info = tarfile.TarInfo(name)
    info.type, info.mode = tarfile.DIRTYPE, 0o755
    return info.tobuf()


def _padding(size: int) -> bytes:
    return b"\0" * (-size % tarfile.BLOCKSIZE)
