"""A repository in a registry, spoken to over HTTP (OCI distribution-spec, "Pull"; registry_auth.py for the tokens).

    daemon -> registry   GET /v2/                                     is it one, and whom does it let in?
    daemon -> registry   GET /v2/library/alpine/manifests/latest      Accept: manifests and indexes
    daemon -> registry   GET /v2/library/alpine/blobs/sha256:...      Range: bytes=N-, where a part is here already

What comes back is checked by who stores it: the content store compares every blob with its digest. A connection that
breaks is taken up again where it broke.
"""

import json
import os
from collections.abc import AsyncGenerator, AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import aiohttp

from runtime.daemon.errors import ApiError
from runtime.daemon.image_content import CHUNK_BYTES
from runtime.daemon.platforms import INDEX_TYPES
from runtime.daemon.registry_auth import Challenge, Credentials, read_challenge
from runtime.daemon.registry_endpoints import Endpoint, GetentResolver

MANIFEST_TYPES = (
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)
_DOCUMENT_BYTES = 4 << 20
"""The largest manifest that registries must take (distribution-spec)."""
_ERROR_BYTES = 64 << 10
_ATTEMPTS = 5
"""So many times in a row a connection may break before anything has come."""
_LOST = (aiohttp.ClientPayloadError, aiohttp.ServerDisconnectedError, aiohttp.ClientOSError)


class RegistryError(ApiError):
    """A registry could not be reached, or said no. `code` is the registry's own word for it."""

    def __init__(self, message: str, code: str = "") -> None:
        super().__init__(message)
        self.code = code


class Manifest(NamedTuple):
    """A manifest or an index as it came."""

    media_type: str
    data: bytes


@asynccontextmanager
async def open_session() -> AsyncIterator[aiohttp.ClientSession]:
    """Connections for one pull. None of them ever times out: a registry that is slow is not gone."""
    connector = aiohttp.TCPConnector(limit=0, resolver=GetentResolver())
    async with aiohttp.ClientSession(
        connector=connector,
        timeout=aiohttp.ClientTimeout(total=None, connect=None, sock_connect=None, sock_read=None),
        auto_decompress=False,
        read_bufsize=CHUNK_BYTES,
        cookie_jar=aiohttp.DummyCookieJar(),
        headers={"User-Agent": "glassbottom", "Accept-Encoding": "identity"},
    ) as session:
        yield session


