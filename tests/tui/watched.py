"""The real command on a real pty(7), whose other end is held here."""

import fcntl
import os
import select
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable
from pathlib import Path

import pyte

from tracer import procfs

ENDED_WITHIN_SECONDS = 20
"""Generous: what is looked for here stays for ever."""
FROZEN_WITHIN_SECONDS = 60
"""Some 12 kB are drawn in that time, which is what a pty(7) holds."""


class Watched:
    """A command on a pty of its own, told by what it writes."""

    def __init__(self, words: tuple[str, ...], runtime_dir: Path, *, controlling: bool = True) -> None:
        """Start it in 160 columns, 45 rows.

        `controlling`: as the foreground of its terminal, which a SIGHUP reaches when that is closed.
        """
        self.master, slave = os.openpty()
        self.terminal = os.ttyname(slave)
        self.screen = pyte.Screen(160, 45)
        self._stream = pyte.ByteStream(self.screen)
        self.resize(160, 45)
        environment = {**os.environ, "XDG_RUNTIME_DIR": str(runtime_dir), "TERM": "xterm-256color"}
        command = [*(["setsid", "--ctty"] if controlling else []), sys.executable, "-m", "tracer", *words]
        self.process = subprocess.Popen(
            command, stdin=slave, stdout=slave, stderr=slave, env=environment, start_new_session=not controlling
        )
        os.close(slave)
        self.written = b""

    def read_until(self, wanted: bytes) -> None:
        """Read what it writes until that is among it."""
        while wanted not in self.written:
            assert select.select([self.master], [], [], ENDED_WITHIN_SECONDS)[0], f"{wanted!r} was never written"
            self.written += os.read(self.master, 65536)

    def resize(self, columns: int, rows: int) -> None:
        """Make the window larger or smaller; its foreground is told (SIGWINCH)."""
        self.screen.resize(rows, columns)
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def read_until_shown(self, wanted: str, *, pressing: str = "", where: str = "") -> str:
        """Read until a text is on the screen, and return all of that; press a key for each time another is there."""
        while wanted not in (text := "\n".join(self.screen.display)):
            if pressing and where in text:
                os.write(self.master, pressing.encode())
            assert select.select([self.master], [], [], ENDED_WITHIN_SECONDS)[0], f"{wanted!r} is not in:\n{text}"
            self._stream.feed(os.read(self.master, 65536))
        return text

    def press_until_a_write_waits(self, key: bytes) -> None:
        """Press a key again and again and read nothing: one at a time, for keys that come together are drawn once."""
        until = time.monotonic() + FROZEN_WITHIN_SECONDS
        slave = os.open(self.terminal, os.O_WRONLY | os.O_NOCTTY)
        try:
            while select.select([], [slave], [], 0)[1]:
                assert time.monotonic() < until, "what is drawn never fills the terminal"
                os.write(self.master, key)
                time.sleep(0.02)
        finally:
            os.close(slave)

    def hang_up(self) -> None:
        """Close the terminal."""
        os.close(self.master)
        self.master = -1

    def exit_code(self, *, reading: bool = True) -> int:
        """Wait for its end."""
        handle = os.pidfd_open(self.process.pid)
        reading = reading and self.master >= 0
        try:
            while True:
                watched = [handle, *([self.master] if reading else [])]
                ready = select.select(watched, [], [], ENDED_WITHIN_SECONDS)[0]
                assert ready, "it has not ended"
                if handle in ready and not (reading and select.select([self.master], [], [], 0)[0]):
                    return self.process.wait()
                try:
                    self.written += os.read(self.master, 65536)
                except OSError:  # EIO: it has let go of the terminal
                    reading = False
        finally:
            os.close(handle)


Starter = Callable[..., Watched]


def programs_of(folder: Path) -> list[str]:
    """The programs that run with this folder as their XDG_RUNTIME_DIR."""
    found = []
    for pid in procfs.pids():
        try:
            environment = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
        except OSError:
            continue  # it ended while we looked
        if f"XDG_RUNTIME_DIR={folder}".encode() in environment:
            found.append(" ".join(procfs.argv(pid)))
    return found
