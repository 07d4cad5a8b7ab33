"""The app: reads the session on, keeps the model at its end, and shows the trace screen.

    run_live(session, stop)      called by `glassbottom run` with a started LiveSession; returns the exit code
    run_replay(path)             called by `glassbottom replay` and where a live run is impossible

For `tracer/verbs/run.py`: make the LiveSession first (`tracer.session.live`, which starts the engine), and only then
import this module, so that the stack comes up while Textual is being imported. Both functions end the session, come
what may, and raise `RecordingError` or `SessionError` (from `tracer.session.session`) for the verb to print.
"""

import asyncio
import gc
import os
import signal
import sys
import time
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

from textual import work
from textual.app import App
from textual.theme import Theme

from tracer.codec import RecordingError
from tracer.model import TraceModel
from tracer.session.replay import ReplaySession
from tracer.session.session import Session
from tracer.stop_signals import StopSignals
from tracer.tui.driver import TerminalDriver
from tracer.tui.messages import Grew
from tracer.tui.screens.trace import TraceScreen
from tracer.tui.theme import DARK, LIGHT, ink_of
from tracer.tui.view import REFUSED, TraceView

if TYPE_CHECKING:
    from tracer.session.live import LiveSession

SLICE_SECONDS = 0.015
"""How long the model may be fed before the screen gets a turn."""
SHOWN_EVERY_SECONDS = 0.06
"""How often a growing recording is drawn at most."""
START_UP_SHOWN_EVERY_SECONDS = 0.5
"""The same, before the story begins: nobody can do anything yet but wait, and drawing would make them wait longer."""
DRAWING_SHARE = 4
"""Drawing takes at most one part in so many of the time, since the stack is running on the same processors."""