class Repository:
    """One repository, by one way to reach its registry."""

    def __init__(self, session: aiohttp.ClientSession, endpoint: Endpoint, path: str, credentials: Credentials) -> None:
        self._session, self._endpoint, self._path, self._credentials = session, endpoint, path, credentials
        self._challenge: Challenge | None = None
        self._authorization = ""

    @property
    def _base(self) -> str:
        return f"{self._endpoint.url}/v2/"

    async def log_in(self) -> str:
        """Find out, after `ping`, whether the credentials are good for anything; returns an identity token, if any.

        Raises RegistryError. The path is left unread: no scope is asked for.
        """
        identity = authorization = ""
        if self._challenge is not None and self._challenge.scheme == "bearer":
            document = await self._token(
                self._challenge.parameters, self._base, {"offline_token": "true", "client_id": "docker"}
            )
            identity = str(document.get("refresh_token") or "")
            authorization = f"Bearer {_token_in(document)}"
        elif self._challenge is not None:
            authorization = await self._answer(self._challenge, self._base)
        # Where there is no challenge that we understand, either everybody is let in, or nobody who says nothing.
        async with self._get(self._base, {"Authorization": authorization} if authorization else {}) as reply:
            if reply.status != 200:
                raise RegistryError(f"login attempt to {self._base} failed with status: {reply.status} {reply.reason}")
        return identity

    async def ping(self) -> None:
        """Find out whether a registry answers, and what it wants to know of us."""
        async with self._get(self._base, {}) as reply:
            if reply.status == 401:
                self._challenge = read_challenge(reply.headers.getall("WWW-Authenticate", []))
            elif reply.status != 200:
                raise await _refusal(reply)

    async def manifest(self, reference: str) -> Manifest:
        """The manifest or index of a tag or digest. Raises RegistryError."""
        accept = ", ".join((*MANIFEST_TYPES, *INDEX_TYPES))
        async with self._authorized(f"manifests/{reference}", {"Accept": accept}) as reply:
            return Manifest(reply.content_type, await _read(reply))

    async def tags(self) -> list[str]:
        """All tags of the repository."""
        async with self._authorized("tags/list", {}) as reply:
            data = await _read(reply)
        try:
            return [str(tag) for tag in json.loads(data)["tags"] or []]
        except (ValueError, KeyError, TypeError) as error:
            raise RegistryError(f"the registry's list of tags cannot be read: {error}") from error

    async def document(self, digest: str) -> bytes:
        """A small blob, the config."""
        async with self._authorized(f"blobs/{digest}", {}) as reply:
            return await _read(reply)

    async def blob(self, digest: str, offset: int) -> AsyncGenerator[bytes, None]:
        """A blob from an offset on. Raises RegistryError."""
        failures = 0
        while True:
            try:
                headers = {"Range": f"bytes={offset}-"} if offset else {}
                async with self._authorized(f"blobs/{digest}", headers) as reply:
                    skip = offset if reply.status == 200 else 0
                    async for piece in reply.content.iter_chunked(CHUNK_BYTES):
                        part, skip = piece[skip:], max(0, skip - len(piece))
                        if part:
                            offset, failures = offset + len(part), 0
                            yield part
                return
            except _LOST as error:
                failures += 1
                if failures == _ATTEMPTS:
                    raise RegistryError("unexpected EOF") from error

    @asynccontextmanager
    async def _authorized(self, what: str, headers: dict[str, str]) -> AsyncIterator[aiohttp.ClientResponse]:
        """GET something of the repository; a token that has run out is asked for anew, once."""
        url = f"{self._base}{self._path}/{what}"
        for last in (False, True):
            if not self._authorization and self._challenge:
                self._authorization = await self._answer(self._challenge, url)
            with_token = headers | ({"Authorization": self._authorization} if self._authorization else {})
            async with self._get(url, with_token) as reply:
                if reply.status == 401 and not last and self._challenge and self._challenge.scheme == "bearer":
                    self._authorization = ""
                    continue
                if reply.status not in (200, 206):
                    raise await _refusal(reply)
                yield reply
                return

    async def _answer(self, challenge: Challenge, url: str) -> str:
        """The value of the Authorization header that the challenge asks for."""
        if self._credentials.registry_token:
            return f"Bearer {self._credentials.registry_token}"
        if challenge.scheme == "basic":
            if not self._credentials.basic:
                raise RegistryError(f'Get "{url}": no basic auth credentials')
            return self._credentials.basic
        scope = {"scope": f"repository:{self._path}:pull"}
        return f"Bearer {_token_in(await self._token(challenge.parameters, url, scope))}"

    async def _token(self, parameters: dict[str, str], url: str, wish: dict[str, str]) -> dict[str, Any]:
        realm, user = parameters.get("realm", ""), self._credentials
        if urlsplit(realm).scheme not in ("http", "https") or not urlsplit(realm).hostname:
            raise RegistryError(f'Get "{url}": unsupported realm for token auth: "{realm}"')
        query = {"service": parameters.get("service", "")} | wish
        if user.identity_token:
            form = query | {"grant_type": "refresh_token", "refresh_token": user.identity_token, "client_id": "docker"}
            request = self._session.post(realm, data=form, **self._endpoint.request_options(realm))
        else:
            headers = {"Authorization": user.basic} if user.basic else {}
            account = {"account": user.username} if user.username else {}
            options = self._endpoint.request_options(realm)
            request = self._session.get(realm, params=query | account, headers=headers, **options)
        async with _explained(realm), request as reply:
            if reply.status != 200:
                error = await _refusal(reply)
                raise RegistryError(f'Get "{url}": {error.message}', error.code)
            data = await _read(reply)
        try:
            document = json.loads(data)
        except ValueError:
            document = None
        return document if isinstance(document, dict) else {}

    @asynccontextmanager
    async def _get(self, url: str, headers: dict[str, str]) -> AsyncIterator[aiohttp.ClientResponse]:
        async with _explained(url):
            reply = await self._session.get(url, headers=headers, **self._endpoint.request_options(url))
        async with reply:
            yield reply


