r"""The json-file log of a container (moby: daemon/logger/jsonfilelog).

One line of JSON for each line of output, told apart by stream:

    {"log":"hi\n","stream":"stdout","time":"2026-01-02T03:04:05.060905849Z"}

A line longer than 16 KiB is split, as in Docker, into several entries without a final newline. With a terminal there is
one stream, and what a program writes is logged as it is, CRLF included. With `--log-opt max-size` a full file becomes
`ID-json.log.1`, that one `.2`, and the oldest goes. Readers read the files, never the memory of the writer, so that a
follower that lags costs nothing: what it has open it keeps, whatever the file is called by now.
"""

import asyncio
import json
import os
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from typing import BinaryIO

from runtime.daemon.log_options import LogOptions
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
    attributes: tuple[tuple[str, str], ...] = ()
    """What `--log-opt labels`, `env` and `tag` have chosen."""

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
    """The last N lines only, of both streams together as in dockerd; None is all."""
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
        self._options = LogOptions()
        self._size = 0
        self._rotations = 0

    def begin(self, options: LogOptions) -> None:
        """A run of the container begins: followers stay until it ends."""
        self._options = options
        if self._fd < 0:
            self._open()
        self._open_runs = 1

    def _open(self) -> None:
        self._fd = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640)
        self._size = os.fstat(self._fd).st_size

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
        document: dict[str, object] = {"log": "", "stream": STREAM_NAMES[stream]}
        if self._options.attributes:
            document["attrs"] = self._options.attributes
        document["time"] = rfc3339_fixed(time.time_ns())
        limit, lines = self._options.max_size_bytes, bytearray()
        for entry in entries:
            document["log"] = entry.decode("utf-8", "replace")
            if limit and self._size + len(lines) >= limit:
                self._write(lines)
                self._rotate()
                lines.clear()
            lines += json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode() + b"\n"
        self._write(lines)
        self._wake()

    def _write(self, lines: bytes | bytearray) -> None:
        self._size += os.write(self._fd, lines)

    def _rotate(self) -> None:
        os.close(self._fd)
        for number in range(self._options.max_files - 1, 0, -1):
            newer = self._file(number - 1)
            if os.path.exists(newer):
                os.replace(newer, self._file(number))
        if self._options.max_files == 1:
            os.unlink(self.path)
        self._rotations += 1
        self._open()

    def _file(self, number: int) -> str:
        """The log's files: 0 is written to, 1 was before it."""
        return f"{self.path}.{number}" if number else self.path

    def _wake(self) -> None:
        for follower in self._followers:
            follower.set()

    # Reading ---------------------------------------------------------------------------------------------

    async def read(self, query: LogQuery) -> AsyncIterator[LogEntry]:
        """The wanted entries; with `follow`, until the container stops."""
        changed = asyncio.Event()
        self._followers.add(changed)
        files, rotations = self._open_files(query.tail), self._rotations
        try:
            while True:
                changed.clear()
                last = not (query.follow and self._open_runs)
                # Rotations since the last look have added a file each, as far as they are still there.
                missed, rotations = self._rotations - rotations, self._rotations
                files += [_open(path) for n in range(missed - 1, -1, -1) if os.path.exists(path := self._file(n))]
                for entry in _entries(line for file in files for line in iter(file.readline, b"")):
                    if query.until_ns is not None and entry.time_ns > query.until_ns:
                        return
                    if query.wants(entry):
                        yield entry
                for file in files[:-1]:
                    file.close()
                del files[:-1]
                if last:
                    return
                if self._rotations == rotations:
                    await changed.wait()
        finally:
            self._followers.discard(changed)
            for file in files:
                file.close()

    def _open_files(self, tail: int | None) -> list[BinaryIO]:
        """The files to read, oldest first, each at the first line that is wanted."""
        files: list[BinaryIO] = []
        number = 0
        while (tail is None or tail > 0 or not files) and os.path.exists(self._file(number)):
            file = _open(self._file(number))
            if tail is not None:
                start, tail = _start_of_tail(file.fileno(), tail)
                file.seek(start)
            files.insert(0, file)
            number += 1
        return files


def _open(path: str) -> BinaryIO:
    """A log file to read from; the reader closes it once it has read what followed it."""
    return open(path, "rb")


def _entries(lines: Iterator[bytes]) -> Iterator[LogEntry]:
    for line in lines:
        try:
            document = json.loads(line)
            stream = STDERR if document["stream"] == "stderr" else STDOUT
            attributes = tuple(sorted(document.get("attrs", {}).items()))
            yield LogEntry(stream, str(document["log"]), str(document["time"]), attributes)
        except (ValueError, KeyError, TypeError, AttributeError):
            continue  # the last line of a daemon that was killed while it wrote


def _start_of_tail(fd: int, wanted: int) -> tuple[int, int]:
    """Where the last `wanted` lines begin, found from the end backwards; and how many are not in this file."""
    position, rest = os.fstat(fd).st_size, b""
    if wanted <= 0:
        return position, 0
    while position > 0:
        step = min(_BLOCK_BYTES, position)
        position -= step
        lines = (os.pread(fd, step, position) + rest).split(b"\n")
        rest = lines[0]
        offset = position + sum(len(line) + 1 for line in lines)
        for line in reversed(lines[1:] if position else lines):
            offset -= len(line) + 1
            if line and any(_entries(iter([line]))):
                wanted -= 1
                if not wanted:
                    return offset, 0
    return 0, wanted
