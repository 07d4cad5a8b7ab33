"""Networks: make, list, inspect, remove, connect, disconnect (moby: api/server/router/network)."""

from collections.abc import Callable

from aiohttp import web

from runtime.daemon.call import Call, empty_reply, json_reply
from runtime.daemon.engine import Engine
from runtime.daemon.errors import InvalidParameterError
from runtime.daemon.filters import has_labels, refuse_unknown, truth
from runtime.daemon.network import Network
from runtime.daemon.router import Route

_FILTERS = ("dangling", "driver", "id", "label", "name", "scope", "type")


class NetworkRoutes:
    """What clients do with networks."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._networks = engine.networks

    async def list_all(self, call: Call) -> web.StreamResponse:
        filters = call.filters()
        refuse_unknown(filters, _FILTERS)
        if len(set(filters.get("dangling", []))) > 1:
            raise InvalidParameterError('got more than one value for filter key "dangling"')
        dangling = truth("dangling", filters.pop("dangling", []))
        found = [network for network in self._networks.all() if self._matches(network, filters, dangling)]
        return json_reply([self._networks.view(network, []) for network in found])

    def _matches(self, network: Network, filters: dict[str, list[str]], dangling: bool | None) -> bool:
        """Every key must fit; of a key's values one is enough, except for labels."""
        unused = not network.predefined and not self._networks.endpoints_of(network)
        tests: dict[str, Callable[[str], bool]] = {
            "name": lambda value: value in network.name,
            "id": network.id.startswith,
            "driver": lambda value: value == network.driver,
            "type": lambda value: value == ("builtin" if network.predefined else "custom"),
            "scope": lambda value: value == "local",
        }
        fits = dangling in (None, unused) and has_labels(network.labels, filters.get("label", []))
        return fits and all(
            any(tests[key](value) for value in values) for key, values in filters.items() if key != "label" and values
        )

    async def create(self, call: Call) -> web.StreamResponse:
        network = self._networks.create(await call.json())
        return json_reply({"Id": network.id, "Warning": ""}, 201)

    async def inspect(self, call: Call) -> web.StreamResponse:
        return json_reply(self._networks.view(self._networks.find(call.name), self._engine.containers.all()))

    async def remove(self, call: Call) -> web.StreamResponse:
        self._networks.remove(self._networks.find(call.name))
        return empty_reply()

    async def connect(self, call: Call) -> web.StreamResponse:
        network, body = self._networks.find(call.name), await call.json()
        container = self._engine.containers.find(_named_container(body))
        settings = body.get("EndpointConfig") or {}
        if not isinstance(settings, dict):
            raise InvalidParameterError("invalid request: cannot read EndpointConfig as dict")
        await self._engine.sandboxes.connect(network, container, settings)
        return empty_reply(200)

    async def disconnect(self, call: Call) -> web.StreamResponse:
        network = self._networks.find(call.name)
        container = self._engine.containers.find(_named_container(await call.json()))
        await self._engine.sandboxes.disconnect(network, container)
        return empty_reply(200)


def _named_container(body: dict[str, object]) -> str:
    name = body.get("Container")
    if not isinstance(name, str):
        raise InvalidParameterError("invalid request: cannot read Container as str")
    return name


def routes(engine: Engine) -> list[Route]:
    """All of them."""
    of = NetworkRoutes(engine)
    return [
        Route("GET", "/networks", of.list_all),
        Route("POST", "/networks/create", of.create),
        Route("GET", "/networks/{name}", of.inspect),
        Route("DELETE", "/networks/{name}", of.remove),
        Route("POST", "/networks/{name}/connect", of.connect),
        Route("POST", "/networks/{name}/disconnect", of.disconnect),
    ]