async def reach(
    session: aiohttp.ClientSession, ways: Iterable[Endpoint], path: str, credentials: Credentials
) -> Repository:
    """A repository by the first way on which a registry answers. Raises RegistryError: what the last of them said."""
    failure = RegistryError("there is no way to the registry")
    for way in ways:
        repository = Repository(session, way, path, credentials)
        try:
            await repository.ping()
        except RegistryError as error:
            failure = error
            continue
        return repository
    raise failure


def _token_in(document: dict[str, Any]) -> str:
    token = document.get("token") or document.get("access_token")
    if not isinstance(token, str):
        raise RegistryError("authorization server did not include a token in the response")
    return token


@asynccontextmanager
async def _explained(url: str) -> AsyncIterator[None]:
    """Turn what aiohttp and the kernel say into the sentences of Go's net/http, which people search the web for."""
    try:
        yield
    except aiohttp.ClientConnectorDNSError as error:
        raise RegistryError(f'Get "{url}": dial tcp: lookup {error.host}: no such host') from error
    except aiohttp.ClientConnectorCertificateError as error:
        raise RegistryError(f'Get "{url}": x509: {error.certificate_error}') from error
    except aiohttp.ClientConnectorSSLError as error:
        raise RegistryError(f'Get "{url}": http: server gave HTTP response to HTTPS client') from error
    except aiohttp.ClientConnectorError as error:
        failed = error.os_error
        reason = os.strerror(failed.errno).lower() if failed.errno else str(failed)
        raise RegistryError(f'Get "{url}": dial tcp {error.host}:{error.port}: connect: {reason}') from error
    except aiohttp.ServerDisconnectedError as error:
        raise RegistryError(f'Get "{url}": EOF') from error
    except (aiohttp.ClientError, ValueError, OSError) as error:
        raise RegistryError(f'Get "{url}": {error}') from error


async def _read(reply: aiohttp.ClientResponse) -> bytes:
    data = bytearray()
    try:
        async for piece in reply.content.iter_any():
            data += piece
            if len(data) > _DOCUMENT_BYTES:
                raise RegistryError(f'Get "{reply.url}": more than {_DOCUMENT_BYTES} bytes')
    except _LOST as error:
        raise RegistryError(f'Get "{reply.url}": unexpected EOF') from error
    return bytes(data)


async def _refusal(reply: aiohttp.ClientResponse) -> RegistryError:
    """A registry's errors: {"errors": [{"code": "MANIFEST_UNKNOWN", "message": "manifest unknown"}]}."""
    challenge = read_challenge(reply.headers.getall("WWW-Authenticate", [])) if reply.status == 401 else None
    if challenge and challenge.parameters.get("error") == "insufficient_scope":
        # The token is good, and not good for this: the header says it, the body only that one should log in.
        return RegistryError("denied: requested access to the resource is denied", "DENIED")
    text = (await reply.content.read(_ERROR_BYTES)).decode(errors="replace")
    try:
        document: Any = json.loads(text)
        errors = document.get("errors") or [{"code": "unknown", "message": document["details"]}]
        pairs = [(str(error["code"]), str(error.get("message") or error["code"])) for error in errors]
    except (ValueError, KeyError, TypeError, AttributeError):
        if reply.status >= 500:
            return RegistryError(f"received unexpected HTTP status: {reply.status} {reply.reason}")
        return RegistryError(f"error parsing HTTP {reply.status} response body: no JSON: {json.dumps(text[:512])}")
    lines = [f"{code.lower().replace('_', ' ')}: {message}" for code, message in pairs]
    return RegistryError(lines[0] if len(lines) == 1 else "errors:\n" + "\n".join(lines) + "\n", pairs[0][0])
