"""The widgets of the trace screen: four linked panes, the story above them, the container's terminal beside them.

`trace.py` adds what the keys do.
"""

import time
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.events import DescendantBlur, DescendantFocus, Key, Resize
from textual.screen import Screen
from textual.widget import Widget
from textual.widgets import Static

from tracer.model.links import links_of_containerd_event, links_of_event, links_of_message, links_of_process
from tracer.tui.messages import Grew
from tracer.tui.view import TraceView
from tracer.tui.widgets.calls import Calls
from tracer.tui.widgets.containerd_events import ContainerdEvents
from tracer.tui.widgets.conversation import Conversation
from tracer.tui.widgets.event_log import EventLog
from tracer.tui.widgets.explanation import Explanation
from tracer.tui.widgets.key_bar import KeyBar
from tracer.tui.widgets.layer_strip import LayerStrip
from tracer.tui.widgets.notice import Notice
from tracer.tui.widgets.process_tree import ProcessTree
from tracer.tui.widgets.search_bar import SearchBar
from tracer.tui.widgets.stage_bar import StageBar
from tracer.tui.widgets.tab_bar import TabBar
from tracer.tui.widgets.terminal import Terminal
from tracer.tui.widgets.title_bar import TitleBar

WIDE = (110, 34)
"""From this size on all panes are shown at once."""
TALL = 20
"""From this height on there is a line for why something happened, below what the stage is about."""
LEAST = (60, 15)
"""Below this no pane fits: the stage and a sentence are shown."""
TINY = (36, 8)
"""Below this there is room for the sentence only."""
PANES = {1: "conversation", 2: "events", 3: "processes", 4: "calls", 6: "terminal"}


