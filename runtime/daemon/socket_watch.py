"""Wait until a unix socket exists, by inotify(7): no polling, and no guess at how long a start takes."""

import asyncio
import ctypes
import os

_IN_CREATE, _IN_MOVED_TO, _IN_ATTRIB = 0x100, 0x80, 0x4
_EVENT_BYTES = 4096


async def wait_for_socket(path: str) -> None:
    """Return as soon as something listens at the path; at once if it does already."""
    libc = ctypes.CDLL(None, use_errno=True)
    watch = libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
    if watch < 0:
        raise OSError(ctypes.get_errno(), "inotify_init1")
    loop = asyncio.get_running_loop()
    changed = asyncio.Event()
    try:
        directory = os.path.dirname(path) or "."
        # ATTRIB: a server that binds first and listens then often changes the mode in between or after.
        if libc.inotify_add_watch(watch, os.fsencode(directory), _IN_CREATE | _IN_MOVED_TO | _IN_ATTRIB) < 0:
            raise OSError(ctypes.get_errno(), "inotify_add_watch", directory)
        loop.add_reader(watch, changed.set)
        while not await _answers(path):
            await changed.wait()
            changed.clear()
            _drain(watch)
    finally:
        loop.remove_reader(watch)
        os.close(watch)


def _drain(watch: int) -> None:
    """Take what is reported; it may have been taken with what came before it."""
    try:
        os.read(watch, _EVENT_BYTES)
    except BlockingIOError:
        pass


async def _answers(path: str) -> bool:
    try:
        _, writer = await asyncio.open_unix_connection(path)
    except OSError:
        return False
    writer.close()
    return True
