"""The shim's one loop: epoll(7) wakes it, plain coroutines tell what to do next.

Real counterpart: the Go runtime's scheduler and netpoller under containerd-shim-runc-v2. A shim spends its life waiting
for four kinds of things (a request, a child's end, a byte for or from a terminal, an answer to an event), so it waits
for all of them in a single epoll_wait and keeps no thread, no timer and no sleep.

    async def create(...):                       a handler is written top to bottom ...
        finished = await runtime.create(...)     ... and parks here on a Promise until the reaper fulfils it

Left out on purpose: asyncio (45 ms of imports for each container, and an executor and timers that it does not need).
"""

import os
import select
import signal
from collections.abc import Callable, Coroutine, Generator
from typing import Any, Generic, TypeVar

T = TypeVar("T")

READ = select.EPOLLIN
WRITE = select.EPOLLOUT
PRIORITY = select.EPOLLPRI
"""The mask under which kernfs reports a change of a file such as memory.events."""


class Promise(Generic[T]):
    """A value that is not there yet; any number of coroutines may await it."""

    def __init__(self) -> None:
        self.done = False
        self._value: T | None = None
        self._resume: list[Callable[[], None]] = []

    def fulfil(self, value: T) -> None:
        """Set the value, once, and run on everybody who waits for it."""
        if self.done:
            return
        self.done = True
        self._value = value
        waiting, self._resume = self._resume, []
        for resume in waiting:
            resume()

    def __await__(self) -> "Generator[Promise[Any], None, T]":
        if not self.done:
            yield self
        return self._value  # type: ignore[return-value]

    def then(self, resume: Callable[[], None]) -> None:
        """Call `resume` when the value is there."""
        if self.done:
            resume()
        else:
            self._resume.append(resume)


def spawn(coroutine: Coroutine["Promise[Any]", None, None]) -> None:
    """Run a coroutine to its end, parking it on each Promise that it awaits."""
    try:
        promise = coroutine.send(None)
    except StopIteration:
        return
    promise.then(lambda: spawn(coroutine))


class Loop:
    """Watches file descriptors and calls back with what is ready."""

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._watches: dict[int, tuple[int, Callable[[int], None]]] = {}
        self._stopping = False

    def watch(self, fd: int, mask: int, callback: Callable[[int], None]) -> None:
        """Call `callback(ready)` while `fd` is ready for one of `mask`; a mask of 0 stops watching it.

        A descriptor without interest is taken out of epoll altogether, because EPOLLHUP and EPOLLERR are reported
        whatever the mask: a closed peer that nobody reads would turn the wait into a busy loop.
        """
        known = self._watches.get(fd)
        if mask == 0:
            self.forget(fd)
            return
        self._watches[fd] = (mask, callback)
        if known is None:
            self._epoll.register(fd, mask)
        elif known[0] != mask:
            self._epoll.modify(fd, mask)

    def forget(self, fd: int) -> None:
        """Stop watching; to be called before the descriptor is closed."""
        if self._watches.pop(fd, None) is not None:
            self._epoll.unregister(fd)

    def on_signal(self, number: int, callback: Callable[[], None]) -> None:
        """Call back from the loop, not from the handler, after the signal has come (set_wakeup_fd: self-pipe)."""
        wake_read, wake_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(wake_write, warn_on_full_buffer=False)
        signal.signal(number, lambda _number, _frame: None)

        def woken(_ready: int) -> None:
            os.read(wake_read, 4096)
            callback()

        self.watch(wake_read, READ, woken)

    def stop(self) -> None:
        """Let `run` return once the present round of callbacks is over."""
        self._stopping = True

    def run(self) -> None:
        """Wait and call back until told to stop."""
        while not self._stopping:
            for fd, ready in self._epoll.poll():
                # An earlier callback of the same round may have closed this one.
                watch = self._watches.get(fd)
                if watch is not None:
                    watch[1](ready)
