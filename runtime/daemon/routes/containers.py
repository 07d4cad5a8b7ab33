"""Create, list, inspect, top (moby: api/server/router/container)."""

from aiohttp import web

from runtime.api.engine_api import CreateReply
from runtime.daemon import container_views, process_list
from runtime.daemon.call import Call, json_reply
from runtime.daemon.disk_usage import container_sizes
from runtime.daemon.engine import Engine
from runtime.daemon.errors import InvalidParameterError, ServerError, UnreadableError
from runtime.daemon.router import Route


class ContainerRoutes:
    """What can be asked about containers, and making one."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def create(self, call: Call) -> web.StreamResponse:
        if call.request.content_type != "application/json":
            raise InvalidParameterError(
                f"Content-Type specified ({call.request.content_type}) must be 'application/json'"
            )
        try:
            container, warnings = await self._engine.creator.create(
                await call.json(no_body="EOF"), call.text("name"), call.text("platform")
            )
        except UnreadableError as error:
            raise ServerError(error.message) from error  # the one body whose errors dockerd does not classify
        body: CreateReply = {"Id": container.id, "Warnings": warnings}
        return json_reply(body, 201)

    async def list_all(self, call: Call) -> web.StreamResponse:
        filters = call.filters()
        # As in Docker an image that is not there has no containers.
        ancestors = set((await self._engine.images.ids_of(filters.get("ancestor", []))).values())
        limit = call.number("limit") or 0
        found = container_views.select(self._engine.containers, call.flag("all"), limit, filters, ancestors)
        sizes = (
            [await container_sizes(self._engine, container) for container in found]
            if call.flag("size")
            else [None] * len(found)
        )
        linked_as = self._engine.links.names()
        names = await self._engine.images.ids_of({container.image_name for container in found})
        return json_reply(
            [
                container_views.list_item(container, names, linked_as[container.id], size)
                for container, size in zip(found, sizes, strict=True)
            ]
        )

    async def inspect(self, call: Call) -> web.StreamResponse:
        container = self._engine.containers.find(call.name)
        sizes = await container_sizes(self._engine, container) if call.flag("size") else None
        return json_reply(container_views.inspect(container, self._engine.links.view(container), sizes))

    async def top(self, call: Call) -> web.StreamResponse:
        container = self._engine.containers.find(call.name)
        await self._engine.lifecycle.require_running(container)
        pids = await self._engine.tasks.pids(container.id)
        titles, processes = await process_list.top(pids, call.text("ps_args") or "-ef")
        self._engine.events.container("top", container)
        return json_reply({"Processes": processes, "Titles": titles})


def routes(engine: Engine) -> list[Route]:
    """Asking and making."""
    of = ContainerRoutes(engine)
    return [
        Route("POST", "/containers/create", of.create),
        Route("GET", "/containers/json", of.list_all),
        Route("GET", "/containers/ps", of.list_all),
        Route("GET", "/containers/{name}/json", of.inspect),
        Route("GET", "/containers/{name}/top", of.top),
    ]
