"""Tells containerd what happened: one event at a time, in order, over a second ttrpc connection.

Real counterpart: containerd runtime/v2/shim/publisher.go. The shim is the *caller* here:

    shim                                                     containerd (TTRPC_ADDRESS, its socket + ".ttrpc")
      | connect                                         --->
      | REQUEST 1  Events/Forward {TaskCreate}          --->  puts it on the event exchange
      | <---  RESPONSE 1                                      the next event goes out only now: order is meaning
      | REQUEST 3  Events/Forward {TaskStart}           --->

The container outlives containerd, so an event may have nobody to go to. It then waits here, and is offered again when
something suggests that containerd is back, never by a clock: the socket's directory is watched by inotify (a server
that starts makes a new socket), and so is every connection that comes in (a containerd that restarts dials its shims).
An event whose answer was lost with the connection is sent again: twice is better than never. (runc's shim retries five
times with growing sleeps and then drops the event.)
"""

import os
import socket
from collections import deque

from google.protobuf.any_pb2 import Any
from google.protobuf.message import DecodeError, Message
from google.protobuf.timestamp_pb2 import Timestamp

from runtime.api.containerd.events_ttrpc_pb2 import Envelope, ForwardRequest
from runtime.api.containerd.ttrpc_pb2 import KeyValue, Request, Response
from runtime.api.ttrpc import REQUEST, RESPONSE, Frame, FrameDecoder, FrameError, encode
from runtime.shim import kernel
from runtime.shim.clock import now
from runtime.shim.log import log
from runtime.shim.loop import READ, WRITE, Loop, Promise

SERVICE = "containerd.services.events.ttrpc.v1.Events"


class Publisher:
    """A queue of events and the connection that empties it."""

    def __init__(self, loop: Loop, address: str, namespace: str) -> None:
        self._loop = loop
        self._address = address
        self._namespace = namespace
        self._queue: deque[bytes] = deque()
        self._socket: socket.socket | None = None
        self._decoder = FrameDecoder()
        self._unsent = bytearray()
        self._stream_id = -1
        self._awaiting = False
        self._inotify = -1
        self._empty: Promise[None] | None = None

    def publish(self, topic: str, event: Message) -> None:
        """Queue an event; its time is now, however long it waits."""
        body = Any(type_url=event.DESCRIPTOR.full_name, value=event.SerializeToString())
        envelope = Envelope(timestamp=Timestamp(**now()), namespace=self._namespace, topic=topic, event=body)
        request = Request(
            service=SERVICE,
            method="Forward",
            payload=ForwardRequest(envelope=envelope).SerializeToString(),
            metadata=[KeyValue(key="containerd-namespace-ttrpc", value=self._namespace)],
        )
        self._queue.append(request.SerializeToString())
        self.offer()

    def offer(self) -> None:
        """Send the oldest event if it is its turn and somebody is there to take it."""
        if not self._queue or self._awaiting:
            return
        if self._socket is None and not self._connect():
            return
        self._stream_id += 2
        self._awaiting = True
        self._unsent += encode(Frame(self._stream_id, REQUEST, 0, self._queue[0]))
        self._flush()

    async def drained(self) -> None:
        """Wait until the queue is empty, or nobody is there to empty it."""
        while self._queue and self._socket is not None:
            self._empty = Promise()
            await self._empty

    def _connect(self) -> bool:
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            # Connecting on a unix socket does not wait for accept, only for room in the backlog (EAGAIN if we ask so).
            sock.setblocking(False)
            sock.connect(self._address)
        except OSError as reason:
            sock.close()
            log(f"events wait for {self._address}: {reason.strerror}")
            self._watch_for_return()
            return False
        self._socket = sock
        self._decoder = FrameDecoder()
        self._stream_id = -1
        self._stop_watching_for_return()
        return True

    def _flush(self) -> None:
        assert self._socket is not None
        try:
            while self._unsent:
                del self._unsent[: self._socket.send(self._unsent)]
        except BlockingIOError:
            pass
        except OSError as reason:
            self._lost(str(reason))
            return
        self._loop.watch(self._socket.fileno(), READ | (WRITE if self._unsent else 0), self._ready)

    def _ready(self, ready: int) -> None:
        if ready & WRITE:
            self._flush()
        if ready & ~WRITE and self._socket is not None:
            self._receive(self._socket)

    def _receive(self, sock: socket.socket) -> None:
        try:
            data = sock.recv(65536)
            frames = self._decoder.feed(data)
        except BlockingIOError:
            return
        except (OSError, FrameError) as reason:
            self._lost(str(reason))
            return
        if not data:
            self._lost("containerd closed the connection")
            return
        for frame in frames:
            if frame.type == RESPONSE and frame.stream_id == self._stream_id:
                self._answered(frame.payload)

    def _answered(self, payload: bytes) -> None:
        try:
            status = Response.FromString(payload).status
        except DecodeError:
            self._lost("an answer that is not ttrpc")
            return
        if status.code:
            # Containerd has seen the event and does not want it; asking again would only block those behind it.
            log(f"event refused: {status.message}")
        self._queue.popleft()
        self._awaiting = False
        if not self._queue and self._empty is not None:
            self._empty.fulfil(None)
        self.offer()

    def _lost(self, reason: str) -> None:
        assert self._socket is not None
        log(f"event connection lost: {reason}")
        self._loop.forget(self._socket.fileno())
        self._socket.close()
        self._socket = None
        self._unsent.clear()
        self._awaiting = False
        if self._empty is not None:
            self._empty.fulfil(None)
        self._watch_for_return()
        self.offer()

    def _watch_for_return(self) -> None:
        if self._inotify >= 0:
            return
        try:
            self._inotify = kernel.inotify_init()
            # IN_CREATE comes at bind, before listen; the chmod that servers do next (IN_ATTRIB) comes after it.
            mask = kernel.IN_CREATE | kernel.IN_MOVED_TO | kernel.IN_ATTRIB
            kernel.inotify_add_watch(self._inotify, os.path.dirname(self._address) or "/", mask)
        except OSError as reason:
            log(f"cannot watch for containerd's return: {reason}")
            self._stop_watching_for_return()
            return
        self._loop.watch(self._inotify, READ, self._directory_changed)

    def _directory_changed(self, _ready: int) -> None:
        try:
            os.read(self._inotify, 65536)
        except BlockingIOError:
            return
        self.offer()

    def _stop_watching_for_return(self) -> None:
        if self._inotify >= 0:
            self._loop.forget(self._inotify)
            os.close(self._inotify)
            self._inotify = -1
