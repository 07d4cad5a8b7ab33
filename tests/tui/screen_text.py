"""What is on the screen as text."""

from typing import Any

from textual.screen import Screen
from textual.widget import Widget

from tracer.tui.widgets.event_log import EventLog


def rows(log: EventLog) -> list[str]:
    """The rows of a log, as text."""
    return ["".join(text for text, _ in log.write_row(row, 200)).rstrip() for row in range(log.row_count())]


def drawn(screen: Screen[Any]) -> list[str]:
    """The screen's lines, as a terminal would show them."""
    return [strip.text for strip in screen._compositor.render_strips()]


def chosen(log: EventLog) -> str:
    """The chosen row's text."""
    return rows(log)[log.chosen]


def focused(screen: Screen[Any]) -> str:
    """The id of the widget that has the focus."""
    return (screen.focused.id or "") if isinstance(screen.focused, Widget) else ""
