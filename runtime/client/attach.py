"""Join this terminal to a container: the one loop that moves bytes both ways, and everything that may interrupt it.

Real counterpart: docker CLI's cli/command/container/{hijack,signals,tty}.go and moby's pkg/stdcopy. The CLI gives
each direction a goroutine; here one poll(2) watches them all, so that the order of what happens can be read off:

    stdin      --> attach stream     typed bytes; at end of file the stream is half-closed, output goes on
    attach stream --> stdout, stderr frames of 8 bytes + payload, or raw bytes with a terminal; its end: all was seen
    wait reply                       the exit status; comes after the stream's end
    start reply                      204, or why the container could not start
    signal pipe                      signals become POST kill, a changed window becomes POST resize

Nothing here has a deadline: a daemon that is slow, or stopped by a debugger, is waited for.
"""

from __future__ import annotations

import json
import os
import selectors
import signal
import socket

from runtime.client.engine_client import ConnectionLostError, DaemonError, EngineClient, query
from runtime.client.http1 import Connection
from runtime.client.terminal import DetachKeys, window_size

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Self

_READ_BYTES = 32768

_NOT_FORWARDED = {"SIGKILL", "SIGSTOP", "SIGCHLD", "SIGPIPE", "SIGSEGV", "SIGBUS", "SIGFPE", "SIGILL", "SIGTRAP"}
"""Cannot be caught, are about this process's own children, pipes and bugs, and say nothing to the container."""


class StreamDemultiplexer:
    """Undo the frames of a stream without a terminal: ``[1|2, 0, 0, 0, length u32 big-endian]`` then the payload."""

    def __init__(self) -> None:
        self._buffer = b""

    def feed(self, data: bytes) -> list[tuple[int, bytes]]:
        """Complete frames as (stream number, payload); the rest waits for more."""
        self._buffer += data
        frames = []
        while len(self._buffer) >= 8:
            end = 8 + int.from_bytes(self._buffer[4:8], "big")
            if len(self._buffer) < end:
                break
            frames.append((self._buffer[0], self._buffer[8:end]))
            self._buffer = self._buffer[end:]
        return frames


class SignalPipe:
    """Turn signals into bytes that poll(2) can see: signal(7) handlers may not do I/O, a pipe may be waited on."""

    def __init__(self) -> None:
        self.reader, self._writer = socket.socketpair()
        self.reader.setblocking(False)
        self._writer.setblocking(False)
        self._saved: dict[signal.Signals, object] = {}

    def __enter__(self) -> Self:
        signal.set_wakeup_fd(self._writer.fileno(), warn_on_full_buffer=False)
        for number in signal.Signals:
            # The numbers between SIGSYS and SIGRTMIN have no names; the real-time ones are Go's and libc's own.
            if number.name not in _NOT_FORWARDED and number < signal.SIGRTMIN:
                self._saved[number] = signal.signal(number, lambda *_: None)
        return self

    def __exit__(self, *_: object) -> None:
        signal.set_wakeup_fd(-1)
        for number, handler in self._saved.items():
            signal.signal(number, handler)  # type: ignore[arg-type]
        self.reader.close()
        self._writer.close()

    def fileno(self) -> int:
        return self.reader.fileno()

    def take(self) -> list[signal.Signals]:
        """The signals that came since last asked."""
        try:
            return [signal.Signals(number) for number in self.reader.recv(4096)]
        except BlockingIOError:
            return []