class TracePanes(Screen[None]):
    """Everything about one moment of one story."""

    AUTO_FOCUS: ClassVar[str | None] = ""  # it would choose a pane where none is shown

    def __init__(self, view: TraceView) -> None:
        super().__init__()
        self.view = view
        self.title_bar = TitleBar(view)
        self.layer_strip = LayerStrip(view)
        self.stage_bar = StageBar(view)
        self.explanation = Explanation(view)
        self.conversation = Conversation(view, id="conversation")
        self.events = ContainerdEvents(view, id="events")
        self.processes = ProcessTree(view, id="processes")
        self.calls = Calls(view, id="calls")
        self.terminal = Terminal(view)
        self.tab_bar = TabBar(view)
        self.search_bar = SearchBar()
        self.notice = Notice()
        self.key_bar = KeyBar(view)
        self.cost_seconds = 0.0
        """What it took to draw the last move: the reader leaves so much time between two."""
        self._shown_cursor = -2
        self._zoomed = False
        self._front: Widget = self.calls

    def compose(self) -> ComposeResult:
        yield self.title_bar
        yield self.layer_strip
        with Vertical(id="story"):
            yield self.stage_bar
            yield self.explanation
        yield self.tab_bar
        with Horizontal(id="panes"):
            with Vertical(id="left", classes="column"):
                yield self.conversation
                yield self.events
                yield self.processes
            with Vertical(id="right", classes="column"):
                yield self.calls
                yield self.terminal
        yield Static(id="too-small")
        yield self.search_bar
        yield self.notice
        yield self.key_bar

    def on_mount(self) -> None:
        self.search_bar.display = False
        self.focus_pane(self.calls)
        self.move_view()

    # --- keeping the panes at the cursor ----------------------------------------------------------------------------

    @on(Grew)
    def _grew(self) -> None:
        began = time.monotonic()
        if self.view.cursor != self._shown_cursor:
            self.move_view()
            self.call_after_refresh(self._drawn, began)
            self._take_keyboard_back()
        else:
            self.title_bar.refresh()
            self.stage_bar.refresh()

    def _drawn(self, began: float) -> None:
        """Deciding what to show is a tenth of it; most is Textual's, afterwards."""
        self.cost_seconds = time.monotonic() - began

    def _take_keyboard_back(self) -> None:
        """Once nobody is left in the container, typing there would go nowhere."""
        session = self.view.session
        if self.terminal.has_focus and session.is_live and (session.ended or self.view.container_is_over()):
            self.focus_pane(self.calls)
            self.say("the container's program has ended")

    def move_view(self) -> None:
        """The cursor is elsewhere: show that moment."""
        self.view.look_at_cursor()
        self.update_view(follow=True)

    def update_view(self, *, follow: bool) -> None:
        """Draw everything anew. `follow`: bring what belongs to the cursor into sight."""
        self._shown_cursor = self.view.cursor
        self._tell_place()
        for bar in (self.title_bar, self.stage_bar, self.key_bar):
            bar.refresh()
        self.layer_strip.update_strip()
        self.explanation.update_text()
        for pane in (self.processes, self.conversation, self.events, self.calls, self.terminal):
            pane.update_rows(follow=follow)
        self._update_titles()

    def _tell_place(self) -> None:
        """While one pane has the room of the stage bar, the title tells the stage."""
        self.title_bar.place = self.stage_bar.place_in_words() if self.has_class("-zoomed") else ""
        self.title_bar.refresh()

    def _update_titles(self) -> None:
        view = self.view
        process = view.process
        if view.everyone or process is None:
            self.calls.border_title = "4 system calls of everyone"
        else:
            layer = process.layer_at(view.cursor) or "other"
            self.calls.border_title = f"4 system calls of {layer} {process.pid}"
        self.calls.border_subtitle = f"{self.calls.search_size():,} calls"
        self.conversation.border_subtitle = f"{self.conversation.count_at(view.cursor):,} messages"
        self.events.border_subtitle = f"{self.events.count_at(view.cursor):,} events"
        self.processes.border_subtitle = f"{self.processes.row_count():,} processes"

    # --- one choice, four panes -------------------------------------------------------------------------------------

    @on(EventLog.Chosen)
    def _chosen(self, message: EventLog.Chosen) -> None:
        model, row = self.view.model, message.row
        log = message.log
        if log is self.conversation and (chosen := self.conversation.message_at(row)) is not None:
            self.view.links = links_of_message(model, chosen)
            self.view.process = model.process_of(chosen.sequence) or self.view.process
        elif log is self.events and (index := self.events.index_of(row)) is not None:
            self.view.links = links_of_containerd_event(model, index)
            self.view.process = model.process_of(model.conversation.events[index].sequence) or self.view.process
        elif log is self.processes:
            self.view.process = self.processes.process_at(row)
            self.view.links = links_of_process(model, self.view.process.index)
        elif log is self.calls and (sequence := self.calls.sequence_of(row)) is not None:
            self.view.links = links_of_event(model, sequence)
        for pane in (self.processes, self.conversation, self.events, self.calls):
            if pane is not log:
                pane.show_links()
            pane.refresh()
        self.explanation.update_text()
        self._update_titles()

    # --- panes, sizes, focus ----------------------------------------------------------------------------------------

    def pane_in_front(self) -> Widget:
        """The pane that has the focus, or had it last."""
        return self._front

    @on(DescendantFocus)
    def _focused(self, event: DescendantFocus) -> None:
        if event.widget.has_class("pane"):
            self.bring_to_front(event.widget)

    @on(DescendantFocus)
    @on(DescendantBlur)
    def _keyboard_changed_hands(self) -> None:
        self.key_bar.typing = self.focused is self.terminal and self.terminal.is_live
        self.key_bar.refresh()

    def focus_pane(self, pane: Widget) -> None:
        """Give a pane the keyboard; where no pane fits, as soon as one does."""
        self.bring_to_front(pane)  # what is not shown cannot take the focus
        self.call_after_refresh(self._focus_front)

    def _focus_front(self) -> None:
        # Keys that go to a pane which nobody sees, the container's terminal even, would seem to be lost.
        self.set_focus(None if self.too_small else self._front)

    def bring_to_front(self, pane: Widget) -> None:
        """Make a pane the one that is shown where only one is."""
        self._front = pane
        for other in self.query(".pane"):
            other.set_class(other is pane, "-front")
        for column in self.query(".column"):
            column.set_class(pane in column.children, "-front")
        self.tab_bar.front = next((number for number, name in PANES.items() if name == pane.id), 4)
        self.tab_bar.refresh()

    def zoom(self) -> None:
        """Give the pane in front all that is between the title and the keys, or take it back."""
        self._zoomed = not self._zoomed
        self.fit(self.size.width, self.size.height)

    @property
    def too_small(self) -> bool:
        """No pane fits: the stage and a sentence are shown."""
        return self.has_class("-too-small")

    @property
    def explains(self) -> bool:
        """What the stage is about, and how the story ended, is in sight."""
        return not self.too_small and not self.has_class("-zoomed")

    @on(Resize)
    def _resized(self, event: Resize) -> None:
        self.fit(event.size.width, event.size.height)

    def fit(self, width: int, height: int) -> None:
        """Show what there is room for in so many columns and rows."""
        wide = width >= WIDE[0] and height >= WIDE[1]
        small = width < LEAST[0] or height < LEAST[1]
        was_small = self.too_small
        self.set_class(small, "-too-small")
        self.set_class(self._zoomed and not small, "-zoomed")
        self.set_class(width < TINY[0] or height < TINY[1], "-tiny")
        self.set_class(not wide or self._zoomed, "-single")
        self.set_class(not wide, "-narrow")
        self.set_class(height < TALL, "-low")
        self._tell_place()
        if small:
            self.query_one("#too-small", Static).update(
                f"This terminal is {width}x{height}: the panes need at least {LEAST[0]}x{LEAST[1]}.\n"
                "Make it larger; q quits."
            )
            self.search_bar.display = False
            self._focus_front()
        elif was_small:
            self.focus_pane(self._front)
        self.key_bar.panes_fit = not small
        self.say(self.key_bar.said)

    # --- what is said -----------------------------------------------------------------------------------------------

    def say(self, sentence: str) -> None:
        """Show a sentence until the next key: in the key bar, or above it where it is too long for one line."""
        self.key_bar.said = sentence
        self.key_bar.refresh()
        self.notice.show("" if self.key_bar.holds(sentence) else sentence)

    @on(Key)
    @on(Terminal.Typed)
    def _unsay(self) -> None:
        """Whatever was said has been read once the next key comes."""
        if self.key_bar.said:
            self.say("")
