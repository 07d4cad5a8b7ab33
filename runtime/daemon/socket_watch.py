"""Wait until a unix socket exists, by inotify(7): no polling, and no guess at how long a start takes."""

import asyncio
import ctypes
import os
from typing import Self

_IN_CREATE, _IN_MOVED_TO, _IN_ATTRIB = 0x100, 0x80, 0x4
_EVENT_BYTES = 4096


class SocketWatch:
    """An inotify instance, given back at the end of a `with`.

    Its close waits 20 ms for a grace period of the kernel, in which nobody is served: whoever is in a hurry keeps it.
    """

    def __init__(self) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._fd = self._libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        if self._fd < 0:
            raise OSError(ctypes.get_errno(), "inotify_init1")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._fd)

    async def wait(self, path: str) -> None:
        """Return as soon as something listens at the path; at once if it does already."""
        directory = os.path.dirname(path) or "."
        # ATTRIB: a server that binds first and listens then often changes the mode in between or after.
        events = _IN_CREATE | _IN_MOVED_TO | _IN_ATTRIB
        mark = self._libc.inotify_add_watch(self._fd, os.fsencode(directory), events)
        if mark < 0:
            raise OSError(ctypes.get_errno(), "inotify_add_watch", directory)
        loop = asyncio.get_running_loop()
        changed = asyncio.Event()
        loop.add_reader(self._fd, changed.set)
        try:
            while not await _answers(path):
                await changed.wait()
                changed.clear()
                self._drain()
        finally:
            loop.remove_reader(self._fd)
            self._libc.inotify_rm_watch(self._fd, mark)

    def _drain(self) -> None:
        """Take what is reported; it may have been taken with what came before it."""
        try:
            os.read(self._fd, _EVENT_BYTES)
        except BlockingIOError:
            pass


async def wait_for_socket(path: str) -> None:
    """Return as soon as something listens at the path; at once if it does already."""
    with SocketWatch() as watch:
        await watch.wait(path)


async def _answers(path: str) -> bool:
    try:
        _, writer = await asyncio.open_unix_connection(path)
    except OSError:
        return False
    writer.close()
    return True
