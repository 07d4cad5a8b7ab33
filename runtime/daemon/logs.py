r"""The json-file log of a container (moby: daemon/logger/jsonfilelog).

One line of JSON for each line of output, told apart by stream:

    {"log":"hi\n","stream":"stdout","time":"2026-01-02T03:04:05.060905849Z"}

A line longer than 16 KiB is split, as in Docker, into several entries without a final newline. With a terminal there is
one stream, and what a program writes is logged as it is, CRLF included. Readers read the file, never the memory of the
writer, so that a follower that lags costs nothing. Left out: compression, and reading while a rotation happens.
"""

import asyncio
import json
import os
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass

from runtime.daemon.stdcopy import STDERR, STDOUT, STREAM_NAMES
from runtime.daemon.timestamps import from_rfc3339, rfc3339_fixed

_LINE_LIMIT_BYTES = 16 * 1024
_BLOCK_BYTES = 65536


@dataclass(frozen=True)
class LogEntry:
    """One line as it was written."""

    stream: int
    text: str
    time: str

    @property
    def time_ns(self) -> int:
        """When it was written."""
        return from_rfc3339(self.time)


@dataclass(frozen=True)
class LogQuery:
    """Which entries a reader wants."""

    stdout: bool = True
    stderr: bool = True
    tail: int | None = None
    """The last N lines only; None is all."""
    since_ns: int | None = None
    until_ns: int | None = None
    follow: bool = False

    def wants(self, entry: LogEntry) -> bool:
        """Whether an entry is of a wanted stream and time."""
        if not (self.stdout if entry.stream == STDOUT else self.stderr):
            return False
        if self.since_ns is not None and entry.time_ns < self.since_ns:
            return False
        return self.until_ns is None or entry.time_ns <= self.until_ns


class JsonFileLog:
    """Writes a container's output as it comes, and wakes those who follow it."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.on_drained: Callable[[], None] | None = None
        self._fd = -1
        self._partial: dict[int, bytes] = {STDOUT: b"", STDERR: b""}
        self._followers: set[asyncio.Event] = set()
        self._open_runs = 0

    def begin(self) -> None:
        """A run of the container begins: followers stay until it ends."""
        if self._fd < 0:
            self._fd = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640)
        self._open_runs = 1

    def feed(self, stream: int, data: bytes) -> None:
        """Log every complete line of one stream; the rest waits for its end."""
        text = self._partial[stream] + data
        lines = text.split(b"\n")
        self._partial[stream] = rest = lines.pop()
        entries = [line + b"\n" for line in lines]
        while len(rest) >= _LINE_LIMIT_BYTES:
            entries.append(rest[:_LINE_LIMIT_BYTES])
            self._partial[stream] = rest = rest[_LINE_LIMIT_BYTES:]
        self._append(stream, entries)

    def full(self) -> bool:
        """Files take what they are given."""
        return False

    def end(self) -> None:
        """The run is over: what lacks its newline is logged as it is."""
        for stream, rest in self._partial.items():
            if rest:
                self._append(stream, [rest])
        self._partial = {STDOUT: b"", STDERR: b""}
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
        self._open_runs = 0
        self._wake()

    def _append(self, stream: int, entries: list[bytes]) -> None:
        if not entries or self._fd < 0:
            return
        now = rfc3339_fixed(time.time_ns())
        name = STREAM_NAMES[stream]
        lines = [
            json.dumps({"log": entry.decode("utf-8", "replace"), "stream": name, "time": now}, ensure_ascii=False)
            for entry in entries
        ]
        os.write(self._fd, ("\n".join(lines) + "\n").encode())
        self._wake()

    def _wake(self) -> None:
        for follower in self._followers:
            follower.set()

    # Reading ---------------------------------------------------------------------------------------------

    async def read(self, query: LogQuery) -> AsyncIterator[LogEntry]:
        """The wanted entries; with `follow`, until the container stops."""
        if not os.path.exists(self.path):
            open(self.path, "ab").close()
        with open(self.path, "rb") as file:
            file.seek(_start_of_tail(file.fileno(), query))
            changed = asyncio.Event()
            self._followers.add(changed)
            try:
                while True:
                    changed.clear()
                    last = not (query.follow and self._open_runs)
                    for entry in _entries(iter(file.readline, b"")):
                        if query.until_ns is not None and entry.time_ns > query.until_ns:
                            return
                        if query.wants(entry):
                            yield entry
                    if last:
                        return
                    await changed.wait()
            finally:
                self._followers.discard(changed)


def _entries(lines: Iterator[bytes]) -> Iterator[LogEntry]:
    for line in lines:
        try:
            document = json.loads(line)
            stream = STDERR if document["stream"] == "stderr" else STDOUT
            yield LogEntry(stream, str(document["log"]), str(document["time"]))
        except (ValueError, KeyError, TypeError):
            continue  # the last line of a daemon that was killed while it wrote


def _start_of_tail(fd: int, query: LogQuery) -> int:
    """Where the last `tail` wanted lines begin, found from the end of the file backwards."""
    end = os.fstat(fd).st_size
    if query.tail is None:
        return 0
    wanted, position, rest = query.tail, end, b""
    if wanted <= 0:
        return end
    while position > 0:
        step = min(_BLOCK_BYTES, position)
        position -= step
        lines = (os.pread(fd, step, position) + rest).split(b"\n")
        rest = lines[0]
        offset = position + sum(len(line) + 1 for line in lines)
        for line in reversed(lines[1:] if position else lines):
            offset -= len(line) + 1
            if line and any(query.wants(entry) for entry in _entries(iter([line]))):
                wanted -= 1
                if not wanted:
                    return offset
    return 0
