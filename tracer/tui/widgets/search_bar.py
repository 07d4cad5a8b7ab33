"""Search as you type in one pane. A long list is searched in slices, so that keys are answered meanwhile."""

import asyncio
import time

from textual import work
from textual.message import Message
from textual.widgets import Input

from tracer.tui.widgets.event_log import EventLog

SLICE_SECONDS = 0.012


class SearchBar(Input):
    """One line at the bottom of the screen, there only while something is looked for."""

    class Ended(Message):
        """Typing is over; the matches stay underlined until Escape."""

    class Looked(Message):
        """A search has been through; the outcome is a sentence where nothing was found, else empty."""

        def __init__(self, outcome: str) -> None:
            self.outcome = outcome
            super().__init__()

    def __init__(self) -> None:
        super().__init__(id="search-bar", placeholder="search in this pane; Enter keeps, Escape drops", compact=True)
        self.log_searched: EventLog | None = None
        self.outcome = ""
        """What the last search came to, for people."""
        self._from = -1

    def begin(self, log: EventLog) -> None:
        """Search in this pane from its chosen row on."""
        self.log_searched, self._from, self.outcome = log, log.search_place(), ""
        self.value = ""
        self.display = True
        self.focus()

    def on_input_changed(self, event: Input.Changed) -> None:
        event.stop()
        if self.log_searched is None:
            return
        self.log_searched.query_text = event.value
        self.log_searched.refresh()
        if event.value:
            self.look(max(self._from, 0), 1)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        self._end()

    def key_escape(self) -> None:
        if self.log_searched is not None:
            self.log_searched.query_text = ""
        self._end()

    def step(self, log: EventLog, direction: int) -> None:
        """Go to the next match in a pane, or (-1) to the one before."""
        self.log_searched = log
        if log.query_text:
            self.look(log.search_place() + direction, direction)

    @work(exclusive=True, group="search")
    async def look(self, start: int, direction: int) -> None:
        """Find the first match from a place on, going round at the end."""
        log = self.log_searched
        if log is None or not (size := log.search_size()):
            return
        wanted = log.query_text.lower()
        began = time.monotonic()
        for tried in range(size):
            place = (start + tried * direction) % size
            if wanted in log.search_text(place).lower():
                self.outcome = ""
                log.reveal(place)
                self.post_message(self.Looked(""))
                return
            if time.monotonic() - began > SLICE_SECONDS:
                self.post_message(self.Looked(f"searching, {100 * tried // size} %"))
                await asyncio.sleep(0)
                began = time.monotonic()
        self.outcome = f"no match for {log.query_text!r} in this pane"
        self.post_message(self.Looked(self.outcome))

    def _end(self) -> None:
        self.display = False
        self.post_message(self.Ended())
