"""Pane 6: the container's own terminal. pyte keeps the screen; the pty's other end is the container's keyboard.

Live and at the present it shows what the pty says. In the past, and in replay, it is drawn from the output that the
client wrote to its terminal up to the cursor. While it has the focus every key goes to the container, except Ctrl-].
"""

import asyncio
import os
from collections.abc import Callable

import pyte
from rich.segment import Segment
from rich.style import Style
from textual.events import Key, Paste, Resize
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from tracer.events import MessageSeen
from tracer.stages.layers import Layer
from tracer.tui.keys import LEAVE_TERMINAL
from tracer.tui.view import TraceView
from tracer.tui.widgets.terminal_keys import sequence_for

KEPT_BYTES = 1 << 16
_NAMED = {"brown": "yellow", "brightbrown": "bright_yellow", "brightblack": "bright_black"}


class AnsweringScreen(pyte.Screen):
    """A screen that answers when a program asks where the cursor is (busybox's shell does, with ESC [6n)."""

    def __init__(self, columns: int, lines: int, answer: Callable[[bytes], None]) -> None:
        self._answer = answer
        super().__init__(columns, lines)

    def write_process_input(self, data: str) -> None:
        """Called by pyte with what a terminal would send back."""
        self._answer(data.encode())


class Terminal(Widget, can_focus=True):
    """A terminal emulator's screen."""

    BORDER_TITLE = "6 the container's terminal"

    class Left(Message):
        """The keyboard was given back."""

    class Typed(Message):
        """A key went to the container."""

    def __init__(self, view: TraceView) -> None:
        super().__init__(id="terminal", classes="pane")
        self.view = view
        self._typed = False
        self._unsent = bytearray()
        """Keys that the container's terminal had no room for yet."""
        self._said = bytearray()
        """The end of what the container wrote, to be shown again at another size."""
        self._now = AnsweringScreen(80, 24, self._answer)
        self._now_stream = pyte.ByteStream(self._now)
        self._past = pyte.Screen(80, 24)
        self._past_stream = pyte.Stream(self._past)
        self._past_shown = -1
        """The last event whose output the past screen holds."""
        self.written = False
        """The container has written something."""

    @property
    def is_live(self) -> bool:
        """The pty is shown, and typing reaches the container."""
        session = self.view.session
        return session.terminal_fd >= 0 and not session.ended and not self.view.in_the_past

    @property
    def screen_shown(self) -> pyte.Screen:
        """The screen of the present, or of the past where the cursor is there or there is no pty."""
        live = self.view.session.is_live and not self.view.in_the_past and self.written
        return self._now if live else self._past

    def feed(self, output: bytes) -> None:
        """The container wrote to its terminal."""
        self.written = True
        self._said += output
        del self._said[:-KEPT_BYTES]
        self._now_stream.feed(output)
        self.refresh()

    def update_rows(self, *, follow: bool) -> None:
        """The cursor has moved: bring the past screen to it."""
        cursor = self.view.cursor
        if cursor < self._past_shown:
            self._past.reset()
            self._past_shown = -1
        for sequence, process in self.view.model.conversation.output_between(self._past_shown, cursor):
            # The last hop counts: the client writes to the user's terminal.
            if self.view.layer_of(process, sequence) is not Layer.CLIENT:
                continue
            event = self.view.event(sequence)
            if isinstance(event, MessageSeen):
                # A terminal that is not raw makes CR LF of LF (ONLCR, termios(3)); where CR is there already, no harm.
                self._past_stream.feed(event.body.replace("\n", "\r\n"))
        self._past_shown = cursor
        self._update_title()
        self.refresh()

    def render_line(self, y: int) -> Strip:
        screen = self.screen_shown
        if y >= screen.lines:
            return Strip.blank(self.size.width, self.rich_style)
        if y == 0 and not "".join(screen.display).strip():
            text = "  the container has written nothing yet"
            return (
                Strip([Segment(text, self.view.ink.dim)])
                .adjust_cell_length(self.size.width)
                .apply_style(self.rich_style)
            )
        line = screen.buffer[y]
        show_cursor = self.has_focus and self.is_live and y == screen.cursor.y and not screen.cursor.hidden
        segments = []
        for x in range(min(screen.columns, self.size.width)):
            cell = line[x]
            style = _style(cell.fg, cell.bg, cell.bold, cell.italics, cell.underscore, cell.reverse)
            if show_cursor and x == screen.cursor.x:
                style += Style(reverse=True)
            segments.append(Segment(cell.data, style))
        return Strip(Segment.simplify(segments)).adjust_cell_length(self.size.width).apply_style(self.rich_style)

    def on_resize(self, event: Resize) -> None:
        """The container's terminal is as large as the pane; the kernel tells who is attached to it."""
        rows, columns = max(2, self.size.height), max(10, self.size.width)
        if (rows, columns) == (self._now.lines, self._now.columns):
            return
        for screen in (self._now, self._past):
            screen.resize(rows, columns)
            screen.reset()
        # pyte cuts lines off at the top: what was written is written again, and questions in it stay unanswered.
        typed, self._typed = self._typed, False
        self._now_stream.feed(bytes(self._said))
        self._typed = typed
        self._past_shown = -1
        self.update_rows(follow=False)
        resize = getattr(self.view.session, "resize_terminal", None)
        if resize is not None:
            resize(rows, columns)

    def on_focus(self) -> None:
        self.call_after_refresh(self._update_title)

    def on_blur(self) -> None:
        self.call_after_refresh(self._update_title)

    async def on_key(self, event: Key) -> None:
        if event.key == LEAVE_TERMINAL:
            event.stop()
            event.prevent_default()
            self.post_message(self.Left())
            return
        if not self.is_live:
            return  # nobody to type to: the keys are Glassbottom's
        event.stop()
        event.prevent_default()
        self._typed = True
        self.post_message(self.Typed())
        application_mode = (1 << 5) in self._now.mode
        self._type(sequence_for(event.key, event.character, application_mode))

    def on_paste(self, event: Paste) -> None:
        if self.is_live:
            event.stop()
            self._type(event.text.encode())

    def _answer(self, report: bytes) -> None:
        """Answer a program that asks where the cursor is, once somebody has typed.

        Before that the answer would be taken for the first key, which is a stage of its own.
        """
        if self._typed:
            self._type(report)

    def _type(self, keys: bytes) -> None:
        """Send keys to the container, in order. What it does not take now, being held perhaps, it gets later."""
        fd = self.view.session.terminal_fd
        if fd < 0 or not keys:
            return
        if not self._unsent:
            asyncio.get_running_loop().add_writer(fd, self._send, fd)
        self._unsent += keys
        self._send(fd)

    def _send(self, fd: int) -> None:
        try:
            del self._unsent[: os.write(fd, self._unsent)]
        except BlockingIOError:
            return
        except OSError:  # EIO: there is nobody to take them
            self._unsent.clear()
        if not self._unsent:
            asyncio.get_running_loop().remove_writer(fd)

    def _update_title(self) -> None:
        if self.is_live and self.has_focus:
            held = " · HELD: Ctrl-] then Space lets it run" if self.view.session.held else ""
            self.border_title = f"6 the container's terminal · typing goes to it, Ctrl-] comes back{held}"
        elif self.is_live and not self.view.container_is_over():
            self.border_title = "6 the container's terminal · press 6 to type"
        elif self.view.in_the_past:
            self.border_title = "6 the container's terminal, as it was then"
        else:
            self.border_title = "6 the container's terminal"


def _colour(name: str) -> str | None:
    if name == "default":
        return None
    if name in _NAMED:
        return _NAMED[name]
    if name.startswith("bright"):
        return "bright_" + name.removeprefix("bright")
    return f"#{name}" if len(name) == 6 and all(digit in "0123456789abcdefABCDEF" for digit in name) else name


def _style(fg: str, bg: str, bold: bool, italic: bool, underline: bool, reverse: bool) -> Style:
    return Style(color=_colour(fg), bgcolor=_colour(bg), bold=bold, italic=italic, underline=underline, reverse=reverse)
