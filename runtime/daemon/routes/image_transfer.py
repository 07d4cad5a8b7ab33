"""Whole images in and out: pull, load, save, import (moby: api/server/router/image).

They last as long as the client listens: one that leaves gives its pull up, and what was done so far is taken up again
by the next.
"""

from collections.abc import AsyncIterator

from aiohttp import web
from grpclib.exceptions import GRPCError, StreamTerminatedError

from runtime.daemon import image_load, image_save, platforms, references
from runtime.daemon.call import Call, stream_reply
from runtime.daemon.engine import Engine
from runtime.daemon.errors import ApiError, InvalidParameterError, NotFoundError, ServerError
from runtime.daemon.image_changes import apply_changes
from runtime.daemon.image_content import WrongContentError
from runtime.daemon.image_import import install_imported
from runtime.daemon.image_install import LayerMismatchError
from runtime.daemon.image_load import ImageArchive, Loaded
from runtime.daemon.image_pull import Wanted
from runtime.daemon.image_spool import Spool
from runtime.daemon.images import Image
from runtime.daemon.platforms import Platform
from runtime.daemon.progress import ProgressStream
from runtime.daemon.references import DANGLING, Reference, familiar
from runtime.daemon.registry_auth import read_credentials
from runtime.daemon.router import Route

_PIECE_BYTES = 1 << 16
_FAILURES = (ApiError, GRPCError, StreamTerminatedError, WrongContentError, LayerMismatchError, OSError)