class GlassbottomApp(App[int]):
    """One session on one screen."""

    TITLE = "glassbottom"
    CSS_PATH = "app.tcss"
    ENABLE_COMMAND_PALETTE = False

    def __init__(self, session: Session, *, stop: StopSignals | None = None, notice: str = "") -> None:
        """Show `session`, until the user leaves or one of the signals in `stop` comes. `notice` is said at first."""
        super().__init__(driver_class=TerminalDriver)
        for theme in (DARK, LIGHT):  # before the stylesheet is read: it uses their colours
            self.register_theme(theme)
        self.theme = DARK.name
        self.session = session
        self._stop = stop
        self.model = TraceModel(session.recording.header)
        self.view = TraceView(session, self.model)
        self._notice = notice
        self._trace = TraceScreen(self.view)
        self._rung = asyncio.Event()

    def on_load(self) -> None:
        """Before the terminal is touched: what is told from here on is heard."""
        if self._stop is not None:
            asyncio.get_running_loop().add_reader(self._stop, self._told_to_leave)
            self._told_to_leave()

    def on_mount(self) -> None:
        self.theme_changed_signal.subscribe(self, self._inked)
        self.push_screen(self._trace)
        loop = asyncio.get_running_loop()
        if self.session.doorbell_fd >= 0:
            loop.add_reader(self.session.doorbell_fd, self._rung.set)
        if self.session.terminal_fd >= 0:
            loop.add_reader(self.session.terminal_fd, self._terminal_spoke, self.session.terminal_fd)
        self.read_on()
        if self._notice:
            self.call_after_refresh(self._trace.say, self._notice)

    def on_unmount(self) -> None:
        gc.unfreeze()

    @work(exclusive=True, group="reader")
    async def read_on(self) -> None:
        """Take in what is recorded, in slices, for as long as there is more to come."""
        show_next = 0.0
        while True:
            self._rung.clear()
            found = self.session.refresh()
            if not found:
                now = time.monotonic()
                if self.session.held or self.session.ended or now > show_next or not await self._quiet(show_next - now):
                    self._read_to_here()
                    show_next = time.monotonic() + self._pause_between_drawings()
                    self._trace.on_idle_story()
                if self.session.ended and not self.session.refresh():
                    break
                if not await self._wait_for_more():
                    break
                continue
            async for now in self._apply():
                if now > show_next:
                    self._read_to_here()
                    show_next = now + self._pause_between_drawings()
        # All of it stays: to go through it again and again would take the collector 40 ms each time, in some frame.
        gc.collect()
        gc.freeze()
        self._trace.title_bar.progress = ""
        problem = self.session.failure or self.session.recording.damage
        if not problem and self.session.is_live and not self._trace.explains:
            problem = self.view.refusal()
        if problem:
            self._trace.say(problem.partition("\n")[0])
        self._read_to_here()

    def _pause_between_drawings(self) -> float:
        if self.session.is_live and not self.model.story_start:
            return START_UP_SHOWN_EVERY_SECONDS
        pause = max(SHOWN_EVERY_SECONDS, DRAWING_SHARE * self._trace.cost_seconds)
        return min(pause, START_UP_SHOWN_EVERY_SECONDS)  # a single hitch is no cost

    async def _apply(self) -> AsyncIterator[float]:
        """Feed the model what has been indexed; yields the time whenever the screen should have a turn."""
        recording, model = self.session.recording, self.model
        began = time.monotonic()
        while model.applied < len(recording) and not recording.damage.startswith("line"):
            stop = min(model.applied + 500, len(recording))
            try:
                for line in recording.lines(model.applied, stop):
                    model.apply_line(line)
            except RecordingError as error:
                recording.damage = str(error)
            now = time.monotonic()
            if now - began > SLICE_SECONDS:
                if not self.session.is_live:
                    percent = 100 * recording.indexed_bytes // max(1, recording.size_bytes)
                    self._trace.title_bar.progress = f"READING {percent} %" if percent < 100 else ""
                yield now
                await asyncio.sleep(0)
                began = time.monotonic()

    async def _wait_for_more(self) -> bool:
        """Sleep until the doorbell rings; False where there is none."""
        if self.session.doorbell_fd < 0:
            return False
        await self._rung.wait()
        return True

    async def _quiet(self, seconds: float) -> bool:
        """Whether the doorbell rings again within that time."""
        try:
            await asyncio.wait_for(self._rung.wait(), seconds)
        except TimeoutError:
            return False
        return True

    def _read_to_here(self) -> None:
        self._trace.post_message(Grew())

    def _terminal_spoke(self, fd: int) -> None:
        try:
            output = os.read(fd, 65536)
        except BlockingIOError:
            return
        except OSError:  # EIO: nobody holds the other end any more
            output = b""
        if output:
            self._trace.terminal.feed(output)
        else:
            asyncio.get_running_loop().remove_reader(fd)

    def _inked(self, theme: Theme) -> None:
        self.view.ink = ink_of(theme)
        self._trace.refresh(recompose=False)
        for widget in self._trace.query("*"):
            widget.refresh()

    async def action_leave(self) -> None:
        """End the run, clean up, and leave."""
        self._trace.say("bringing the stack down …" if self.session.is_live else "")
        self.forget_fds()
        self.workers.cancel_group(self, "reader")
        await asyncio.to_thread(self.session.quit)
        ended = self.model.ended
        if self.session.failure:
            self.exit(125)  # as docker says that it, and not the container, has failed
        else:
            self.exit(0 if ended is None or ended.exit_code is None else ended.exit_code)

    @property
    def leaving(self) -> bool:
        """The app is to end, or about to: nobody need wait for the terminal any more. Asked by the driver's thread."""
        return self.return_code is not None or (self._stop is not None and self._stop.number != 0)

    def _told_to_leave(self) -> None:
        """A signal: leave at once. The stack is taken down when the terminal is as it was, by whoever runs the app."""
        if self._stop is not None and (number := self._stop.answer()):
            self.exit(128 + number)

    def on_terminal_driver_hung_up(self) -> None:
        """The terminal was closed, and no signal has said so: this process was not in its foreground."""
        if not self.leaving:
            self.exit(128 + signal.SIGHUP)

    def forget_fds(self) -> None:
        """Stop watching what is about to be closed."""
        loop = asyncio.get_running_loop()
        for fd in (self.session.doorbell_fd, self.session.terminal_fd):
            if fd >= 0:
                loop.remove_reader(fd)
                loop.remove_writer(fd)


def run_live(session: "LiveSession", stop: StopSignals) -> int:
    """Show a live session until the user leaves; the run is over when this returns."""
    app = GlassbottomApp(session, stop=stop)
    try:
        exit_code = app.run() or 0
        # The screen is gone, and with it what the client said: docker run would have left it on the terminal.
        if exit_code in REFUSED and (refusal := app.view.refusal()):
            sys.stderr.write(f"{refusal}\n")
        return exit_code
    finally:
        session.quit()


def run_replay(path: str, *, notice: str = "") -> int:
    """Show a recording until the user leaves. Raises RecordingError where it is none."""
    session = ReplaySession(path)
    names = ", ".join(session.recording.header.recorded_first)
    if names and not notice:
        notice = f"recorded first and stepped now, because {names} would not wait while everything is held"
    with StopSignals() as stop:
        try:
            return GlassbottomApp(session, stop=stop, notice=notice).run() or 0
        finally:
            session.quit()
