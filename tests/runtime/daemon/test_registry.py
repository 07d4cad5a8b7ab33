"""Speaking to a registry: certificates, redirects, and sentences for what cannot be reached."""

import shutil
import ssl
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from runtime.daemon import registry_endpoints
from runtime.daemon.registry import RegistryError, Repository, open_session
from runtime.daemon.registry_auth import Credentials
from runtime.daemon.registry_endpoints import Endpoint
from tests.registries import FakeRegistry, build, certify, free_port, layer_of


class _Yes(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def tls_server(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """A server with a certificate that signs itself; its URL and the certificate."""
    if shutil.which("openssl") is None:
        pytest.skip("not installed: openssl")
    key, certificate = certify(tmp_path / "tls")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server = HTTPServer(("127.0.0.1", 0), _Yes)
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield f"https://127.0.0.1:{server.server_port}", certificate
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture(autouse=True)
def _certificates_are_read_anew() -> Iterator[None]:
    yield
    registry_endpoints.tls_context.cache_clear()


async def ping(url: str, *, verified: bool = True) -> None:
    async with open_session() as session:
        await Repository(session, Endpoint(url, verified), "x", Credentials()).ping()


async def test_certificate_must_be_good_or_not_asked_for(
    tls_server: tuple[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Refused while nobody has signed it, taken where SSL_CERT_FILE says so, and where it does not matter."""
    url, certificate = tls_server

    with pytest.raises(RegistryError, match=r"x509: .*self.signed certificate"):
        await ping(url)
    await ping(url, verified=False)
    registry_endpoints.tls_context.cache_clear()
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    await ping(url)


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("http://127.0.0.1:PORT", "dial tcp 127.0.0.1:PORT: connect: connection refused"),
        ("http://nosuch.invalid", "dial tcp: lookup nosuch.invalid: no such host"),
        ("https://127.0.0.1:FAKE", "http: server gave HTTP response to HTTPS client"),
    ],
)
async def test_what_cannot_be_reached_is_said_as_go_says_it(url: str, sentence: str) -> None:
    """The sentences of Go's net/http, with the URL that was asked for."""
    fake = FakeRegistry()
    port = str(free_port())
    for name, value in (("127.0.0.1:FAKE", fake.host), ("PORT", port)):
        url, sentence = url.replace(name, value), sentence.replace(name, value)

    try:
        with pytest.raises(RegistryError) as failure:
            await ping(url)
    finally:
        fake.close()

    assert failure.value.message == f'Get "{url}/v2/": {sentence}'


async def test_password_does_not_follow_a_redirect_to_another_host() -> None:
    """Blobs lie elsewhere often; what lets us into the registry is not for that place."""
    image = build(layer_of({"a": b"a"}))
    digest = image.layers()[0]
    registry, elsewhere = FakeRegistry(), FakeRegistry()
    elsewhere.images["x:1"] = image
    moved = {"Location": f"http://{elsewhere.host}/v2/x/blobs/{digest}"}
    challenge = {"WWW-Authenticate": 'Basic realm="r"'}
    registry.answer = lambda path, _: (401, challenge, b"") if path == "/v2/" else (307, moved, b"")
    try:
        async with open_session() as session:
            repository = Repository(session, Endpoint(f"http://{registry.host}"), "x", Credentials("u", "secret"))
            await repository.ping()
            blob = b"".join([piece async for piece in repository.blob(digest, 0)])
    finally:
        registry.close()
        elsewhere.close()

    assert blob == image.blobs[digest]
    assert "Authorization" in registry.asked[-1][1]
    assert "Authorization" not in elsewhere.asked[-1][1]


async def test_registry_that_knows_no_ranges_is_read_from_the_start() -> None:
    """200 instead of 206: what is here already is passed over."""
    image = build(layer_of({"a": b"a" * 5000}), compress=bytes, kind="")
    digest = image.layers()[0]
    registry = FakeRegistry()
    registry.answer = lambda path, _: (200, {}, image.blobs[digest]) if "/blobs/" in path else None
    try:
        async with open_session() as session:
            repository = Repository(session, Endpoint(f"http://{registry.host}"), "x", Credentials())
            rest = b"".join([piece async for piece in repository.blob(digest, 1234)])
    finally:
        registry.close()

    assert rest == image.blobs[digest][1234:]


@pytest.mark.parametrize("challenge", [{}, {"WWW-Authenticate": "Negotiate"}])
async def test_login_where_nothing_is_asked_that_can_be_answered_fails(challenge: dict[str, str]) -> None:
    """A registry that says 401 without a challenge we know has let nobody in, whatever the password."""
    registry = FakeRegistry()
    registry.answer = lambda *_: (401, challenge, b"")
    try:
        async with open_session() as session:
            repository = Repository(session, Endpoint(f"http://{registry.host}", True), "x", Credentials("me", "any"))
            await repository.ping()
            with pytest.raises(RegistryError, match="failed with status: 401"):
                await repository.log_in()
    finally:
        registry.close()
