"""`docker login`: ask a registry whether it knows a user (moby: registry/service.go Auth, registry/auth.go loginV2).

    client -> daemon     POST /auth {"username", "password", "serveraddress"}
    daemon -> registry   GET /v2/                         401, WWW-Authenticate
    daemon -> registry   GET /v2/ with the password, or with a token that was got for it
    daemon -> client     200 {"Status": "Login Succeeded"}

Nothing is kept here: the client puts the password away, and sends it with each pull.
"""

from typing import Any
from urllib.parse import urlsplit

from aiohttp import web

from runtime.daemon.call import Call, json_reply
from runtime.daemon.engine import Engine
from runtime.daemon.errors import InvalidParameterError, ServerError, UnreadableError
from runtime.daemon.json_types import check_types
from runtime.daemon.registry import open_session, reach
from runtime.daemon.registry_auth import Credentials
from runtime.daemon.registry_endpoints import endpoints
from runtime.daemon.router import Route

_FIELDS = ("username", "password", "identitytoken", "registrytoken")
_TYPES: dict[str, Any] = dict.fromkeys((*_FIELDS, "serveraddress", "auth", "email"), str)
_HUB = ("docker.io", "index.docker.io")


class AuthRoutes:
    """Asking registries about users."""

    def __init__(self, engine: Engine) -> None:
        self._insecure = engine.options.insecure_registries

    async def log_in(self, call: Call) -> web.StreamResponse:
        try:
            asked = await call.json(no_body="EOF")
            check_types("AuthConfig", asked, _TYPES)
        except UnreadableError as error:
            raise ServerError(error.message) from error  # not classified by dockerd, as in POST /containers/create
        credentials = Credentials(*(asked.get(field) or "" for field in _FIELDS))
        token = await self._ask(_domain(asked.get("serveraddress") or ""), credentials)
        return json_reply({"IdentityToken": token, "Status": "Login Succeeded"})

    async def _ask(self, domain: str, credentials: Credentials) -> str:
        """Try the ways to reach the registry; what the one that answers says is final."""
        async with open_session() as session:
            registry = await reach(session, endpoints(domain, (), self._insecure), "", credentials)
            return await registry.log_in()


def _domain(address: str) -> str:
    """The registry of `host:port` or of a URL; Docker Hub where none is said."""
    try:
        host = urlsplit(address if "://" in address else f"https://{address}").netloc or _HUB[0]
    except ValueError as error:
        raise InvalidParameterError(f"unable to parse server address: {error}") from error
    return _HUB[0] if host in _HUB else host


def routes(engine: Engine) -> list[Route]:
    """The one."""
    return [Route("POST", "/auth", AuthRoutes(engine).log_in)]
