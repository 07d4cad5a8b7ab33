"""Networks: the three that always exist (moby: api/server/router/network)."""

from aiohttp import web

from runtime.daemon.call import Call, json_reply
from runtime.daemon.engine import Engine
from runtime.daemon.errors import ForbiddenError
from runtime.daemon.router import Route


class NetworkRoutes:
    """List and inspect."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._networks = engine.networks

    async def list_all(self, call: Call) -> web.StreamResponse:
        views = [self._networks.view(name, []) for name in self._networks.names]
        filters = call.filters()
        wanted = {key: filters.get(key, []) for key in ("name", "id", "driver", "type")}
        return json_reply(
            [
                view
                for view in views
                if (not wanted["name"] or any(text in view["Name"] for text in wanted["name"]))
                and (not wanted["id"] or any(view["Id"].startswith(text) for text in wanted["id"]))
                and (not wanted["driver"] or view["Driver"] in wanted["driver"])
                and (not wanted["type"] or "builtin" in wanted["type"])
            ]
        )

    async def inspect(self, call: Call) -> web.StreamResponse:
        return json_reply(self._networks.view(self._networks.find(call.name), self._engine.containers.all()))

    async def remove(self, call: Call) -> web.StreamResponse:
        raise ForbiddenError(f"{self._networks.find(call.name)} is a pre-defined network and cannot be removed")


def routes(engine: Engine) -> list[Route]:
    """All of them."""
    of = NetworkRoutes(engine)
    return [
        Route("GET", "/networks", of.list_all),
        Route("GET", "/networks/{name}", of.inspect),
        Route("DELETE", "/networks/{name}", of.remove),
    ]
