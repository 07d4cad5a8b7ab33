"""What this daemon leaves out, refused by name rather than as an unknown path.

The measure is `docker run`: its flags and what it takes to look at their effects. Building, distributing and clustering
are other programs' stories.
"""

from collections.abc import Awaitable, Callable

from aiohttp import web

from runtime.daemon.call import Call
from runtime.daemon.engine import Engine
from runtime.daemon.errors import NotModeledError
from runtime.daemon.router import Route

REFUSED = (
    ("POST", "/build", "building images"),
    ("POST", "/build/prune", "building images"),
    ("POST", "/session", "building images"),
    ("POST", "/commit", "committing a container to an image"),
    ("POST", "/images/{name}/push", "pushing images"),
    ("POST", "/images/prune", "pruning images"),
    ("GET", "/images/search", "searching a registry"),
    ("GET", "/distribution/{name}/json", "asking a registry"),
    ("POST", "/containers/prune", "pruning containers"),
    ("POST", "/containers/{name}/update", "updating a container's limits"),
    ("GET", "/containers/{name}/attach/ws", "attaching by WebSocket"),
    ("GET", "/containers/{name}/checkpoints", "checkpoints"),
    ("POST", "/containers/{name}/checkpoints", "checkpoints"),
    ("POST", "/networks/prune", "pruning networks"),
    ("POST", "/volumes/prune", "pruning volumes"),
    ("GET", "/plugins/privileges", "installing plugins"),
    ("POST", "/plugins/pull", "installing plugins"),
    ("POST", "/plugins/create", "installing plugins"),
    *(
        ("*", f"/{what}{rest}", "swarm mode")
        for what in ("swarm", "nodes", "services", "tasks", "secrets", "configs")
        for rest in ("", "/{name}")
    ),
)
"""Method (`*`: any), path, and what it would be. FIDELITY.md is made from this."""


def _refusal(what: str) -> Callable[[Call], Awaitable[web.StreamResponse]]:
    async def refuse(call: Call) -> web.StreamResponse:
        raise NotModeledError(f"{what}: not modelled by the glassbottom daemon")

    return refuse


def routes(engine: Engine) -> list[Route]:
    """One route for each."""
    return [Route(method, pattern, _refusal(what)) for method, pattern, what in REFUSED]
