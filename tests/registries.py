"""Images made by hand, Debian's docker-registry to keep them in, and a registry that misbehaves as it is told."""

import base64
import gzip
import hashlib
import io
import json
import os
import shutil
import socket
import subprocess
import tarfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar"
BUSYBOX = shutil.which("busybox") or "/bin/busybox"


def digest_of(blob: bytes) -> str:
    return f"sha256:{hashlib.sha256(blob).hexdigest()}"


def tar_of(*entries: tuple[str, bytes, dict[str, Any]]) -> bytes:
    """A layer of odd entries: name, content, and what else TarInfo is to be."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, content, fields in entries:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            for key, value in fields.items():
                setattr(info, key, value)
            tar.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def layer_of(files: dict[str, bytes | str]) -> bytes:
    """A layer: bytes are an executable file, text is where a symbolic link points to."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.mode = 0o755
            if isinstance(content, str):
                info.type, info.linkname = tarfile.SYMTYPE, content
                tar.addfile(info)
            else:
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


@dataclass
class Image:
    """An OCI image: its blobs, and the descriptor of its manifest or index."""

    blobs: dict[str, bytes] = field(default_factory=dict)
    target: dict[str, Any] = field(default_factory=dict)
    id: str = ""

    def put(self, media_type: str, blob: bytes) -> dict[str, Any]:
        digest = digest_of(blob)
        self.blobs[digest] = blob
        return {"mediaType": media_type, "digest": digest, "size": len(blob)}

    def layers(self) -> list[str]:
        return [layer["digest"] for layer in json.loads(self.blobs[self.target["digest"]])["layers"]]

    def write_layout(self, folder: Path, tag: str) -> str:
        """Write an OCI layout; returns skopeo's name for it."""
        (folder / "blobs" / "sha256").mkdir(parents=True, exist_ok=True)
        for digest, blob in self.blobs.items():
            (folder / "blobs" / "sha256" / digest[7:]).write_bytes(blob)
        (folder / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')
        entry = self.target | {"annotations": {"org.opencontainers.image.ref.name": tag}}
        (folder / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [entry]}))
        return f"oci:{folder}:{tag}"


def gzipped(layer: bytes) -> bytes:
    """The same bytes each time: without the time of day."""
    return gzip.compress(layer, mtime=0)


def build(
    *layers: bytes,
    architecture: str = "amd64",
    compress: Callable[[bytes], bytes] = gzipped,
    kind: str = "gzip",
    **config: Any,
) -> Image:
    """An image of these layers."""
    image = Image()
    descriptors = [image.put(f"{LAYER}+{kind}" if kind else LAYER, compress(layer)) for layer in layers]
    document = {
        "architecture": architecture,
        "os": "linux",
        "created": "2020-01-01T00:00:00Z",
        "config": config or {"Cmd": ["sh"], "Env": ["PATH=/bin"]},
        "rootfs": {"type": "layers", "diff_ids": [digest_of(layer) for layer in layers]},
        "history": [{"created": "2020-01-01T00:00:00Z", "created_by": f"layer {n}"} for n in range(len(layers))],
    }
    of_config = image.put(CONFIG, json.dumps(document).encode())
    image.id = of_config["digest"]
    manifest = {"schemaVersion": 2, "mediaType": MANIFEST, "config": of_config, "layers": descriptors}
    image.target = image.put(MANIFEST, json.dumps(manifest).encode())
    return image


def busybox_layer(**extra: bytes) -> bytes:
    """A layer that `sh -c` works in, and a few more files."""
    programs: dict[str, bytes | str] = {"bin/busybox": Path(BUSYBOX).read_bytes()}
    programs |= dict.fromkeys(("bin/sh", "bin/cat", "bin/echo", "bin/ls", "bin/sleep", "bin/true"), "busybox")
    return layer_of(programs | {f"etc/{name}": data for name, data in extra.items()})


