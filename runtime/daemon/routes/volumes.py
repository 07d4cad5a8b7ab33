"""Volumes: what `-v name:/path` needs (moby: api/server/router/volume)."""

from aiohttp import web

from runtime.daemon.call import Call, empty_reply, json_reply
from runtime.daemon.engine import Engine
from runtime.daemon.errors import InvalidParameterError, ServerError
from runtime.daemon.json_types import check_types
from runtime.daemon.router import Route


class VolumeRoutes:
    """List, create, inspect, remove."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._volumes = engine.volumes

    def _users(self, name: str) -> list[str]:
        return [
            container.id
            for container in self._engine.containers.all()
            if any(point.volume == name for point in container.mount_points)
        ]

    async def list_all(self, call: Call) -> web.StreamResponse:
        try:
            names = call.filters().get("name", [])
        except ServerError as error:
            raise InvalidParameterError(f"error reading volume filters: {error.message}") from error
        found = [v for v in self._volumes.all() if not names or any(name in v["Name"] for name in names)]
        return json_reply({"Volumes": found, "Warnings": None})

    async def create(self, call: Call) -> web.StreamResponse:
        body = await call.json()
        check_types(
            "VolumeCreateBody", body, {"Name": str, "Driver": str, "Labels": {str: str}, "DriverOpts": {str: str}}
        )
        volume = self._volumes.create(body.get("Name") or "", body.get("Labels"), body.get("Driver") or "local")
        return json_reply(volume, 201)

    async def inspect(self, call: Call) -> web.StreamResponse:
        return json_reply(self._volumes.inspect(call.name))

    async def remove(self, call: Call) -> web.StreamResponse:
        self._volumes.remove(call.name, self._users(call.name))
        return empty_reply()


def routes(engine: Engine) -> list[Route]:
    """All of them."""
    of = VolumeRoutes(engine)
    return [
        Route("GET", "/volumes", of.list_all),
        Route("POST", "/volumes/create", of.create),
        Route("GET", "/volumes/{name}", of.inspect),
        Route("DELETE", "/volumes/{name}", of.remove),
    ]
