"""Run a short program and take what it prints, on the event loop and without a thread.

asyncio's own subprocesses wait for children in a thread on Python 3.11. These programs only print and exit, so the end
of their output is the sign to reap them, and the wait that follows is as good as over.
"""

import asyncio
import os

_READ_BYTES = 65536


class ProgramError(Exception):
    """A program could not be run, or said no; the message holds its last words."""


async def run_program(argv: list[str]) -> bytes:
    """Run a program by path and return its standard output (stderr goes with it)."""
    loop = asyncio.get_running_loop()
    read_end, write_end = os.pipe2(os.O_CLOEXEC)
    try:
        actions = [
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_DUP2, write_end, 1),
            (os.POSIX_SPAWN_DUP2, write_end, 2),
        ]
        pid = os.posix_spawn(argv[0], argv, os.environ, file_actions=actions)
    except OSError as error:
        os.close(read_end)
        raise ProgramError(f"cannot run {argv[0]}: {error.strerror}") from error
    finally:
        os.close(write_end)
    output = bytearray()
    ended = loop.create_future()

    def readable() -> None:
        data = os.read(read_end, _READ_BYTES)
        output.extend(data)
        if not data:
            loop.remove_reader(read_end)
            ended.set_result(None)

    loop.add_reader(read_end, readable)
    try:
        await ended
    finally:
        loop.remove_reader(read_end)
        os.close(read_end)
        _, status = os.waitpid(pid, 0)
    if status:
        raise ProgramError(f"{argv[0]}: {output.decode(errors='replace').strip()}")
    return bytes(output)
