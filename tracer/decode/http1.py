"""HTTP/1.1 of one end of a connection: requests one way, responses the other, and what comes after an upgrade.

RFC 9112 as far as the Docker Engine API goes: `Content-Length` and chunked bodies, HEAD, 204 and 304 without a body,
keep-alive, and `101 Switching Protocols` (or an old daemon's `200` with a raw stream), after which both directions are
the container's terminal or its framed output (`stdcopy`).

    client end: sent     POST .../attach --> [paused until answered] --> stdin
                received  101 UPGRADED   --> stdout, stderr

A message is reported when its body is complete, so a head and a body in separate writes are one message. Answers that
come piece by piece (`STREAMING`) are reported by head and by chunk instead: nobody could wait for their end. Left out:
obsolete line folding, trailers' content, and pipelined upgrades.
"""

from collections import deque
from collections.abc import Iterator
from typing import NamedTuple

from tracer.decode.engine_operations import STREAMING, describe
from tracer.decode.message import Decoded, bounded, flatten, glimpse, parse_json, printable
from tracer.decode.stdcopy import Demultiplexer
from tracer.decode.streams import Calls, Input, Lost
from tracer.events import Direction, Scalar, Side

METHODS = ("GET ", "POST ", "PUT ", "HEAD ", "DELETE ", "OPTIONS ", "PATCH ")
_HEAD_LIMIT = 64 << 10
_BODY_KEPT = 256 << 10
_BODILESS = (204, 304)
_CONTAINER_STREAMS = ("ContainerAttach", "ExecStart", "")
"""Upgrades to a container's stdio; others (BuildKit's `/session`) become protocols that are not looked into."""


class _Request(NamedTuple):
    """What an answer has to know of its question."""

    method: str
    path: str
    operation: str
    upgrade: bool


class Http1:
    """Both directions of one end. `request_side` is the direction that carries the requests."""

    def __init__(self, inputs: dict[Side, Input], request_side: Side) -> None:
        response_side: Side = "received" if request_side == "sent" else "sent"
        asked: deque[_Request] = deque()
        self._requests = _Half(inputs[request_side], asked, is_request=True)
        self._responses = _Half(inputs[response_side], asked, is_request=False)
        self._request_side, self._response_side = request_side, response_side

    def feed(self, side: Side) -> Iterator[tuple[Side, Decoded]]:
        """The messages that new bytes in this direction complete; an upgrade may complete some of the other's."""
        half = self._requests if side == self._request_side else self._responses
        for decoded in half.read():
            yield side, decoded
        if side == self._request_side:
            # On two cores an answer's read may be reported before its question's write: it has waited.
            for decoded in self._responses.read():
                yield self._response_side, decoded
        if self._requests.paused and self._responses.verdict is not None:
            self._requests.resume(hijacked=self._responses.verdict)
            self._responses.verdict = None
            for decoded in self._requests.read():
                yield self._request_side, decoded


