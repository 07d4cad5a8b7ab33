"""A recording file, read by sequence number: an index of line starts, and lines decoded when they are looked at.

The file is JSON lines (`codec`), plain or compressed (`packed`), and may still be growing: whatever the engine has
finished writing is readable, half a line at the end is not there yet. One million events cost 8 MB of index here and
no object each; the few hundred rows on a screen are decoded from the file and kept in a small cache.

While indexing, the lines that steer a session (stages, stops, releases, the end) are noted by their first bytes, so
that a cursor can move by stage without decoding anything.

Left out on purpose: writing. Only the engine writes recordings.
"""

import os
import re
import stat
import tempfile
from array import array
from bisect import bisect_right
from collections.abc import Iterator
from functools import lru_cache

from tracer.codec import RecordingError, decode_event, decode_header
from tracer.events import Event, RecordingHeader
from tracer.session.packed import UnpackError, unpacker_of

CHUNK_BYTES = 4 << 20
"""How much is indexed between two chances for the screen to be drawn (about 15 ms)."""
CACHED_EVENTS = 2048
"""Decoded events kept: several screens of every pane."""
_STEERING = re.compile(rb'\n\["(stage|stop|released|ended)"')
"""Without `^`, which `re` tries at every byte: a literal beginning is looked for twenty times as fast."""
_NEWLINE = re.compile(rb"\n")


class Recording:
    """The events of one file, by sequence number. `refresh` takes in what was written since."""

    def __init__(self, path: str, *, growing: bool = False) -> None:
        self.path = path
        self.damage = ""
        """What is wrong with the file, as a sentence; empty where nothing is."""
        self.stages: array[int] = array("Q")
        """Sequence numbers of the StageEntered events; likewise the next two."""
        self.stops: array[int] = array("Q")
        self.releases: array[int] = array("Q")
        self.complete = False
        """Its last event has been seen."""
        self._marks = {b"stage": self.stages, b"stop": self.stops, b"released": self.releases}
        self._fd = self._open(path)
        first = self._header_line()
        self.header: RecordingHeader = self._decode_header(first)
        self._starts: array[int] = array("Q", [len(first)])
        """Where each event's line starts, and (last) where the next one will."""
        self._growing = growing
        self.event = lru_cache(CACHED_EVENTS)(self._decode)

    def __len__(self) -> int:
        return len(self._starts) - 1

    @property
    def size_bytes(self) -> int:
        """How long the file is now (unpacked)."""
        return os.fstat(self._fd).st_size

    @property
    def indexed_bytes(self) -> int:
        """How much of it has been taken in."""
        return self._starts[-1]

    def refresh(self, limit_bytes: int = CHUNK_BYTES) -> int:
        """Index up to `limit_bytes` more of the file; how many events were found (0: there are no more for now)."""
        begin = self._starts[-1] - 1  # with the end of the line before: what steers is found by both
        chunk = os.pread(self._fd, limit_bytes, begin)
        while (end := chunk.rfind(b"\n") + 1) == 1 and len(chunk) == limit_bytes:
            limit_bytes *= 2  # one line longer than the chunk
            chunk = os.pread(self._fd, limit_bytes, begin)
        if end <= 1:
            if not self._growing and not self.complete and not self.damage:
                self.damage = self._truncation(len(chunk) > 1)
            return 0
        known = len(self)
        self._starts.extend([begin + match.end() for match in _NEWLINE.finditer(chunk, 1, end)])
        for match in _STEERING.finditer(chunk, 0, end):
            sequence = bisect_right(self._starts, begin + match.start() + 1, lo=known) - 1
            if match[1] == b"ended":
                self.complete = True
            else:
                self._marks[match[1]].append(sequence)
        return len(self) - known

    def settle(self) -> None:
        """The file will grow no more: what is missing now is missing for good."""
        self._growing = False

    def read_all(self) -> None:
        """Index the whole file."""
        while self.refresh():
            pass

    def line(self, sequence: int) -> bytes:
        """The event's line, as it stands in the file."""
        start, end = self._starts[sequence], self._starts[sequence + 1]
        return os.pread(self._fd, end - start, start)

    def lines(self, start: int, stop: int) -> list[bytes]:
        """The lines of events `start` up to `stop` (not included)."""
        begin, end = self._starts[start], self._starts[stop]
        return os.pread(self._fd, end - begin, begin).split(b"\n")[: stop - start]

    def events(self) -> Iterator[tuple[int, Event]]:
        """Every event with its sequence number, decoded one at a time and not kept."""
        for sequence in range(len(self)):
            yield sequence, self._decode(sequence)

    def line_number(self, sequence: int) -> int:
        """The line of the file an event stands on, as an editor counts (the header is line 1)."""
        return sequence + 2

    def close(self) -> None:
        """Let go of the file; nothing can be read any more."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _decode(self, sequence: int) -> Event:
        return decode_event(self.line(sequence).decode("utf-8", "replace"), self.line_number(sequence))

    def _decode_header(self, line: bytes) -> RecordingHeader:
        try:
            return decode_header(line.decode("utf-8", "replace"))
        except RecordingError as error:
            self.close()
            raise RecordingError(f"{self.path}: {error}") from error

    def _open(self, path: str) -> int:
        try:
            fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            raise RecordingError(f"{path}: {(error.strerror or str(error)).lower()}") from error
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            os.close(fd)
            kind = "a directory" if os.path.isdir(path) else "no regular file"
            raise RecordingError(f"{path}: this is {kind}, not a recording; `glassbottom record -o FILE` makes one")
        unpack = unpacker_of(os.pread(fd, 6, 0))
        if unpack is None:
            return fd
        with os.fdopen(fd, "rb") as packed, tempfile.TemporaryFile(prefix="glassbottom-") as plain:
            # Into a file without a name: seeking in compressed data would mean unpacking from the start each time.
            try:
                for block in unpack(packed):
                    plain.write(block)
            except UnpackError as error:
                self.damage = (
                    f"the compressed recording is damaged after {plain.tell():,} bytes ({error}); "
                    "what comes before is shown"
                )
            plain.flush()
            return os.dup(plain.fileno())

    def _header_line(self) -> bytes:
        found = b""
        while block := os.pread(self._fd, 1 << 16, len(found)):
            found += block
            if (end := found.find(b"\n")) >= 0:
                return found[: end + 1]
        self.close()
        why = self.damage or f"line 1: {'cut short' if found else 'the file is empty'}"
        raise RecordingError(
            f"{self.path}: {why}: there is no header, so nothing of it can be read; copy or record it again"
        )

    def _truncation(self, half_line: bool) -> str:
        line = self.line_number(len(self))
        if half_line:
            return f"the recording is truncated: line {line} is cut short; the {len(self):,} events before it are shown"
        return f"the recording is truncated: it stops after line {line - 1} without its last event"
