"""Talk to a Docker Engine: version negotiation, requests, errors, and which connection carries which request.

Real counterpart: docker CLI's vendored github.com/docker/docker/client. As Go's transport does, a finished connection
goes back to an idle list and carries the next request; ``wait`` and ``attach`` keep theirs, so one ``docker run``
uses three connections at once, and a daemon that serves one request at a time would deadlock it.
"""

from __future__ import annotations

import errno
import json
import os

from runtime.client.http1 import Connection, ConnectionLostError, Reply

NEWEST_API = (1, 50)
"""The API this client was written against; the lower of this and the daemon's is spoken."""

DEFAULT_HOST = "unix:///var/run/docker.sock"

_SAFE = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.~")


class DaemonError(Exception):
    """The daemon answered with an error status; the text is its ``message``."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(f"Error response from daemon: {message}")
        self.status = status


class UnreachableError(Exception):
    """No daemon could be asked."""


def query(**fields: str) -> str:
    """Encode a query in order of its names, as Go's url.Values does; empty values are left out."""
    given = sorted((name, value) for name, value in fields.items() if value)
    return "?" + "&".join(f"{name}={percent(value)}" for name, value in given) if given else ""


def percent(text: str) -> str:
    """Percent-encode for a path or a query."""
    return "".join(chr(byte) if byte in _SAFE else f"%{byte:02X}" for byte in text.encode())


class EngineClient:
    """The daemon at one address."""

    def __init__(self, host: str) -> None:
        self.host = host
        self.version = ""
        """"1.41" once negotiated: the prefix of every later path."""
        self._idle: list[Connection] = []

    def negotiate(self) -> None:
        """Ask for the daemon's API version first, so that no later path has a version it does not know."""
        reply, _ = self._exchange("HEAD", "/_ping", {}, b"")
        offered = tuple(int(part) for part in reply.headers.get("api-version", "1.24").split("."))
        self.version = ".".join(str(part) for part in min(offered, NEWEST_API))

    def request(
        self, method: str, path: str, body: object = None, headers: dict[str, str] | None = None
    ) -> tuple[Reply, bytes]:
        """Send one request and read its whole reply; a status of 400 or more is raised."""
        data = b"" if body is None else json.dumps(body, separators=(",", ":")).encode()
        all_headers = {"Content-Type": "application/json"} if body is not None else {}
        return self._exchange(method, f"/v{self.version}{path}", {**all_headers, **(headers or {})}, data)

    def get_json(self, path: str) -> object:
        """GET a path and decode its JSON."""
        answer: object = json.loads(self.request("GET", path)[1])
        return answer

    def send(self, method: str, path: str) -> Connection:
        """Send a request whose answer is not waited for here; the connection is the caller's until ``give_back``."""
        connection = self._connection()
        connection.send(method, f"/v{self.version}{path}", {}, b"")
        return connection

    def finish(self, connection: Connection, method: str = "POST") -> tuple[Reply, bytes]:
        """Read the reply that ``send`` left open."""
        reply = connection.read_head()
        body = connection.read_body(reply, method)
        self.give_back(connection)
        raise_for_status(reply, body)
        return reply, body

    def open(self, method: str, path: str, headers: dict[str, str] | None = None) -> tuple[Connection, Reply]:
        """Send a request, read the reply's head only, and hand out the connection: wait, events, logs, attach."""
        connection = self._connection()
        connection.send(method, f"/v{self.version}{path}", headers or {}, b"")
        reply = connection.read_head()
        if reply.status >= 400:
            raise_for_status(reply, connection.read_body(reply))
        return connection, reply

    def close(self) -> None:
        """Hang up on every idle connection."""
        while self._idle:
            self._idle.pop().close()

    def give_back(self, connection: Connection) -> None:
        """Keep a connection whose reply was read to its end for the next request."""
        self._idle.append(connection)

    def _exchange(self, method: str, target: str, headers: dict[str, str], body: bytes) -> tuple[Reply, bytes]:
        connection = self._connection()
        connection.send(method, target, headers, body)
        reply = connection.read_head()
        data = connection.read_body(reply, method)
        if reply.headers.get("connection", "").lower() == "close":
            connection.close()
        else:
            self.give_back(connection)
        raise_for_status(reply, data)
        return reply, data

    def _connection(self) -> Connection:
        while self._idle:
            connection = self._idle.pop()
            if not connection.is_stale():
                return connection
            connection.close()
        return self._dial()

    def _dial(self) -> Connection:
        if not self.host.startswith("unix://"):
            raise UnreachableError(
                f"cannot use daemon address {self.host!r}: this client speaks to unix:// sockets only"
            )
        path = self.host.removeprefix("unix://")
        try:
            return Connection(path)
        except OSError as error:
            if error.errno == errno.EACCES:
                raise UnreachableError(
                    "permission denied while trying to connect to the Docker daemon socket at "
                    f"{self.host}: dial unix {path}: connect: permission denied"
                ) from None
            raise UnreachableError(
                f"Cannot connect to the Docker daemon at {self.host}. Is the docker daemon running?"
            ) from None


def raise_for_status(reply: Reply, body: bytes) -> None:
    """Turn an error reply into DaemonError with the words the daemon chose."""
    if reply.status < 400:
        return
    try:
        decoded = json.loads(body)
        message = str(decoded["message"])
    except (ValueError, KeyError, TypeError):
        message = body.decode(errors="replace").strip() or f"{reply.status} {reply.reason}"
    raise DaemonError(reply.status, message)


def host_from_environment(chosen: str) -> str:
    """-H, else DOCKER_HOST, else the system's socket."""
    return chosen or os.environ.get("DOCKER_HOST", "") or DEFAULT_HOST


__all__ = [
    "ConnectionLostError",
    "DaemonError",
    "EngineClient",
    "UnreachableError",
    "host_from_environment",
    "percent",
    "query",
]
