"""The story in numbers, up to the cursor: calls, errors, bytes, traced time and purposes, by seat and by stage."""

import asyncio
import time
from collections.abc import Iterator, Mapping

from rich.console import Group
from rich.padding import Padding
from rich.table import Table
from rich.text import Text
from textual import work
from textual.widgets import Static

from tracer.codec import RecordingError
from tracer.model.statistics import BEFORE, Statistics, Tally
from tracer.report.numbers import TRACED_TIME, duration, not_counted, size
from tracer.tui.prose import plain
from tracer.tui.screens.detail import DetailScreen
from tracer.tui.theme import Ink
from tracer.tui.view import TraceView

SLICE_SECONDS = 0.015
"""How long may be counted before keys get a turn."""
LINES_AT_ONCE = 500
BARS = " ▁▂▃▄▅▆▇█"
SHOWN_BUCKETS = 21
"""One column of a distribution for each power of two of microseconds, up to a second; the last has what is longer."""
ROOM_FOR_TIMES, ROOM_FOR_BARS, ROOM_FOR_SEATS = 64, 100, 114
"""Columns of the page from which there is room for times, for distributions, and for purposes by seat."""


class StatisticsScreen(DetailScreen):
    """Counts while it is open, and shows what it has come to; it stands still when the story goes on."""

    def __init__(self, view: TraceView) -> None:
        super().__init__("the story in numbers", Text("counting …", style=view.ink.dim))
        self._view = view
        self._cursor = view.cursor
        self.statistics = Statistics(view.model)

    def on_mount(self) -> None:
        self.count()

    @work(exclusive=True, group="count")
    async def count(self) -> None:
        """Take everything up to the cursor in, in slices, and then write the page."""
        page = self.query_one("#page-text", Static)
        began = time.monotonic()
        for _ in self._steps():
            if time.monotonic() - began > SLICE_SECONDS:
                percent = 100 * self.statistics.taken // max(1, self._cursor + 1)
                page.update(Text(f"counting … {percent} %", style=self._view.ink.dim))
                await asyncio.sleep(0)
                began = time.monotonic()
        page.update(_page(self._view, self.statistics, self._cursor, page.size.width))

    def _steps(self) -> Iterator[None]:
        recording, statistics = self._view.session.recording, self.statistics
        while statistics.taken <= self._cursor:
            stop = min(statistics.taken + LINES_AT_ONCE, self._cursor + 1)
            for line in recording.lines(statistics.taken, stop):
                try:
                    statistics.take(line)
                except RecordingError:
                    continue  # the model was built over this line, so it is one that does not count
            yield
        yield from statistics.sort_out()


def _page(view: TraceView, statistics: Statistics, cursor: int, width: int) -> Group:
    ink, model = view.ink, view.model
    stage = model.stage_at(cursor)
    place = f"up to stage {list(model.stage_table).index(stage.stage) + 1}" if stage else "before the first stage"
    layers = statistics.by_layer()
    return Group(
        Text(f"{cursor + 1:,} events, {place}: {statistics.total.calls:,} calls.", style=ink.plain),
        Text(TRACED_TIME, style=ink.dim),
        *(Text(sentence, style=ink.dim) for sentence in not_counted(model, cursor)),
        _heading("By layer", ink),
        _by_layer(layers, statistics.total, ink, width),
        _heading("Errors, by errno", ink),
        _errors(layers, ink),
        _heading("What the calls were for", ink),
        _purposes(layers, statistics.total, ink, width),
        _heading("By stage: from its beginning to the next one's", ink),
        _by_stage(view, statistics.by_stage(), width),
    )


def _heading(words: str, ink: Ink) -> Text:
    return Text(f"\n{words}", style=ink.lit)


def _table(ink: Ink, *columns: str) -> Table:
    """A table whose first column is text and the others numbers."""
    table = Table(box=None, padding=(0, 2, 0, 0), header_style=ink.dim, pad_edge=False)
    for place, column in enumerate(columns):
        table.add_column(column, justify="right" if place else "left", no_wrap=True)
    return table


