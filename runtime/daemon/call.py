"""One Engine API request as the routes see it, read the way dockerd reads it (moby: api/server/httputils)."""

import json
import re
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from runtime.daemon import json_text
from runtime.daemon.errors import InvalidParameterError, ServerError, UnreadableError
from runtime.daemon.json_types import kind_of

_FALSE_WORDS = ("", "0", "no", "false", "none")

API_VERSION = "1.41"
MIN_API_VERSION = "1.12"
SERVER_VERSION = "20.10.24"
"""The dockerd whose answers we were compared with; clients parse this as a version number."""

COMMON_HEADERS = {
    "Api-Version": API_VERSION,
    "Docker-Experimental": "false",
    "Ostype": "linux",
    "Server": f"Docker/{SERVER_VERSION} (linux; glassbottom)",
}


@dataclass(frozen=True)
class Call:
    """A request, the words taken out of its path, and ways to read what it asks.

    A parameter that cannot be read is a 500, a body a 400: dockerd classifies the second kind of error, not the first.
    """

    request: web.BaseRequest
    words: dict[str, str]
    """Named parts of the path: {"name": "c1"}."""

    @property
    def name(self) -> str:
        """The container, image, network, volume or exec that the path names."""
        return self.words["name"]

    def text(self, key: str, default: str = "") -> str:
        """A query parameter as it was sent."""
        return self.request.query.get(key, default)

    def flag(self, key: str, default: bool = False) -> bool:
        """A query parameter as dockerd's BoolValue: everything that is not a word for no means yes."""
        value = self.request.query.get(key)
        return default if value is None else value.strip().lower() not in _FALSE_WORDS

    def number(self, key: str) -> int | None:
        """A query parameter as a whole number; absent or empty is None."""
        value = self.request.query.get(key, "")
        if not value:
            return None
        number = int(value) if re.fullmatch(r"[+-]?\d{1,19}", value, re.ASCII) else None
        if number is None or not -(2**63) <= number < 2**63:
            why = "value out of range" if re.fullmatch(r"[+-]?\d+", value, re.ASCII) else "invalid syntax"
            raise ServerError(f'strconv.Atoi: parsing "{value}": {why}')
        return number

    def filters(self) -> dict[str, list[str]]:
        """The `filters` parameter in both shapes: {"name":["c1"]} and {"name":{"c1":true}}."""
        text = self.text("filters")
        if not text:
            return {}
        try:
            document = json_text.decode_whole(text)
        except UnreadableError as error:
            raise ServerError(error.message) from error
        if not isinstance(document, dict):
            raise ServerError(
                f"json: cannot unmarshal {kind_of(document)} into Go value of type map[string]map[string]bool"
            )
        found: dict[str, list[str]] = {}
        for key, values in document.items():
            if isinstance(values, dict):
                found[key] = [str(value) for value, wanted in values.items() if wanted]
            elif isinstance(values, list):
                found[key] = [str(value) for value in values]
            else:
                raise ServerError(f"json: cannot unmarshal {kind_of(values)} into Go value of type map[string]bool")
        return found

    async def json(self, no_body: str = "got EOF while reading request body") -> dict[str, Any]:
        """The JSON object in the body. Raises UnreadableError, which says `no_body` where there is none."""
        body = (await self.request.read()).decode(errors="replace")
        if not body.strip():
            raise UnreadableError(no_body)
        if self.request.content_type != "application/json":
            raise InvalidParameterError(
                f"Content-Type specified ({self.request.content_type}) must be 'application/json'"
            )
        document, _ = json_text.decode(body)  # what follows the value is left unread, as in dockerd
        if not isinstance(document, dict | None):
            raise UnreadableError(f"json: cannot unmarshal {kind_of(document)} into Go value of type struct")
        return document or {}


def json_reply(document: object, status: int = 200) -> web.Response:
    """A JSON body with the final newline that Go's encoder writes."""
    return web.Response(
        body=json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode() + b"\n",
        status=status,
        headers=COMMON_HEADERS,
        content_type="application/json",
    )


def error_reply(message: str, status: int, as_text: bool = False) -> web.Response:
    """The one shape of every refusal; clients that speak a version older than 1.24 get the text alone."""
    if not as_text:
        return json_reply({"message": message}, status)
    headers = {**COMMON_HEADERS, "X-Content-Type-Options": "nosniff"}
    return web.Response(text=f"{message}\n", status=status, headers=headers)


def empty_reply(status: int = 204) -> web.Response:
    """A status that says it all."""
    return web.Response(status=status, headers=COMMON_HEADERS)


async def stream_reply(call: Call, content_type: str, headers: dict[str, str] | None = None) -> web.StreamResponse:
    """Begin a body that comes in pieces; the headers leave at once, since the CLI waits for them before it goes on."""
    reply = web.StreamResponse(headers={**COMMON_HEADERS, "Content-Type": content_type, **(headers or {})})
    reply.enable_chunked_encoding()
    await reply.prepare(call.request)
    return reply
