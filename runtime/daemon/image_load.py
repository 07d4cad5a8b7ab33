"""`docker load`: images out of an archive (moby: image/tarexport/load.go; containerd: images/archive/importer.go).

Two layouts, both read here, and `docker save` (image_save.py) writes one archive that is both:

    docker-archive   manifest.json: [{"Config": FILE, "RepoTags": [NAME...], "Layers": [FILE...]}]
    OCI layout       oci-layout, index.json, blobs/sha256/HEX   (image-spec, image-layout.md)

The archive is never unpacked: its names are only looked up, so none of them can lead anywhere.
"""

import asyncio
import json
import os
import posixpath
import tarfile
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

from runtime.daemon import platforms
from runtime.daemon.image_content import Descriptor, Source
from runtime.daemon.image_import import assemble
from runtime.daemon.image_install import OCI_LAYER, Installer, NewImage
from runtime.daemon.image_spool import BadArchiveError, Spool

_DOCUMENT_BYTES = 8 << 20
"""More than any manifest or config has (containerd's limit)."""
_ENTRIES_A_TURN = 64
_LINKS = 8


@dataclass(frozen=True)
class Loaded:
    """One image of the archive, its blobs in the content store, not unpacked yet."""

    image: NewImage
    names: list[str]
    """As the archive has them; empty for an image without a name."""


class ImageArchive:
    """An archive in a spool, its files by name."""

    def __init__(self, spool: Spool) -> None:
        self._spool = spool
        self._entries: dict[str, tarfile.TarInfo] = {}

    async def index(self) -> None:
        """Learn which files there are. Raises BadArchiveError."""
        try:
            os.lseek(self._spool.file, 0, os.SEEK_SET)
            with open(self._spool.file, "rb", closefd=False) as file, tarfile.open(fileobj=file, mode="r:") as archive:
                for count, entry in enumerate(archive, 1):
                    self._entries[posixpath.normpath(f"/{entry.name}").lstrip("/")] = entry
                    if entry.isreg() and entry.offset_data + entry.size > self._spool.size:
                        raise BadArchiveError("Error processing tar file(exit status 1): unexpected EOF")
                    if count % _ENTRIES_A_TURN == 0:
                        await asyncio.sleep(0)
        except (tarfile.TarError, ValueError, OverflowError, RecursionError) as error:
            raise BadArchiveError("Error processing tar file(exit status 1): unexpected EOF") from error

    def __contains__(self, name: str) -> bool:
        return name in self._entries

    def place(self, name: str) -> tuple[int, int]:
        """Where a file's bytes are, and how many; old archives have links for layers that occur twice."""
        path = posixpath.normpath(f"/{name}").lstrip("/")
        for _ in range(_LINKS):
            entry = self._entries.get(path)
            if entry is None or not (entry.issym() or entry.islnk()):
                break
            above = posixpath.dirname(path) if entry.issym() else ""
            path = posixpath.normpath(f"/{above}/{entry.linkname}").lstrip("/")
        if entry is None or not entry.isreg():
            raise BadArchiveError(f"invalid archive: there is no file {name}")
        return entry.offset_data, entry.size

    def document(self, name: str) -> Any:
        """A JSON file."""
        start, size = self.place(name)
        if size > _DOCUMENT_BYTES:
            raise BadArchiveError(f"invalid archive: {name} has {size} bytes, more than {_DOCUMENT_BYTES}")
        try:
            return json.loads(self._spool.read(start, size))
        except (ValueError, RecursionError) as error:
            raise BadArchiveError(f"invalid archive: {name}: {error}") from error

    def bytes(self, name: str) -> bytes:
        """A JSON file as it is."""
        self.document(name)
        return self._spool.read(*self.place(name))

    def describe(self, name: str, media_type: str) -> Descriptor:
        """The descriptor of a file."""
        return self._spool.describe(media_type, *self.place(name))

    def source(self, name: str) -> Source:
        """A file as a blob to be written."""
        return self._spool.source(*self.place(name))

    def is_gzip(self, name: str) -> bool:
        """Whether a layer is compressed. Its media type says so in the manifest, and nothing else does here."""
        return self._spool.read(self.place(name)[0], 2) == b"\x1f\x8b"


async def load(archive: ImageArchive, installer: Installer, lease: str) -> AsyncIterator[Loaded]:
    """Put every image's blobs into the content store. Raises BadArchiveError."""
    try:
        if "oci-layout" in archive and "index.json" in archive:
            # First, for it has the manifests as they were: their digests stay the same from save to load.
            async for loaded in _load_layout(archive, installer, lease):
                yield loaded
        elif "manifest.json" in archive:
            for entry in archive.document("manifest.json"):
                yield Loaded(await _load_entry(archive, installer, entry, lease), list(entry.get("RepoTags") or []))
        else:
            raise BadArchiveError("invalid archive: does not contain a manifest.json")
    except (KeyError, TypeError, AttributeError) as error:
        raise BadArchiveError(f"invalid archive: a manifest lacks, or has in another form: {error}") from error


async def _load_entry(archive: ImageArchive, installer: Installer, entry: dict[str, Any], lease: str) -> NewImage:
    layers = []
    for name in entry["Layers"] or []:
        layer = archive.describe(name, f"{OCI_LAYER}+gzip" if archive.is_gzip(name) else OCI_LAYER)
        await installer.write(layer, archive.source(name), lease)
        layers.append(layer)
    return await assemble(installer, archive.bytes(entry["Config"]), layers, lease)


async def _load_layout(archive: ImageArchive, installer: Installer, lease: str) -> AsyncIterator[Loaded]:
    found: dict[str, Loaded] = {}
    for entry in archive.document("index.json")["manifests"]:
        if entry["digest"] not in found:
            found[entry["digest"]] = Loaded(await _load_target(archive, installer, entry, lease), [])
        if name := _name_of(entry.get("annotations") or {}):
            found[entry["digest"]].names.append(name)
    for loaded in found.values():
        yield loaded


async def _load_target(archive: ImageArchive, installer: Installer, entry: dict[str, Any], lease: str) -> NewImage:
    target = await _put(archive, installer, entry, lease)
    document = archive.document(_blob_name(entry["digest"]))
    if platforms.is_index(document):
        wanted = platforms.this_machine()
        there = [one for one in document["manifests"] if _blob_name(one["digest"]) in archive]
        chosen = platforms.choose({"manifests": there}, wanted) if len(there) != 1 else there[0]
        inner = await _load_target(archive, installer, chosen, lease)
        return NewImage(target, inner.manifest_digest, inner.manifest, inner.config)
    for blob in (document["config"], *(document.get("layers") or [])):
        await _put(archive, installer, blob, lease)
    return NewImage(target, target.digest, document, archive.document(_blob_name(document["config"]["digest"])))


async def _put(archive: ImageArchive, installer: Installer, entry: dict[str, Any], lease: str) -> Descriptor:
    name = _blob_name(entry["digest"])
    _, size = archive.place(name)
    blob = Descriptor(str(entry.get("mediaType") or OCI_LAYER), str(entry["digest"]), size)
    await installer.write(blob, archive.source(name), lease)
    return blob


def _blob_name(digest: str) -> str:
    algorithm, _, name = digest.partition(":")
    return f"blobs/{algorithm}/{name}"


def _name_of(annotations: dict[str, str]) -> str:
    """The annotation of containerd has the whole name; the standard one often only the tag, which names nothing."""
    whole = annotations.get("io.containerd.image.name", "")
    reference = annotations.get("org.opencontainers.image.ref.name", "")
    return whole or (reference if ":" in reference or "/" in reference else "")
