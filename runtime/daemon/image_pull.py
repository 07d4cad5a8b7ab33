"""`docker pull` (moby: distribution/pull_v2.go, distribution/xfer; containerd's client: pull.go).

resolve   tag or digest -> manifest, from the first endpoint that has it
choose    index -> the manifest for the platform
config    which layers it has, uncompressed; so what is unpacked here already need not be fetched
layers    three at a time, each straight into the content store; unpacked in order, while others still come
name      alpine:latest, and alpine@sha256:... for where it came from
"""

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Any

import aiohttp

from runtime.daemon import platforms
from runtime.daemon.errors import ApiError, NotFoundError, ServerError
from runtime.daemon.events import EventLog
from runtime.daemon.image_content import (
    Descriptor,
    Source,
    WrongContentError,
    describe,
    digest_of,
    has_blob,
)
from runtime.daemon.image_install import Installer, LayerMismatchError, NewImage, checked_diff_ids
from runtime.daemon.images import ImageStore
from runtime.daemon.platforms import Platform
from runtime.daemon.progress import ProgressStream
from runtime.daemon.references import Reference, familiar
from runtime.daemon.registry import MANIFEST_TYPES, RegistryError, Repository, open_session, reach
from runtime.daemon.registry_auth import Credentials
from runtime.daemon.registry_endpoints import endpoints

_AT_ONCE = 3
"""dockerd's --max-concurrent-downloads."""
_CONFIG_TYPES = (
    "application/vnd.oci.image.config.v1+json",
    "application/vnd.docker.container.image.v1+json",
)


@dataclass(frozen=True)
class Wanted:
    """What is to be pulled, for whom."""

    reference: Reference
    platform: Platform
    credentials: Credentials


@dataclass(frozen=True)
class Puller:
    """Pulls images."""

    installer: Installer
    store: ImageStore
    events: EventLog
    mirrors: tuple[str, ...] = ()
    insecure: tuple[str, ...] = ()

    async def pull(self, wanted: Wanted, progress: ProgressStream, *, all_tags: bool = False) -> None:
        """Pull one tag or digest, or every tag. Raises ApiError; see also image_transfer's `as_answer`."""
        reference = wanted.reference
        async with open_session() as session:
            if not all_tags:
                newer = await self._pull_one(session, wanted, progress)
                shown = familiar(str(reference))
            else:
                repository = await self._reach(session, wanted)
                shown, newer = familiar(reference.repository), False
                for tag in await _explained(repository.tags(), reference):
                    of_tag = Wanted(reference._replace(tag=tag), wanted.platform, wanted.credentials)
                    newer |= await self._pull_one(session, of_tag, progress)
        what = "Downloaded newer image" if newer else "Image is up to date"
        await progress.send(status=f"Status: {what} for {shown}")

    async def _reach(self, session: aiohttp.ClientSession, wanted: Wanted) -> Repository:
        ways = endpoints(wanted.reference.domain, self.mirrors, self.insecure)
        return await reach(session, ways, wanted.reference.path, wanted.credentials)

    async def _resolve(
        self, session: aiohttp.ClientSession, wanted: Wanted
    ) -> tuple[Repository, Descriptor, dict[str, Any], bytes]:
        """The first endpoint that has the image, and what the name points to there."""
        failure: ApiError = ServerError(f"no endpoint for {wanted.reference.domain}")
        for endpoint in endpoints(wanted.reference.domain, self.mirrors, self.insecure):
            repository = Repository(session, endpoint, wanted.reference.path, wanted.credentials)
            try:
                await repository.ping()
                return repository, *await _manifest(repository, wanted.reference.digest or wanted.reference.tag)
            except RegistryError as error:
                failure = _in_dockerds_words(error, wanted.reference)
        raise failure

    async def _pull_one(self, session: aiohttp.ClientSession, wanted: Wanted, progress: ProgressStream) -> bool:
        reference = wanted.reference
        repository, target, document, data = await self._resolve(session, wanted)
        await progress.send(status=f"Pulling from {reference.path}", id=reference.tag or str(reference))
        async with self.installer.leases.take() as lease:
            await self.installer.put(target, data, lease)
            digest = target.digest
            if platforms.is_index(document):
                chosen = platforms.choose(document, wanted.platform)
                inner, document, data = await _manifest(repository, str(chosen["digest"]))
                await self.installer.put(inner, data, lease)
                digest = inner.digest
            image = await self._fetch(_Transfer(repository, progress, lease), target, digest, document)
            # Before the label: the same index may stand for the image of another machine from then on.
            newer = await self._id_of(str(reference)) != image.id
            await self.installer.label(image)
            for name in (str(reference), f"{reference.repository}@{target.digest}"):
                await self.installer.names.give(name, target)
        await progress.send(status=f"Digest: {target.digest}")
        self.events.publish("image", "pull", familiar(str(reference)), {"name": familiar(reference.repository)})
        return newer

    async def _fetch(
        self, transfer: "_Transfer", target: Descriptor, digest: str, manifest: dict[str, Any]
    ) -> NewImage:
        try:
            config_of = _descriptor(manifest["config"])
            layers = [_descriptor(layer) for layer in manifest.get("layers") or []]
            if config_of.media_type not in _CONFIG_TYPES:
                raise ServerError(f"unsupported media type {config_of.media_type}: this is no image")
            data = await transfer.repository.document(config_of.digest)
            if digest_of(data) != config_of.digest:
                raise ServerError(f"image config verification failed for digest {config_of.digest}")
            config = json.loads(data)
            diff_ids = checked_diff_ids(manifest, config)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise ServerError(f"the manifest or config of the image cannot be read: {error}") from error
        transfer = replace(transfer, known=bool(await self._id_of(config_of.digest)))
        await self.installer.put(config_of, data, transfer.lease)
        try:
            await self._fetch_layers(transfer, layers, diff_ids)
        except LayerMismatchError as error:
            raise ServerError("layers from manifest don't match image configuration") from error
        return NewImage(target, digest, manifest, config)

    async def _fetch_layers(self, transfer: "_Transfer", layers: list[Descriptor], diff_ids: list[str]) -> None:
        first = await self._first_missing(transfer, layers, diff_ids)
        for number, layer in enumerate(layers):
            if number >= first:
                await transfer.progress.step(_short(layer), "Pulling fs layer")
        for layer in layers[first + _AT_ONCE :]:
            await transfer.progress.step(_short(layer), "Waiting")
        turn = asyncio.Semaphore(_AT_ONCE)
        try:
            async with asyncio.TaskGroup() as group:
                coming = [group.create_task(self._download(transfer, turn, layer)) for layer in layers[first:]]
                for number, download in enumerate(coming, first):
                    await download
                    await self._extract(transfer, layers[number], diff_ids[: number + 1])
        except BaseExceptionGroup as failures:
            raise failures.exceptions[0] from None

    async def _first_missing(self, transfer: "_Transfer", layers: list[Descriptor], diff_ids: list[str]) -> int:
        """How many of the lowest layers are here already, as blobs and unpacked."""
        for number, layer in enumerate(layers):
            here = await self.installer.is_unpacked(diff_ids[: number + 1], transfer.lease)
            if not here or not await has_blob(self.installer.containerd, layer.digest):
                return number
            # Held by asking for it again, under the lease.
            await self.installer.write(layer, transfer.source(layer), transfer.lease)
            # An image that is here under another name is nothing to tell of, layers that other images have are.
            if not transfer.known:
                await transfer.progress.step(_short(layer), "Already exists")
        return len(layers)

    async def _id_of(self, name: str) -> str:
        """The ID of the image that has this name or ID, if one has."""
        try:
            return (await self.store.find(name)).id
        except NotFoundError:
            return ""

    async def _download(self, transfer: "_Transfer", turn: asyncio.Semaphore, layer: Descriptor) -> None:
        async with turn:
            try:
                await self.installer.write(layer, transfer.source(layer), transfer.lease)
            except WrongContentError as error:
                raise ServerError(f"filesystem layer verification failed for digest {layer.digest}") from error
            await transfer.progress.step(_short(layer), "Download complete")

    async def _extract(self, transfer: "_Transfer", layer: Descriptor, diff_ids: list[str]) -> None:
        await transfer.progress.advance(_short(layer), "Extracting", 0, layer.size)
        await self.installer.unpack(layer.document(), diff_ids, transfer.lease)
        await transfer.progress.advance(_short(layer), "Extracting", layer.size, layer.size)
        await transfer.progress.step(_short(layer), "Pull complete")