class _Half:
    """One direction: a state that says what the next bytes are."""

    def __init__(self, source: Input, asked: deque[_Request], *, is_request: bool) -> None:
        self._source = source
        self._asked = asked
        self._is_request = is_request
        self._calls = Calls()
        self._state = self._head
        self._title = ""
        self._fields: dict[str, Scalar] = {}
        self._content_type = ""
        self._body = bytearray()
        self._body_size = 0
        self._unseen = 0
        """How many bytes of the body were not seen."""
        self._left = 0
        self._streams = False
        """The body is reported chunk by chunk."""
        self._raw: Demultiplexer | None = None
        self.paused = False
        """An upgrade was asked for: what the next bytes are, the answer will say."""
        self.verdict: bool | None = None
        """The answer to an upgrade: True where the connection is hijacked now."""

    def read(self) -> Iterator[Decoded]:
        """Go on as far as the bytes reach."""
        while not self.paused and self._source:
            found, progress = self._state()
            yield from found
            if not progress:
                return

    def resume(self, *, hijacked: bool) -> None:
        """The upgrade was answered."""
        self.paused = False
        if hijacked:
            self._state = self._stdin if self._fields["operation"] in _CONTAINER_STREAMS else self._foreign

    # states: each answers (messages, whether anything was consumed)

    def _head(self) -> tuple[list[Decoded], bool]:
        if not self._is_request and not self._asked:
            return [], False  # whether a body follows depends on what was asked
        end = self._source.find(b"\r\n\r\n", _HEAD_LIMIT)
        if end < 0:
            if len(self._source) >= _HEAD_LIMIT:
                raise Lost(f"an HTTP head of more than {_HEAD_LIMIT} bytes")
            return [], False
        lines = self._source.take(end + 4, self._calls).decode("latin-1").split("\r\n")
        headers: dict[str, str] = {}
        for line in lines[1:]:
            name, colon, value = line.partition(":")
            if colon:
                headers[name.strip().lower()] = value.strip()
        self._fields = {}
        self._body.clear()
        self._body_size = self._unseen = 0
        self._streams = False
        self._content_type = headers.get("content-type", "")
        return (self._request_head if self._is_request else self._response_head)(lines[0], headers), True

    def _request_head(self, line: str, headers: dict[str, str]) -> list[Decoded]:
        method, _, rest = line.partition(" ")
        target, _, protocol = rest.rpartition(" ")
        if not protocol.startswith("HTTP/1."):
            raise Lost(f"no HTTP request line: {line[:40]!r}")
        operation, path, version, query = describe(method, target)
        self._title = f"{method} {target}"
        self._fields = {"method": method, "path": path, "operation": operation, "version": version}
        self._fields |= {f"query.{key}": value for key, value in query}
        upgrade = "upgrade" in headers
        self._asked.append(_Request(method, path, operation, upgrade))
        done = self._body_follows(headers, default=0)
        if upgrade:
            # Only after its body: until then bytes belong to the request.
            self._fields["upgrade"] = headers["upgrade"]
            self.paused = bool(done)
        return done

    def _response_head(self, line: str, headers: dict[str, str]) -> list[Decoded]:
        protocol, _, rest = line.partition(" ")
        code, _, reason = rest.partition(" ")
        if not protocol.startswith("HTTP/1.") or not code.isdigit():
            raise Lost(f"no HTTP status line: {line[:40]!r}")
        status = int(code)
        if 100 <= status < 200 and status != 101:
            self._calls.cite()
            return []
        request = self._asked.popleft()
        self._title = f"{status} {reason}".rstrip()
        self._fields = {"status": status, "method": request.method, "path": request.path}
        self._fields["operation"] = request.operation
        raw = self._content_type.startswith("application/vnd.docker.") and "-stream" in self._content_type
        hijacked = status == 101 or (request.upgrade and status == 200 and raw)
        if request.upgrade:
            self.verdict = hijacked
        if hijacked:
            framed = True if "multiplexed" in self._content_type else None
            self._raw = Demultiplexer(framed=framed)
            self._state = self._output if request.operation in _CONTAINER_STREAMS else self._foreign
            return [self._message("response")]
        if request.method == "HEAD" or status in _BODILESS:
            return [self._message("response")]
        self._streams = request.operation in STREAMING
        return self._body_follows(headers, default=-1)

    def _body_follows(self, headers: dict[str, str], default: int) -> list[Decoded]:
        """What comes next, by the headers; the finished message where no body does."""
        if "chunked" in headers.get("transfer-encoding", "").lower():
            self._state = self._chunk_size
            return [self._message("response")] if self._streams else []
        length = headers.get("content-length", "")
        size = int(length) if length.isdigit() else default
        self._streams = False
        if size < 0:
            # A body that ends with the connection: pieces, as they come.
            self._raw = Demultiplexer(framed=None)
            self._state = self._output
            return [self._message("response")]
        if size == 0:
            return [self._finish()]
        self._left = size
        self._state = self._counted
        return []

    def _counted(self) -> tuple[list[Decoded], bool]:
        self._keep()
        return ([self._finish()] if self._left == 0 else []), True

    def _chunk_size(self) -> tuple[list[Decoded], bool]:
        end = self._source.find(b"\r\n", 256)
        if end < 0:
            if len(self._source) >= 256:
                raise Lost("a chunk size line of more than 256 bytes")
            return [], False
        text = self._source.peek(end).split(b";")[0].strip()
        try:
            self._left = int(text, 16)
        except ValueError:
            raise Lost(f"no chunk size: {text[:20]!r}") from None
        self._source.take(end + 2, self._calls)
        self._state = self._chunk if self._left else self._trailer
        return [], True

    def _chunk(self) -> tuple[list[Decoded], bool]:
        if self._left:
            self._keep()
            return [], True
        if len(self._source) < 2:
            return [], False
        self._source.take(2, self._calls)
        self._state = self._chunk_size
        return ([self._message("data")] if self._streams else []), True

    def _trailer(self) -> tuple[list[Decoded], bool]:
        end = self._source.find(b"\r\n", _HEAD_LIMIT)
        if end < 0:
            if len(self._source) >= _HEAD_LIMIT:
                raise Lost("trailers without an end")
            return [], False
        self._source.take(end + 2, self._calls)
        if end:
            return [], True
        if self._streams:
            self._calls.cite()
            self._state = self._head
            return [], True
        return [self._finish()], True

    def _output(self) -> tuple[list[Decoded], bool]:
        assert self._raw is not None
        before = len(self._source)
        found = [
            stdio(piece.stream, piece.data, piece.calls)
            if piece.seen
            else unseen_stdio(piece.stream, len(piece.data), piece.calls)
            for piece in self._raw.read(self._source)
        ]
        return found, len(self._source) < before

    def _stdin(self) -> tuple[list[Decoded], bool]:
        size, seen = self._source.run(len(self._source))
        data = self._source.take(size, self._calls, seen=seen)
        calls = self._calls.cite()
        return [stdio("stdin", data, calls) if seen else unseen_stdio("stdin", size, calls)], True

    def _foreign(self) -> tuple[list[Decoded], bool]:
        self._source.take(len(self._source), self._calls, seen=False)
        self._calls.cite()
        return [], True

    # messages

    def _keep(self) -> None:
        """Take what has come of the body; bodies are counted, so they may have gaps."""
        size, seen = self._source.run(self._left)
        data = self._source.take(size, self._calls, seen=seen)
        self._left -= size
        self._body_size += size
        self._unseen += 0 if seen else size
        if len(self._body) < _BODY_KEPT:
            self._body += data[: _BODY_KEPT - len(self._body)]

    def _finish(self) -> Decoded:
        """The message is whole; the next bytes begin another."""
        self._state = self._head
        if self._is_request and "upgrade" in self._fields:
            self.paused = True
        return self._message("request" if self._is_request else "response")

    def _message(self, direction: Direction) -> Decoded:
        fields: dict[str, Scalar] = {}
        text = self._body_text()
        if text[:1] == "{":
            flatten(parse_json(text), fields)
        fields |= self._fields  # where a body has a `status` of its own, the head's is meant
        title = self._title if direction != "data" else f"{self._title}: {glimpse(bytes(self._body))}"
        self._body.clear()
        self._body_size = self._unseen = 0
        return Decoded("http", direction, title, fields, bounded(text), self._calls.cite())

    def _body_text(self) -> str:
        if not self._body:
            return ""
        if self._unseen:
            what = self._content_type or "unnamed content"
            return f"[{self._body_size} bytes of {what}, {self._unseen} of which were not seen]"
        binary = "tar" in self._content_type or "octet-stream" in self._content_type
        if binary or self._body_size > len(self._body):
            return f"[{self._body_size} bytes of {self._content_type or 'unnamed content'}]"
        return printable(bytes(self._body))


def stdio(stream: str, data: bytes, calls: tuple[int, ...]) -> Decoded:
    """A piece of a process's input or output, wherever it was seen."""
    title = f"{stream} {glimpse(data)}"
    return Decoded("stdio", "data", title, {"stream": stream, "bytes": len(data)}, bounded(printable(data)), calls)


def unseen_stdio(stream: str, size: int, calls: tuple[int, ...]) -> Decoded:
    """A piece of which only the length is known."""
    what = f"[{size} bytes that were not seen]"
    return Decoded("stdio", "data", f"{stream} {what}", {"stream": stream, "bytes": size}, what, calls)
