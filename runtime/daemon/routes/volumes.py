"""Volumes: what `-v name:/path` needs (moby: api/server/router/volume)."""

from aiohttp import web

from runtime.daemon.call import Call, empty_reply, json_reply
from runtime.daemon.engine import Engine
from runtime.daemon.errors import InvalidParameterError, NotFoundError, ServerError
from runtime.daemon.filters import has_labels, is_like, refuse_unknown, truth
from runtime.daemon.json_types import check_types
from runtime.daemon.router import Route

_FILTERS = ("dangling", "driver", "label", "name")


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
            wanted = call.filters()
        except ServerError as error:
            raise InvalidParameterError(f"error reading volume filters: {error.message}") from error
        refuse_unknown(wanted, _FILTERS)
        dangling = truth("dangling", wanted.get("dangling", []))
        found = [
            volume
            for volume in self._volumes.all()
            if any(is_like(volume["Name"], pattern) for pattern in wanted.get("name") or [""])
            and volume["Driver"] in (wanted.get("driver") or [volume["Driver"]])
            and has_labels(volume["Labels"], wanted.get("label", []))
            and dangling in (None, not self._users(volume["Name"]))
        ]
        return json_reply({"Volumes": found, "Warnings": None})

    async def create(self, call: Call) -> web.StreamResponse:
        body = await call.json()
        check_types(
            "VolumeCreateBody", body, {"Name": str, "Driver": str, "Labels": {str: str}, "DriverOpts": {str: str}}
        )
        volume = self._volumes.create(
            body.get("Name") or "", body.get("Labels"), body.get("Driver") or "local", body.get("DriverOpts")
        )
        return json_reply(volume, 201)

    async def inspect(self, call: Call) -> web.StreamResponse:
        return json_reply(self._volumes.inspect(call.name))

    async def remove(self, call: Call) -> web.StreamResponse:
        try:
            self._volumes.remove(call.name, self._users(call.name))
        except NotFoundError:
            if not call.flag("force"):
                raise
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