class AttachedContainer:
    """One container with this process's stdin, stdout and stderr joined to it."""

    def __init__(
        self, client: EngineClient, container_id: str, *, tty: bool, streams: list[str], detach_keys: str, proxy: bool
    ) -> None:
        self._client = client
        self._id = container_id
        self._tty = tty
        self._streams = streams
        self._proxy = proxy
        self._keys = DetachKeys(detach_keys)
        self._detach_keys = detach_keys
        self._frames = StreamDemultiplexer()
        self._selector = selectors.PollSelector()  # poll, not epoll: stdin may be a file, which epoll refuses
        self._stream: Connection | None = None
        self._wait: Connection | None = None
        self._start: Connection | None = None
        self._to_send = b""
        self._output_open = False
        self._signals_to_forward: list[signal.Signals] = []
        """Kept until the daemon has said that there is a process: before, they would be refused and lost."""
        self.status: int | None = None
        self.refused: Exception | None = None
        """Why the container was not started."""
        self.lost: Exception | None = None
        """Why its exit status will not be known."""

    @property
    def detached(self) -> bool:
        """Whether the user typed the detach keys: the container goes on, this client does not."""
        return self._keys.seen

    def attach(self) -> None:
        """Ask for the stream before start, or the first output would be lost."""
        fields = dict.fromkeys(self._streams, "1")
        path = f"/containers/{self._id}/attach" + query(stream="1", detachKeys=self._detach_keys, **fields)
        upgrade = {"Connection": "Upgrade", "Content-Type": "text/plain", "Upgrade": "tcp"}
        self._stream, reply = self._client.open("POST", path, upgrade)
        if reply.status not in {101, 200}:
            raise DaemonError(reply.status, f"unable to upgrade to tcp, received {reply.status}")
        self._output_open = True
        self._selector.register(self._stream, selectors.EVENT_READ)
        if "stdin" in self._streams:
            self._selector.register(0, selectors.EVENT_READ)
        else:
            self._stream.socket.shutdown(socket.SHUT_WR)

    def wait(self, condition: str) -> None:
        """Ask for the exit before start: afterwards a short process could be gone already.

        The daemon sends the reply's head at once, which proves that it listens, and the body when it happens.
        """
        self._wait, _ = self._client.open("POST", f"/containers/{self._id}/wait" + query(condition=condition))
        self._selector.register(self._wait, selectors.EVENT_READ)

    def start(self) -> None:
        """Start the container and go on listening: its first output may come before the reply to this."""
        self._start = self._client.send("POST", f"/containers/{self._id}/start")
        self._selector.register(self._start, selectors.EVENT_READ)

    def pump(self, signals: SignalPipe) -> None:
        """Move bytes until output and status are complete, or the user detached, or there is nothing to wait for."""
        self._selector.register(signals, selectors.EVENT_READ)
        if self._stream is not None and self._stream.has_unread():
            self._pass_output(self._stream)
        if self._wait is not None and self._wait.has_unread():
            self._read_status(self._wait)
        while not self._finished():
            for key, events in self._selector.select():
                self._ready(key.fileobj, events, signals)

    def finish_wait(self) -> None:
        """Wait for the wait reply alone."""
        if self._wait is not None and self.status is None and self.lost is None:
            self._read_status(self._wait)

    def close(self) -> None:
        """Hang up; the daemon takes a closed wait or attach as the client's leaving."""
        for connection in (self._stream, self._wait, self._start):
            if connection is not None:
                connection.close()
        self._selector.close()

    def _finished(self) -> bool:
        if self.detached:
            return True
        if self.refused is not None:
            return True
        ended = self.status is not None or self.lost is not None
        return ended and not self._output_open and self._start is None

    def _ready(self, source: object, events: int, signals: SignalPipe) -> None:
        if source is signals:
            self._signals_to_forward += signals.take()
            if self._start is None:
                self._forward_all()
        elif source == 0:
            self._take_input()
        elif source is self._start and self._start is not None:
            self._read_start_reply(self._start)
        elif source is self._wait and self._wait is not None:
            self._read_status(self._wait)
        elif source is self._stream and self._stream is not None:
            if events & selectors.EVENT_WRITE:
                self._send_input(self._stream)
            if events & selectors.EVENT_READ and self._output_open:
                self._pass_output(self._stream)

    def _read_start_reply(self, connection: Connection) -> None:
        self._selector.unregister(connection)
        self._start = None
        try:
            self._client.finish(connection)
        except (DaemonError, ConnectionLostError) as error:
            self.refused = error
            return
        if self._tty:
            self.resize()
        self._forward_all()

    def _read_status(self, connection: Connection) -> None:
        self._selector.unregister(connection)
        try:
            body = json.loads(connection.read_chunk() or b"null")
            self.status = int(body["StatusCode"])
            if body.get("Error"):
                self.lost = DaemonError(500, str(body["Error"].get("Message", "")))
        except (ConnectionLostError, OSError, ValueError, KeyError, TypeError):
            self.lost = ConnectionLostError("error waiting for container: unexpected EOF")

    def _take_input(self) -> None:
        """Read once; nothing more is read until it is sent, so a container that does not read holds the typist back."""
        try:
            data = os.read(0, _READ_BYTES)
        except OSError:  # the terminal hung up
            data = b""
        self._selector.unregister(0)
        stream = self._stream
        if stream is None or not self._output_open:
            return
        if not data:
            stream.socket.shutdown(socket.SHUT_WR)
            return
        self._to_send = self._keys.feed(data) if self._tty else data
        if self._to_send:
            self._selector.modify(stream, selectors.EVENT_READ | selectors.EVENT_WRITE)
            self._send_input(stream)
        else:
            self._selector.register(0, selectors.EVENT_READ)

    def _send_input(self, stream: Connection) -> None:
        """Send what the socket takes now: to block here while output waits would deadlock with the daemon."""
        try:
            sent = stream.socket.send(self._to_send, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return
        except OSError:  # the process is gone; its last output is still to come
            self._to_send = b""
            self._selector.modify(stream, selectors.EVENT_READ)
            return
        self._to_send = self._to_send[sent:]
        if not self._to_send:
            self._selector.modify(stream, selectors.EVENT_READ)
            self._selector.register(0, selectors.EVENT_READ)

    def _pass_output(self, stream: Connection) -> None:
        try:
            data = stream.receive()
        except OSError:
            data = b""
        if not data:
            self._output_open = False
            self._selector.unregister(stream)
            if 0 in self._selector.get_map():
                self._selector.unregister(0)
        elif self._tty:
            write_all(1, data)
        else:
            for number, payload in self._frames.feed(data):
                write_all(2 if number == 2 else 1, payload)

    def _forward_all(self) -> None:
        while self._signals_to_forward:
            self._forward(self._signals_to_forward.pop(0))

    def _forward(self, number: signal.Signals) -> None:
        if number == signal.SIGWINCH and self._tty:
            self.resize()
        if self._proxy:
            name = number.name.removeprefix("SIG")
            try:
                self._client.request("POST", f"/containers/{self._id}/kill" + query(signal=name))
            except (DaemonError, ConnectionLostError, OSError):
                pass  # not running yet, or no longer: the signal has nobody to go to

    def resize(self) -> None:
        """Tell the container's terminal the size of this one."""
        rows, columns = window_size(1)
        if rows and columns:
            try:
                self._client.request("POST", f"/containers/{self._id}/resize" + query(h=str(rows), w=str(columns)))
            except (DaemonError, ConnectionLostError, OSError):
                pass  # it has ended in the meantime


def write_all(fd: int, data: bytes) -> None:
    """Write everything: a pipe may take less than it is given."""
    while data:
        data = data[os.write(fd, data) :]
