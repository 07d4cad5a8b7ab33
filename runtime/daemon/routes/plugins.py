"""Plugins: there are none, and none can be installed (moby: api/server/router/plugin)."""

from aiohttp import web

from runtime.daemon.call import Call, json_reply
from runtime.daemon.engine import Engine
from runtime.daemon.errors import NotFoundError
from runtime.daemon.router import Route


async def _list_all(call: Call) -> web.StreamResponse:
    return json_reply([])


async def _not_found(call: Call) -> web.StreamResponse:
    raise NotFoundError(f'plugin "{call.name}" not found')


def routes(engine: Engine) -> list[Route]:
    """The answers of a dockerd that has none; installing one is in `outside.py`."""
    verbs = ("enable", "disable", "push", "set", "upgrade")
    return [
        Route("GET", "/plugins", _list_all),
        Route("GET", "/plugins/{name}/json", _not_found),
        Route("DELETE", "/plugins/{name}", _not_found),
        *(Route("POST", f"/plugins/{{name}}/{verb}", _not_found) for verb in verbs),
    ]