@dataclass(frozen=True)
class _Transfer:
    """What every step of one pull needs."""

    repository: Repository
    progress: ProgressStream
    lease: str
    known: bool = False
    """Whether an image of this ID is here already."""

    def source(self, layer: Descriptor) -> Source:
        """A layer out of the registry, with its progress told on the way."""

        async def read(offset: int) -> AsyncGenerator[bytes, None]:
            async with aclosing(self.repository.blob(layer.digest, offset)) as pieces:
                async for piece in pieces:
                    offset += len(piece)
                    await self.progress.advance(_short(layer), "Downloading", offset, layer.size)
                    yield piece
            await self.progress.step(_short(layer), "Verifying Checksum")

        return read


async def _manifest(repository: Repository, reference: str) -> tuple[Descriptor, dict[str, Any], bytes]:
    """A manifest or index, checked: what was asked for by digest must have it."""
    manifest = await repository.manifest(reference)
    if reference.startswith("sha256:") and digest_of(manifest.data) != reference:
        raise RegistryError(f"manifest verification failed for digest {reference}")
    try:
        document = json.loads(manifest.data)
        media_type = str(document.get("mediaType") or manifest.media_type)
    except (ValueError, AttributeError, RecursionError) as error:
        raise RegistryError(f"the manifest of {reference} cannot be read: {error}") from error
    if media_type not in (*MANIFEST_TYPES, *platforms.INDEX_TYPES):
        raise RegistryError(f"unsupported manifest media type: {media_type}")
    return describe(media_type, manifest.data), document, manifest.data


def _descriptor(document: dict[str, Any]) -> Descriptor:
    digest, size = str(document["digest"]), int(document["size"])
    if not digest.startswith("sha256:") or not 0 <= size < 1 << 63:  # an int64 on the way to containerd
        raise ValueError(f"bad descriptor {digest} of {size} bytes")
    return Descriptor(str(document["mediaType"]), digest, size)


async def _explained(work: Any, reference: Reference) -> Any:
    try:
        return await work
    except RegistryError as error:
        raise _in_dockerds_words(error, reference) from error


def _in_dockerds_words(error: RegistryError, reference: Reference) -> ApiError:
    """The registry's word for it, and what it means for the user (moby: distribution/errors.go)."""
    name = familiar(reference.repository)
    meaning = {
        "DENIED": f"pull access denied for {name}, repository does not exist or may require 'docker login'",
        "MANIFEST_UNKNOWN": f"manifest for {familiar(str(reference))} not found",
        "NAME_UNKNOWN": f"repository {name} not found",
    }.get(error.code)
    return NotFoundError(f"{meaning}: {error.message}") if meaning else error


def _short(layer: Descriptor) -> str:
    return layer.digest[7:19]