def index_of(images: dict[str, Image]) -> Image:
    """One name for several machines."""
    both = Image()
    entries = []
    for architecture, image in images.items():
        both.blobs |= image.blobs
        entries.append(image.target | {"platform": {"os": "linux", "architecture": architecture}})
    document = {"schemaVersion": 2, "mediaType": INDEX, "manifests": entries}
    both.target = both.put(INDEX, json.dumps(document).encode())
    return both


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass(frozen=True)
class Registry:
    """A docker-registry that is up."""

    host: str
    folder: Path

    def push(self, image: Image, name: str, folder: Path, *credentials: str) -> None:
        """Put an image into it with skopeo."""
        source = image.write_layout(folder / name.replace("/", "-").replace(":", "-"), "x")
        trust = ["--insecure-policy", "copy", "--quiet", "--all", "--dest-tls-verify=false", *credentials]
        subprocess.run(["skopeo", *trust, source, f"docker://{self.host}/{name}"], check=True, capture_output=True)

    def blob_file(self, digest: str) -> Path:
        """Where it keeps a blob."""
        return self.folder / "data/docker/registry/v2/blobs/sha256" / digest[7:9] / digest[7:] / "data"


def certify(folder: Path) -> tuple[Path, Path]:
    """A key and a certificate for 127.0.0.1 that signs itself."""
    folder.mkdir(exist_ok=True)
    key, certificate = folder / "key.pem", folder / "certificate.pem"
    subject = ["-subj", "/CN=test", "-addext", "subjectAltName=IP:127.0.0.1", "-days", "2", "-nodes"]
    files = ["-newkey", "rsa:2048", "-keyout", str(key), "-out", str(certificate)]
    subprocess.run(["openssl", "req", "-x509", *subject, *files], check=True, capture_output=True)
    return key, certificate


@contextmanager
def docker_registry(
    folder: Path, auth: dict[str, Any] | None = None, tls: tuple[Path, Path] | None = None
) -> Iterator[Registry]:
    """Debian's docker-registry on a free port of the loopback; `tls` is a key and a certificate."""
    port = free_port()
    settings: dict[str, Any] = {
        "version": 0.1,
        "log": {"level": "error", "accesslog": {"disabled": True}},
        "storage": {"filesystem": {"rootdirectory": f"{folder}/data"}},
        "http": {"addr": f"127.0.0.1:{port}"},
    }
    if auth:
        settings["auth"] = auth
    if tls:
        settings["http"]["tls"] = {"key": str(tls[0]), "certificate": str(tls[1])}
    folder.mkdir(exist_ok=True)
    (folder / "config.yml").write_text(json.dumps(settings))  # JSON is YAML
    log = (folder / "log").open("w")
    environment = {**os.environ, "OTEL_TRACES_EXPORTER": "none"}
    program = subprocess.Popen(
        ["docker-registry", "serve", str(folder / "config.yml")], stdout=log, stderr=log, env=environment
    )
    try:
        while not _answers(port):
            assert program.poll() is None, (folder / "log").read_text()
            os.sched_yield()
        yield Registry(f"127.0.0.1:{port}", folder)
    finally:
        program.terminate()
        program.wait()
        log.close()


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


Answer = tuple[int, dict[str, str], bytes]


