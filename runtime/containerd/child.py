"""Run a short-lived program and wait for it, without threads and without blocking the event loop.

Real counterpart: Go's `exec.Cmd.CombinedOutput`, as containerd `runtime/v2/binary.go` uses it for `shim start`.

asyncio's own subprocesses would do, but their default child watcher starts a thread per child on Python 3.11, and
needs SIGCHLD handling in older ones. A pidfd (pidfd_open(2), Linux 5.3) is a file descriptor that becomes readable
when the process ends, which is all that an event loop needs.
"""

import asyncio
import os
import subprocess
from collections.abc import Mapping, Sequence
from typing import NamedTuple

_CHUNK = 65536


class Finished(NamedTuple):
    """How a program ended and what it said."""

    returncode: int
    output: bytes
    errors: bytes


async def run(
    argv: Sequence[str], *, cwd: str, env: Mapping[str, str], stdin: bytes = b"", combined: bool = False
) -> Finished:
    """Run the program to its end; `combined` puts its stderr into `output`, in the order of writing.

    The end is the end of its output *and* of the process. As with CombinedOutput, a grandchild that keeps stdout open
    keeps us waiting: a shim's daemon must close it.
    """
    process = subprocess.Popen(
        argv,
        cwd=cwd,
        env=env,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT if combined else subprocess.PIPE,
        bufsize=0,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        _, output, errors, _ = await asyncio.gather(
            _feed(process.stdin.fileno(), stdin, process.stdin.close),
            _drain(process.stdout.fileno()),
            _drain(process.stderr.fileno()) if process.stderr is not None else _nothing(),
            _ended(process.pid),
        )
    finally:
        # Reaps it; where the call was cancelled, a program that still runs is ended first.
        if process.poll() is None:
            process.kill()
            process.wait()
        for pipe in (process.stdin, process.stdout, process.stderr):
            if pipe is not None:
                pipe.close()
    return Finished(process.returncode, output, errors)


async def _nothing() -> bytes:
    return b""


async def readable(fd: int) -> None:
    """Wait until the descriptor can be read (or is at its end)."""
    loop = asyncio.get_running_loop()
    ready: asyncio.Future[None] = loop.create_future()
    loop.add_reader(fd, _resolve, ready)
    try:
        await ready
    finally:
        loop.remove_reader(fd)


def _resolve(ready: "asyncio.Future[None]") -> None:
    if not ready.done():
        ready.set_result(None)


async def _writable(fd: int) -> None:
    loop = asyncio.get_running_loop()
    ready: asyncio.Future[None] = loop.create_future()
    loop.add_writer(fd, _resolve, ready)
    try:
        await ready
    finally:
        loop.remove_writer(fd)


async def _feed(fd: int, data: bytes, close: object) -> None:
    os.set_blocking(fd, False)
    rest = memoryview(data)
    try:
        while rest:
            try:
                rest = rest[os.write(fd, rest) :]
            except BlockingIOError:
                await _writable(fd)
    except BrokenPipeError:
        pass  # it did not want to read its stdin (ctr's shims need not)
    finally:
        assert callable(close)
        close()


async def _drain(fd: int) -> bytes:
    os.set_blocking(fd, False)
    data = bytearray()
    while True:
        try:
            chunk = os.read(fd, _CHUNK)
        except BlockingIOError:
            await readable(fd)
            continue
        if not chunk:
            return bytes(data)
        data += chunk


async def _ended(pid: int) -> None:
    pidfd = os.pidfd_open(pid)
    try:
        await readable(pidfd)
    finally:
        os.close(pidfd)
