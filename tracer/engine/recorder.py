"""Writes the recording: lines collected, and given to the file in one write(2) every few hundred.

The file is complete up to the last line whenever the engine waits for something to happen, so a reader may follow it
while it grows; it holds whatever the tracees read and wrote, so it is readable by its owner alone.
"""

import os
import stat

from tracer import codec
from tracer.events import Event, RecordingHeader

_BATCH = 256
"""Lines per write(2); at 14 us a stop that is every 7 ms under load."""


class Recorder:
    """The growing file. Raises OSError with its path where it cannot be created or written."""

    def __init__(self, path: str) -> None:
        self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        if stat.S_ISREG(os.fstat(self._fd).st_mode):
            os.fchmod(self._fd, 0o600)  # it may have been there before
        self._lines: list[str] = []
        self.path = path
        self.sequence = 0
        """The sequence number that the next event gets."""
        self.grown = False
        """Whether the file has grown since `flush` was last asked."""

    def header(self, header: RecordingHeader) -> None:
        """The first line."""
        self._lines.append(codec.encode_header(header))

    def write(self, event: Event) -> int:
        """Append an event; answers its sequence number."""
        return self.append(codec.encode_event(event))

    def append(self, line: str) -> int:
        """Append an event's line; answers its sequence number."""
        lines = self._lines
        lines.append(line)
        if len(lines) >= _BATCH:
            self._write_out()
        sequence = self.sequence
        self.sequence = sequence + 1
        return sequence

    def flush(self) -> bool:
        """Bring everything into the file; whether anything came since the last time."""
        if self._lines:
            self._write_out()
        grown, self.grown = self.grown, False
        return grown

    def close(self) -> None:
        """The file is complete."""
        self.flush()
        os.close(self._fd)

    def _write_out(self) -> None:
        # Lone surrogates cannot come from the engine's own decoding, but a command line may bring them.
        rest = memoryview("".join(self._lines).encode("utf-8", "backslashreplace"))
        self._lines.clear()
        try:
            while rest:
                rest = rest[os.write(self._fd, rest) :]
        except OSError as error:  # the disk is full, mostly: say which, as no errno does
            raise OSError(error.errno, error.strerror, os.path.realpath(self.path)) from error
        self.grown = True