class FakeRegistry:
    """A registry in the test's own hands: it serves images, and `answer` may say something else instead."""

    def __init__(self) -> None:
        self.images: dict[str, Image] = {}
        """By repository and tag: `x:latest`."""
        self.answer: Callable[[str, dict[str, str]], Answer | None] = lambda path, headers: None
        self.pause_at = -1
        """How many bytes of a layer to send before waiting for `go_on`."""
        self.paused, self.go_on = threading.Event(), threading.Event()
        self.hang_up = False
        """Whether to hang up then."""
        self.asked: list[tuple[str, dict[str, str]]] = []
        registry = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                try:
                    registry.serve(self)
                except OSError:
                    self.close_connection = True

            def log_message(self, format: str, *args: object) -> None:
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, request: object, client_address: object) -> None:
                pass  # a client that was killed has hung up

        self._server = Server(("127.0.0.1", 0), Handler)
        self.host = f"127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()

    def close(self) -> None:
        self.go_on.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def serve(self, request: BaseHTTPRequestHandler) -> None:
        headers = dict(request.headers.items())
        self.asked.append((request.path, headers))
        status, extra, body = self.answer(request.path, headers) or self._find(request.path, headers)
        request.send_response(status)
        for key, value in {"Content-Length": str(len(body)), **extra}.items():
            request.send_header(key, value)
        request.end_headers()
        at = self.pause_at
        if 0 <= at < len(body) and "/blobs/" in request.path:
            request.wfile.write(body[:at])
            request.wfile.flush()
            self.paused.set()
            self.go_on.wait()
            if self.hang_up:
                request.close_connection = True
                return
            body = body[at:]
        request.wfile.write(body)

    def _find(self, path: str, headers: dict[str, str]) -> Answer:
        if path == "/v2/":
            return 200, {}, b"{}"
        repository, _, rest = path.removeprefix("/v2/").partition("/manifests/")
        if rest:
            image = self.images.get(f"{repository}:{rest}")
            digest = image.target["digest"] if image else rest
            for one in self.images.values():
                if digest in one.blobs:
                    return 200, {"Content-Type": json.loads(one.blobs[digest])["mediaType"]}, one.blobs[digest]
        digest = path.rpartition("/blobs/")[2]
        for one in self.images.values():
            if digest in one.blobs:
                start = int(headers.get("Range", "bytes=0-")[6:-1])
                return (206 if start else 200), {}, one.blobs[digest][start:]
        return 404, {}, b'{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown"}]}'


class TokenServer:
    """Who gives tokens for a docker-registry with `auth: token`: RS256, with the certificate in the header."""

    def __init__(self, folder: Path, allow: Callable[[str, str], bool]) -> None:
        self._key, self._certificate = certify(folder)
        self._allow = allow
        """(user, repository) -> may this user pull and push there?"""
        self.fake = FakeRegistry()
        self.fake.answer = self._answer

    @property
    def settings(self) -> dict[str, Any]:
        """The registry's `auth` section."""
        realm = {"realm": f"http://{self.fake.host}/token", "service": "test", "issuer": "issuer"}
        return {"token": realm | {"rootcertbundle": str(self._certificate)}}

    def _answer(self, path: str, headers: dict[str, str]) -> Answer:
        query = parse_qs(urlsplit(path).query)
        given = headers.get("Authorization", "")
        user, _, password = base64.b64decode(given.removeprefix("Basic ")).decode().partition(":")
        if given and password != "secret":
            return 401, {}, b'{"errors":[{"code":"UNAUTHORIZED","message":"incorrect username or password"}]}'
        access = []
        for scope in query.get("scope", []):
            kind, name, actions = scope.split(":")
            granted = actions.split(",") if self._allow(user, name) else []
            access.append({"type": kind, "name": name, "actions": granted})
        return 200, {"Content-Type": "application/json"}, json.dumps({"token": self._sign(access)}).encode()

    def _sign(self, access: list[dict[str, Any]]) -> str:
        pem = self._certificate.read_text().split("-----")[2].replace("\n", "")
        now = int(time.time())
        claims = {"iss": "issuer", "aud": "test", "sub": "", "nbf": now - 60, "exp": now + 300, "access": access}
        head = _base64url(json.dumps({"typ": "JWT", "alg": "RS256", "x5c": [pem]}).encode())
        signed = head + b"." + _base64url(json.dumps(claims).encode())
        command = ["openssl", "dgst", "-sha256", "-sign", str(self._key)]
        signature = subprocess.run(command, input=signed, capture_output=True, check=True).stdout
        return (signed + b"." + _base64url(signature)).decode()


def _base64url(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")
