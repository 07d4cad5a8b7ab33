"""Which function answers which path (moby: api/server/router).

A route's pattern is written as in the Engine API reference: `/containers/{name}/json`. Every path also works behind
`/v1.NN`; the version is checked here, once, and no answer depends on it: the newest one that is served is 1.41.
"""

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from aiohttp import web

from runtime.daemon.call import API_VERSION, MIN_API_VERSION, Call
from runtime.daemon.errors import InvalidParameterError, NotFoundError

Answer = Callable[[Call], Awaitable[web.StreamResponse]]

_VERSION = re.compile(r"/v(\d+)\.(\d+)(?=/)")


@dataclass(frozen=True)
class Route:
    """One method, or `*` for any, and path, and the function that answers it."""

    method: str
    pattern: str
    answer: Answer
    streams: bool = False
    """The reply lasts as long as the client listens; when the client leaves, the function is cancelled. All other
    functions run to their end whatever the client does, so that no container is left half started."""


class Router:
    """All routes, looked up by method and path."""

    def __init__(self, routes: list[Route]) -> None:
        self._routes = [(route, re.compile(_expression(route.pattern))) for route in routes]

    def find(self, method: str, path: str) -> tuple[Route, dict[str, str]]:
        """The route for a path and the words that its braces stand for."""
        for route, expression in self._routes:
            if route.method in (method, "*") and (match := expression.fullmatch(path)):
                return route, match.groupdict()
        raise NotFoundError("page not found")


def _expression(pattern: str) -> str:
    # An image's name has slashes, and a container's may be written with one in front: /containers//c1/json.
    return re.sub(r"\{(\w+)\}", r"/?(?P<\1>.+?)", pattern)


def split_version(path: str) -> tuple[tuple[int, int], str]:
    """The version that a path begins with, the newest where it says none, and the path behind it."""
    match = _VERSION.match(path)
    return (_pair(f"{match[1]}.{match[2]}"), path[match.end() :]) if match else (_pair(API_VERSION), path)


def check_version(version: tuple[int, int]) -> None:
    """Refuse a version that is not spoken."""
    said = f"client version {version[0]}.{version[1]}"
    if version > _pair(API_VERSION):
        raise InvalidParameterError(f"{said} is too new. Maximum supported API version is {API_VERSION}")
    if version < _pair(MIN_API_VERSION):
        raise InvalidParameterError(
            f"{said} is too old. Minimum supported API version is {MIN_API_VERSION}, "
            "please upgrade your client to a newer version"
        )


def _pair(version: str) -> tuple[int, int]:
    major, minor = version.split(".")
    return int(major), int(minor)
