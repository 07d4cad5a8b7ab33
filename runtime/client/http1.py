"""HTTP/1.1 from the client's side over a unix socket: as much of RFC 9112 as the Engine API needs, and no more.

Real counterpart: Go's net/http transport under docker CLI's client/ package. http.client would do, but costs 35 ms of
imports (it drags in the email package) where this whole program starts in 30. One request is one ``sendall``; a reply
is read until its end is known: Content-Length, chunks, or, after ``101 UPGRADED``, never (the connection then belongs
to the container's terminal). Left out on purpose: redirects, trailers' meaning, compression, TLS, pipelining.

    client                                  daemon
      |-- POST /v1.41/.../attach ----------->|
      |   Connection: Upgrade, Upgrade: tcp  |
      |<-- HTTP/1.1 101 UPGRADED ------------|
      |<== raw bytes both ways from here ===>|
"""

from __future__ import annotations

import socket

_RECEIVE_BYTES = 65536


class ConnectionLostError(Exception):
    """The daemon closed the connection in the middle of a reply."""


class ProtocolError(Exception):
    """What came back is not HTTP/1.1."""


class Reply:
    """Status line and headers of one reply; header names in lower case."""

    def __init__(self, status: int, reason: str, headers: dict[str, str]) -> None:
        self.status = status
        self.reason = reason
        self.headers = headers


class Connection:
    """One connection to the daemon: send a request, read its reply, and, if that was its last word, send the next."""

    def __init__(self, path: str) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        try:
            self.socket.connect(path)
        except OSError:
            self.socket.close()
            raise
        self._received = b""
        """Bytes that came in with something else and are not consumed yet."""

    def fileno(self) -> int:
        return self.socket.fileno()

    def close(self) -> None:
        self.socket.close()

    def is_stale(self) -> bool:
        """Whether an idle connection has been closed by the other side (or has something to say that nobody asked)."""
        try:
            self.socket.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
        except BlockingIOError:
            return False
        except OSError:
            return True
        return True

    def send(self, method: str, target: str, headers: dict[str, str], body: bytes) -> None:
        """Write one request, head and body in one system call."""
        lines = [
            f"{method} {target} HTTP/1.1",
            "Host: api.moby.localhost",
            "User-Agent: Docker-Client/glassbottom (linux)",
        ]
        if method == "POST" or body:
            lines.append(f"Content-Length: {len(body)}")
        lines += [f"{name}: {value}" for name, value in headers.items()]
        self.socket.sendall("\r\n".join(lines).encode() + b"\r\n\r\n" + body)

    def read_head(self) -> Reply:
        """Read up to the empty line; what follows it stays for the body (or for the raw stream)."""
        head = self._until(b"\r\n\r\n").decode("latin-1")
        first, *rest = head.split("\r\n")
        version, _, status_line = first.partition(" ")
        code, _, reason = status_line.partition(" ")
        if not version.startswith("HTTP/1.") or not code.isdigit():
            raise ProtocolError(f"malformed HTTP response {first[:60]!r}")
        headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in rest)}
        return Reply(int(code), reason, headers)

    def read_body(self, reply: Reply, method: str = "GET") -> bytes:
        """Read a whole body, however its length is told."""
        if method == "HEAD" or reply.status in {204, 304} or reply.status < 200:
            return b""
        if reply.headers.get("transfer-encoding", "").lower() == "chunked":
            return b"".join(iter(self.read_chunk, b""))
        if "content-length" in reply.headers:
            return self._exactly(int(reply.headers["content-length"]))
        return b"".join(iter(self.receive, b""))

    def read_chunk(self) -> bytes:
        """Read one chunk; empty at the end of the body."""
        size_text = self._until(b"\r\n").split(b";")[0]
        try:
            size = int(size_text, 16)
        except ValueError:
            raise ProtocolError(f"malformed chunk size {size_text[:20]!r}") from None
        if size == 0:
            while self._until(b"\r\n"):  # trailers, then the empty line that ends the body
                pass
            return b""
        return self._exactly(size + 2)[:-2]

    def receive(self) -> bytes:
        """Whatever comes next on a raw stream; empty at its end."""
        if self._received:
            data, self._received = self._received, b""
            return data
        return self.socket.recv(_RECEIVE_BYTES)

    def has_unread(self) -> bool:
        """Whether bytes are already here, so that waiting for the socket would wait for the wrong thing."""
        return bool(self._received)

    def _more(self) -> None:
        data = self.socket.recv(_RECEIVE_BYTES)
        if not data:
            raise ConnectionLostError("unexpected EOF")
        self._received += data

    def _until(self, mark: bytes) -> bytes:
        while mark not in self._received:
            self._more()
        data, _, self._received = self._received.partition(mark)
        return data

    def _exactly(self, count: int) -> bytes:
        while len(self._received) < count:
            self._more()
        data, self._received = self._received[:count], self._received[count:]
        return data
