"""The HTTP side of the daemon: one unix socket, many requests at once (moby: api/server).

    client -> daemon   POST /v1.41/containers/create HTTP/1.1
    daemon -> client   HTTP/1.1 201 Created, {"Id": ...}

aiohttp's low-level server is used, not its Application: routes are few, every one of them is one function, and
what happens between the socket and that function should fit on this page. Neither of its clocks ever runs out: a client
that a debugger has stopped for an hour is still a client.
"""

import asyncio
import errno
import logging
import math
import os
import socket

from aiohttp import web
from grpclib.exceptions import GRPCError

from runtime.daemon.call import Call, empty_reply, error_reply
from runtime.daemon.errors import ApiError, NotModified
from runtime.daemon.router import Route, Router, check_version, split_version

log = logging.getLogger("daemon")


_FOR_EVER_S = 1e9
"""How long a refused request's body is still read: hanging up on who is sending it would lose them the answer."""


_FIRST_WITH_JSON_ERRORS = (1, 24)


class ListenError(Exception):
    """The socket cannot be served; the message says why."""


class ApiServer:
    """Answers requests on one unix socket."""

    def __init__(self, router: Router) -> None:
        self._router = router
        self._server = web.Server(
            self._answer,
            handler_cancellation=True,
            keepalive_timeout=math.inf,
            lingering_time=_FOR_EVER_S,
            access_log=None,
        )
        self._listener: asyncio.Server | None = None
        self._running: set[asyncio.Task[web.StreamResponse]] = set()

    async def listen(self, path: str) -> None:
        """Take the socket's name and begin to answer."""
        listener = claim_socket(path)
        self._listener = await asyncio.get_running_loop().create_unix_server(self._server, sock=listener)

    def close(self) -> None:
        """Take no more requests and hang up on everybody: who follows, who sends, and who has nothing to say."""
        if self._listener is not None:
            self._listener.close()
        # Not the server's shutdown(), which waits for the requests that are under way: a pull, an event stream.
        for connection in self._server.connections:
            connection.force_close()  # and its request is cancelled, by `handler_cancellation`

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        version, path = split_version(request.path)
        as_text = version < _FIRST_WITH_JSON_ERRORS
        try:
            route, words = self._router.find(request.method, path)
            check_version(version)
            return await self._run(route, Call(request, words))
        except ApiError as error:
            return error_reply(error.message, error.status, as_text)
        except NotModified:
            return empty_reply(304)
        except GRPCError as error:
            if request.writer.output_size:
                raise
            return error_reply(error.message or "containerd refused without a word", 500, as_text)
        except (OSError, asyncio.IncompleteReadError) as error:
            if request.writer.output_size or (isinstance(error, ConnectionError) and request.transport is None):
                raise
            log.warning("%s %s: %s", request.method, request.path, error)
            return error_reply(f"{error}", 500, as_text)
        except Exception as error:
            # The edge of the program: one request's mistake is logged whole, and is no other client's business.
            log.exception("%s %s", request.method, request.path)
            if request.writer.output_size:
                raise  # aiohttp hangs up: a second head would be read as part of the stream that has begun
            return error_reply(f"internal error: {type(error).__name__}: {error}", 500, as_text)

    async def _run(self, route: Route, call: Call) -> web.StreamResponse:
        if route.streams:
            return await route.answer(call)
        task = asyncio.ensure_future(route.answer(call))
        self._running.add(task)
        task.add_done_callback(self._finished)
        return await asyncio.shield(task)

    def _finished(self, task: asyncio.Task[web.StreamResponse]) -> None:
        self._running.discard(task)
        if not task.cancelled():
            task.exception()  # read it, so that asyncio does not report what _answer has reported, or nobody awaits


def claim_socket(path: str) -> socket.socket:
    """Bind the unix socket, replacing one that a dead daemon left, never one that is in use."""
    os.makedirs(os.path.dirname(path) or "/", exist_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        _bind_or_replace(listener, path)
    except OSError as error:
        listener.close()
        raise ListenError(f"cannot listen on {path}: {error.strerror or error}") from error
    # The group may speak to us, others may not: whoever can, is root on this host (docker's own rule).
    os.chmod(path, 0o660)
    listener.listen(128)
    listener.setblocking(False)
    return listener


def refuse_if_in_use(path: str) -> None:
    """Raise ListenError when somebody answers there; asked before anything is made that would have to be undone."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        if probe.connect_ex(path) == 0:
            raise ListenError(f"cannot listen on {path}: another daemon answers there")


def _bind_or_replace(listener: socket.socket, path: str) -> None:
    try:
        listener.bind(path)
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise
        refuse_if_in_use(path)
        os.unlink(path)
        listener.bind(path)
