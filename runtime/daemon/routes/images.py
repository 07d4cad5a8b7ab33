"""Images: list, inspect, history, tag, remove (moby: api/server/router/image).

What moves whole images is in `image_transfer.py`.
"""

from aiohttp import web

from runtime.daemon import image_views, references
from runtime.daemon.call import Call, empty_reply, json_reply
from runtime.daemon.engine import Engine
from runtime.daemon.errors import InvalidParameterError, NotFoundError
from runtime.daemon.filters import has_labels, refuse_unknown, truth
from runtime.daemon.images import Image
from runtime.daemon.references import familiar
from runtime.daemon.router import Route

_FILTERS = ("reference", "dangling", "label", "since", "before")


class ImageRoutes:
    """What can be asked about images, and their names."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._images = engine.images

    async def list_all(self, call: Call) -> web.StreamResponse:
        filters = call.filters()
        refuse_unknown(filters, _FILTERS)
        dangling = truth("dangling", filters.get("dangling", []), digits=False)
        found = await self._images.all()
        for key, newer in (("since", True), ("before", False)):
            for name in filters.get(key, []):
                edge = (await self._images.find(name)).created_ns
                found = [image for image in found if (image.created_ns > edge) is newer and image.created_ns != edge]
        found = _by_name(found, filters.get("reference", []))
        return json_reply([image_views.list_item(image) for image in found if _matches(image, filters, dangling)])

    async def inspect(self, call: Call) -> web.StreamResponse:
        try:
            image = await self._find(call.name)
        except NotFoundError as error:
            raise NotFoundError(f"no such image: {call.name}: {error.message}") from error
        last_tagged = await self._images.last_tagged(image)
        return json_reply(image_views.inspect(image, self._engine.options.snapshotter, last_tagged))

    async def history(self, call: Call) -> web.StreamResponse:
        return json_reply(image_views.history(await self._find(call.name)))

    async def _find(self, name: str) -> Image:
        return await self._images.with_all_names(await self._images.find(name))

    async def tag(self, call: Call) -> web.StreamResponse:
        image = await self._images.find(call.name)
        repository, tag = call.text("repo"), call.text("tag")
        if not repository:
            raise InvalidParameterError("repository name must have at least one component")
        name = references.parse(f"{repository}:{tag}" if tag else repository)
        if name.digest:
            raise InvalidParameterError("refusing to create a tag with a digest reference")
        await self._engine.image_names.give_again(image, str(name))
        self._engine.events.publish("image", "tag", image.id, {"name": familiar(str(name))})
        return empty_reply(201)

    async def remove(self, call: Call) -> web.StreamResponse:
        return json_reply(await self._engine.image_removal.remove(call.name, call.flag("force")))


def _by_name(images: list[Image], patterns: list[str]) -> list[Image]:
    """Those that a pattern names, each with only the names that it matches."""
    if not patterns:
        return images
    found = []
    for image in images:
        names = [name for name in image.names if any(references.matches(name, pattern) for pattern in patterns)]
        if names:
            targets = {name: image.targets[name] for name in names}
            found.append(Image(image.id, targets, image.manifest, image.manifest_digest, image.config, image.sizes))
    return found


def _matches(image: Image, filters: dict[str, list[str]], dangling: bool | None) -> bool:
    # As dockerd has it, an image that has only a name by digest is in both lists.
    if dangling is not None and (image_views.tags(image) if dangling else not image.names):
        return False
    return has_labels(image.run_config.get("Labels"), filters.get("label", []))


def routes(engine: Engine) -> list[Route]:
    """Names with slashes are why these patterns match more than one part of a path."""
    of = ImageRoutes(engine)
    return [
        Route("GET", "/images/json", of.list_all),
        Route("GET", "/images/{name}/json", of.inspect),
        Route("GET", "/images/{name}/history", of.history),
        Route("POST", "/images/{name}/tag", of.tag),
        Route("DELETE", "/images/{name}", of.remove),
    ]