class TransferRoutes:
    """What moves images."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._installer = engine.installer

    async def create(self, call: Call) -> web.StreamResponse:
        progress = ProgressStream(call)
        work = self._import if call.text("fromSrc") else self._pull
        try:
            await work(call, progress)
        except _FAILURES as error:
            if progress.reply is None:
                raise as_answer(error) from error
            await progress.fail(as_answer(error).message)
        return await progress.finish()

    async def _pull(self, call: Call, progress: ProgressStream) -> None:
        name, tag = call.text("fromImage"), call.text("tag")
        if not name:
            raise InvalidParameterError("fromImage must name an image")
        separator = "@" if tag.startswith("sha256:") else ":"
        reference = references.parse(f"{name}{separator}{tag}" if tag else name)
        platform = platforms.parse(call.text("platform"))
        credentials = read_credentials(call.request.headers.get("X-Registry-Auth", ""))
        every_tag = not tag and not reference.digest and not references.split_tag(name)[1]
        await self._engine.puller.pull(Wanted(reference, platform, credentials), progress, all_tags=every_tag)
        if call.text("platform") and not every_tag:
            await self._warn_of_platform(reference, platform, progress)

    async def _warn_of_platform(self, reference: Reference, platform: Platform, progress: ProgressStream) -> None:
        config = (await self._engine.images.find(str(reference))).config
        if not platform.fits(config):
            actual = f"{config.get('os', '')}/{config.get('architecture', '')}"
            await progress.send(
                status=f"WARNING: image with reference {reference.repository} was found but does not match the "
                f"specified platform: wanted {platform}, actual: {actual}"
            )

    async def _import(self, call: Call, progress: ProgressStream) -> None:
        if call.text("fromSrc") != "-":
            raise InvalidParameterError(
                "importing from a URL is not modelled by this daemon; use: curl URL | docker import -"
            )
        with self._spool() as spool:
            # All of it, whatever is wrong with the rest of the request: clients send first and read the answer then.
            await spool.fill(body(call))
            name = _new_name(call.text("repo"), call.text("tag"))
            config = apply_changes(call.request.query.getall("changes", []))
            image_id = await install_imported(
                self._installer, name, spool, config, call.text("message") or "Imported from -"
            )
        if name != DANGLING:
            self._engine.events.publish("image", "tag", image_id, {"name": familiar(name)})
        self._engine.events.publish("image", "import", image_id, {"name": image_id})
        await progress.send(status=image_id)

    async def load(self, call: Call) -> web.StreamResponse:
        progress = ProgressStream(call)
        try:
            with self._spool() as spool:
                await spool.fill(body(call))
                archive = ImageArchive(spool)
                await archive.index()
                async with self._installer.leases.take() as lease:
                    async for loaded in image_load.load(archive, self._installer, lease):
                        await self._finish_load(loaded, lease, progress, quiet=call.flag("quiet"))
        except _FAILURES as error:
            await progress.fail(as_answer(error).message)
        return await progress.finish()

    async def _finish_load(self, loaded: Loaded, lease: str, progress: ProgressStream, *, quiet: bool) -> None:
        image, names = loaded.image, [references.qualify(name) for name in loaded.names]
        if not quiet:
            for layer in image.manifest.get("layers") or []:
                await progress.step(layer["digest"][7:19], "Loading layer")
        await self._installer.install(image, lease)
        for name in names:
            before = await self._engine.image_names.give(name, image.target)
            if before not in ("", image.id):
                await progress.send(
                    stream=f"The image {familiar(name)} already exists, renaming the old one with ID {before} to empty "
                    "string\n"
                )
            await progress.send(stream=f"Loaded image: {familiar(name)}\n")
        if not names:
            await self._keep_unnamed(image.id, loaded)
            await progress.send(stream=f"Loaded image ID: {image.id}\n")
        self._engine.events.publish("image", "load", image.id, {"name": image.id})

    async def _keep_unnamed(self, image_id: str, loaded: Loaded) -> None:
        if not any(image.id == image_id for image in await self._engine.images.all()):
            await self._engine.image_names.give(DANGLING, loaded.image.target)

    def _spool(self) -> Spool:
        return Spool(f"{self._engine.options.data_root}/tmp")

    async def save(self, call: Call) -> web.StreamResponse:
        asked = call.request.query.getall("names", []) if "name" not in call.words else [call.name]
        if not asked:
            raise InvalidParameterError("no image is named")
        chosen = await self._chosen(asked)
        reply = await stream_reply(call, "application/x-tar")
        async for piece in image_save.archive(self._engine.containerd, chosen):
            await reply.write(piece)
        await reply.write_eof()
        for image, _ in chosen:
            self._engine.events.publish("image", "save", image.id, {"name": image.id})
        return reply

    async def _chosen(self, asked: list[str]) -> list[tuple[Image, list[str]]]:
        """Each image once, with those of its names that it was asked for by; a repository means all of its tags."""
        chosen: dict[str, tuple[Image, list[str]]] = {}
        for name in asked:
            try:
                image = await self._engine.images.find(name)
            except NotFoundError as error:
                raise NotFoundError(f"No such image: {name}") from error
            image = await self._engine.images.with_all_names(image)
            _, names = chosen.setdefault(image.id, (image, []))
            full = next(iter(set(image.names) & {_full(name)}), "")
            if full and "@" not in full and full not in names:
                names.append(full)
        return list(chosen.values())


async def body(call: Call) -> AsyncIterator[bytes]:
    """What the client sends."""
    async for piece in call.request.content.iter_chunked(_PIECE_BYTES):
        yield piece


def as_answer(error: Exception) -> ApiError:
    """What went wrong, as the API says it."""
    if isinstance(error, ApiError):
        return error
    if isinstance(error, GRPCError):
        return ServerError(error.message or "containerd refused without a word")
    if isinstance(error, StreamTerminatedError):
        return ServerError("containerd has hung up")
    return ServerError(str(error))


def _new_name(repository: str, tag: str) -> str:
    if not repository:
        return DANGLING
    reference = references.parse(f"{repository}:{tag}" if tag else repository)
    if reference.digest:
        raise InvalidParameterError("cannot import digest reference")
    return str(reference)


def _full(name: str) -> str:
    try:
        return references.qualify(name)
    except InvalidParameterError:
        return ""


def routes(engine: Engine) -> list[Route]:
    """The paths that moby has for them."""
    of = TransferRoutes(engine)
    return [
        Route("POST", "/images/create", of.create, streams=True),
        Route("POST", "/images/load", of.load, streams=True),
        Route("GET", "/images/get", of.save, streams=True),
        Route("GET", "/images/{name}/get", of.save, streams=True),
    ]
