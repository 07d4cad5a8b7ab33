"""Images: list, inspect, history, tag, remove (moby: api/server/router/image)."""

import fnmatch

from aiohttp import web

from runtime.daemon import image_views
from runtime.daemon.call import Call, empty_reply, json_reply
from runtime.daemon.engine import Engine
from runtime.daemon.errors import InvalidParameterError, NotFoundError
from runtime.daemon.images import Image
from runtime.daemon.references import familiar, split_tag
from runtime.daemon.router import Route

_FILTERS = ("reference", "dangling", "label", "since", "before")


class ImageRoutes:
    """What can be asked about images, and their names."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._images = engine.images

    async def list_all(self, call: Call) -> web.StreamResponse:
        filters = call.filters()
        for key in filters:
            if key not in _FILTERS:
                raise InvalidParameterError(f"Invalid filter '{key}'")
        found = await self._images.all()
        for key, newer in (("since", True), ("before", False)):
            for name in filters.get(key, []):
                edge = (await self._images.find(name)).created_ns
                found = [image for image in found if (image.created_ns > edge) is newer and image.created_ns != edge]
        return json_reply([image_views.list_item(image) for image in found if _matches(image, filters)])

    async def inspect(self, call: Call) -> web.StreamResponse:
        image = await self._find(call.name)
        return json_reply(image_views.inspect(image, self._engine.options.snapshotter))

    async def history(self, call: Call) -> web.StreamResponse:
        return json_reply(image_views.history(await self._find(call.name)))

    async def _find(self, name: str) -> Image:
        try:
            image = await self._images.find(name)
        except NotFoundError as error:
            raise NotFoundError(f"no such image: {name}: {error.message}") from error
        names = await self._images.names_of(image)
        return Image(image.id, image.target, tuple(names), image.config, image.layers)

    async def tag(self, call: Call) -> web.StreamResponse:
        image = await self._images.find(call.name)
        repository, tag = call.text("repo"), call.text("tag")
        if not repository:
            raise InvalidParameterError("repository name must have at least one component")
        name = await self._images.tag(image, f"{repository}:{tag}" if tag else repository)
        self._engine.events.publish("image", "tag", image.id, {"name": familiar(name)})
        return empty_reply(201)

    async def remove(self, call: Call) -> web.StreamResponse:
        image = await self._images.find(call.name)
        users = [container.id for container in self._engine.containers.all() if container.image_id == image.id]
        removed = await self._images.remove(call.name, users, call.flag("force"))
        for entry in removed:
            ((what, name),) = entry.items()
            action = "untag" if what == "Untagged" else "delete"
            self._engine.events.publish("image", action, image.id, {"name": name})
        return json_reply(removed)


def _matches(image: Image, filters: dict[str, list[str]]) -> bool:
    names = image_views.tags(image)
    wanted = filters.get("reference", [])
    if wanted and not any(_is_named(name, pattern) for name in names for pattern in wanted):
        return False
    dangling = filters.get("dangling", [])
    if dangling and (dangling[0].lower() in ("true", "1")) is bool(names):
        return False
    labels = image.run_config.get("Labels") or {}
    for label in filters.get("label", []):
        key, equals, value = label.partition("=")
        if key not in labels or (equals and labels[key] != value):
            return False
    return True


def _is_named(name: str, pattern: str) -> bool:
    plain = familiar(pattern)
    return fnmatch.fnmatchcase(name, plain) or fnmatch.fnmatchcase(split_tag(name)[0], plain)


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