def _by_layer(layers: Mapping[str, Tally], total: Tally, ink: Ink, width: int) -> Padding:
    columns = ("calls", "failed", "read", "written", "half within", "99 % within", "1 µs … 1 s")
    shown = len(columns) if width >= ROOM_FOR_BARS else 5 if width >= ROOM_FOR_TIMES else 3
    table = _table(ink, "", *columns[:shown])
    rows = [*((seat, tally, ink.layer(seat)) for seat, tally in layers.items()), ("in all", total, ink.strong)]
    for name, tally, style in rows:
        cells = [
            f"{tally.calls:,}",
            _count(tally.errors.total()),
            _bytes(tally.read_bytes),
            _bytes(tally.written_bytes),
        ]
        cells += [duration(tally.within_us(0.5)), duration(tally.within_us(0.99)), distribution(tally)]
        table.add_row(Text(name, style=style), *cells[:shown])
    return Padding(table, (0, 0, 0, 2))


def _errors(layers: Mapping[str, Tally], ink: Ink) -> Padding:
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True)
    table.add_column()
    for seat, tally in layers.items():
        failed = ", ".join(f"{name} {count:,}" for name, count in tally.errors.most_common())
        row = Text(failed or "none", style=ink.plain if failed else ink.dim)
        if tally.interrupted:
            row.append(f"; no error: {tally.interrupted:,} interrupted by a signal and begun again", ink.dim)
        table.add_row(Text(seat, style=ink.layer(seat)), row)
    return Padding(table, (0, 0, 0, 2))


def _purposes(layers: Mapping[str, Tally], total: Tally, ink: Ink, width: int) -> Padding:
    seats = layers if width >= ROOM_FOR_SEATS else {}
    table = _table(ink, "", "calls", "", *seats)
    table.columns[0].no_wrap = False
    for purpose, count in total.purposes.most_common():
        share = f"{100 * count / total.calls:.1f} %"
        table.add_row(Text(purpose), f"{count:,}", share, *(_count(one.purposes[purpose]) for one in seats.values()))
    table.add_row(
        Text("in all", style=ink.strong), f"{total.calls:,}", "100 %", *(_count(one.calls) for one in seats.values())
    )
    return Padding(table, (0, 0, 0, 2))


def _by_stage(view: TraceView, stages: Mapping[str, Tally], width: int) -> Padding:
    ink, order = view.ink, list(view.model.stage_table)
    columns = ("calls", "failed", "read", "written", "1 µs … 1 s")
    shown = len(columns) if width >= ROOM_FOR_BARS else 2
    table = _table(ink, "", *columns[:shown])
    table.columns[0].max_width = min(60, width - (62 if width >= ROOM_FOR_BARS else 22))
    table.columns[0].overflow = "ellipsis"
    for stage, tally in stages.items():
        title = plain(str(view.model.stage_table.get(stage, {}).get("title", stage)))
        name = f"{order.index(stage) + 1:>3}  {title}" if stage in order else f"     {title}"
        if stage == BEFORE:
            name = "     before the first stage"
        cells = [
            f"{tally.calls:,}",
            _count(tally.errors.total()),
            _bytes(tally.read_bytes),
            _bytes(tally.written_bytes),
        ]
        table.add_row(Text(name), *[*cells, distribution(tally)][:shown])
    return Padding(table, (0, 0, 0, 2))


def _count(count: int) -> str:
    return f"{count:,}" if count else "·"


def _bytes(count: int) -> str:
    return size(count) if count else "·"


def distribution(tally: Tally) -> str:
    """How many calls took how long, a bar for each power of two; any call at all makes a bar."""
    counts = [*tally.durations[: SHOWN_BUCKETS - 1], sum(tally.durations[SHOWN_BUCKETS - 1 :])]
    most = max(counts) or 1
    return "".join(BARS[-(-count * (len(BARS) - 1) // most)] for count in counts)
