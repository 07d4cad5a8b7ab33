"""The terminal under the app: Textual's driver, made to outlive a terminal that is gone or no longer reads.

Textual writes from a thread that a failed write ends; the app then waits for good as soon as the thread's queue is
full. And it starts its threads a second time at every SIGCONT, which the kernel sends along with SIGHUP when a terminal
is closed (setsid(2), "disassociate_ctty" in the kernel), and which a shell sends to a job that was stopped.

What happens to a terminal, and how it is noticed here:

    closed while the app writes         write(2): EIO, what is still to be written is dropped
    closed while nothing is written     EPOLLHUP on the keyboard's side: a held story writes nothing
    frozen (nobody reads it)            write(2) would block: waited for, until a signal says that the app is to end
"""

import os
import select
import sys
from collections.abc import Callable
from typing import IO, TYPE_CHECKING, cast

from textual.drivers._writer_thread import WriterThread
from textual.drivers.linux_driver import LinuxDriver
from textual.message import Message

if TYPE_CHECKING:
    from io import TextIOWrapper

    from tracer.tui.app import GlassbottomApp

LOOK_AGAIN_SECONDS = 0.2
"""How often a write that waits for a frozen terminal asks whether the app is to end meanwhile."""


class TerminalOutput:
    """The file that Textual's writing thread writes to: no write fails, and none waits once the app is to end."""

    encoding = "utf-8"

    def __init__(self, fd: int, *, ending: Callable[[], bool], on_gone: Callable[[], None]) -> None:
        """Write to the terminal open at `fd`. `ending`: wait no more? `on_gone`: called once, by the writing thread."""
        self._inherited = fd
        self._fd = _unblocked(fd)
        self._ending = ending
        self._on_gone = on_gone
        self.gone = False
        """Nothing reaches the terminal any more."""

    def write(self, text: str) -> int:
        """Write it all, or nothing more once the terminal is gone."""
        left = text.encode(self.encoding, "backslashreplace")
        while left and not self.gone:
            try:
                if select.select([], [self._fd], [], LOOK_AGAIN_SECONDS)[1]:
                    left = left[os.write(self._fd, left) :]
                elif self._ending():
                    self.gone = True  # frozen: there is nobody to show anything to
            except BlockingIOError:
                continue
            except OSError:
                self.gone = True
                self._on_gone()
        return len(text)

    def flush(self) -> None:
        """Nothing is kept back."""

    def fileno(self) -> int:
        return self._fd

    def close(self) -> None:
        """Let go of what was opened here."""
        if self._fd != self._inherited:
            os.close(self._fd)
            self._fd = self._inherited


class TerminalDriver(LinuxDriver):
    """Textual's driver over such a file; it tells the app when the terminal has been closed."""

    class HungUp(Message):
        """There is no terminal any more."""

    def __init__(
        self, app: "GlassbottomApp", *, debug: bool = False, mouse: bool = True, size: tuple[int, int] | None = None
    ) -> None:
        super().__init__(app, debug=debug, mouse=mouse, size=size)
        assert sys.__stdout__ is not None
        # Not stderr, as Textual has it: `2>log` is to catch what is said, not the screen.
        self._output = TerminalOutput(sys.__stdout__.fileno(), ending=lambda: app.leaving, on_gone=self._tell)
        self._file = cast("TextIOWrapper", self._output)  # as much of one as the thread needs
        self._is_leaving: Callable[[], bool] = lambda: app.leaving
        self._watch: select.epoll | None = None

    def start_application_mode(self) -> None:
        """Take the terminal over, and watch it."""
        super().start_application_mode()  # type: ignore[no-untyped-call]  # Textual's
        if self._writer_thread is None:  # closed already: Textual has found that and begun nothing
            self._output.gone = True
            self._writer_thread = WriterThread(cast("IO[str]", self._output))
            self._writer_thread.start()
            self._tell()
        elif hasattr(select, "epoll"):  # on macOS SIGHUP and a failed write have to do
            self._watch = select.epoll()
            # Edge-triggered, since the keys are read by Textual's thread: level-triggered, each would ring till then.
            self._watch.register(self.fileno, select.EPOLLIN | select.EPOLLET)
            self._loop.add_reader(self._watch.fileno(), self._look)

    def close(self) -> None:
        """Stop writing and watching."""
        if self._watch is not None:
            self._loop.remove_reader(self._watch.fileno())
            self._watch.close()
            self._watch = None
        super().close()
        self._writer_thread = None

    def _look(self) -> None:
        if self._watch is not None and any(event & select.EPOLLHUP for _, event in self._watch.poll(0)):
            self._output.gone = True
            self._tell()

    def _tell(self) -> None:
        self._app.post_message(self.HungUp())

    def _sigcont_application(self, *_: object) -> None:
        if self._must_signal_resume:  # Textual has left the terminal before it stopped
            super()._sigcont_application()
        else:  # not from inside a handler, which may have interrupted whoever holds the queue's lock
            self._loop.call_soon_threadsafe(self._take_terminal_again)

    def _take_terminal_again(self) -> None:
        """Another program has had the terminal meanwhile, or nobody has."""
        if not self._output.gone and not self._is_leaving():
            self.suspend_application_mode()
            self.resume_application_mode()
            self._app.refresh(repaint=True, layout=True)


def _unblocked(fd: int) -> int:
    """The same terminal, opened anew to write without blocking: set on `fd` itself, O_NONBLOCK is the shell's too."""
    try:
        return os.open(os.ttyname(fd), os.O_WRONLY | os.O_NOCTTY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:  # another user's terminal (su), or one of another mount namespace: a write may block then
        return fd
