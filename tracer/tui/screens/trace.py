"""What the keys of the trace screen do: requests to the session, and moves between panes."""

from typing import ClassVar

from textual.binding import BindingType
from textual.widget import Widget

from tracer.stages.layers import Layer
from tracer.tui.keys import OF_PANES, bindings
from tracer.tui.screens.panes import PANES, TracePanes
from tracer.tui.widgets.event_log import EventLog
from tracer.tui.widgets.process_tree import ProcessTree
from tracer.tui.widgets.search_bar import SearchBar
from tracer.tui.widgets.story_log import StoryLog
from tracer.tui.widgets.terminal import Terminal

STORY = 5
"""The number of what is no pane: the story, stage by stage."""


class TraceScreen(TracePanes):
    """Everything about one moment of one story, and the actions behind the keys."""

    BINDINGS: ClassVar[list[BindingType]] = bindings()
    _terminal_offered = False
    """The keyboard was given to the container, which happens by itself only once."""

    # --- the story --------------------------------------------------------------------------------------------------

    def action_step_stage(self) -> None:
        self._moved(self.view.session.step_stage())

    def action_step_event(self) -> None:
        self._moved(self.view.session.step_event())

    def action_resume(self) -> None:
        self._moved(self.view.session.resume())

    def action_interrupt(self) -> None:
        self._moved(self.view.session.interrupt())

    def action_back(self) -> None:
        self._moved(self.view.session.back())

    def action_forward(self) -> None:
        self._moved(self.view.session.forward())

    def action_back_event(self) -> None:
        self._moved(self.view.session.back_event())

    def action_forward_event(self) -> None:
        self._moved(self.view.session.forward_event())

    def action_first(self) -> None:
        self._moved(self.view.session.first())

    def action_last(self) -> None:
        self._moved(self.view.session.last())

    def action_stages(self) -> None:
        from tracer.tui.screens.stages import StagesScreen

        self.app.push_screen(StagesScreen(self.view), self._go_to_stage)

    def action_statistics(self) -> None:
        from tracer.tui.screens.statistics import StatisticsScreen

        self.app.push_screen(StatisticsScreen(self.view))

    def _go_to_stage(self, sequence: int | None) -> None:
        if sequence is not None:
            self.view.session.cursor.move_to(sequence)
            self._moved("")

    def _moved(self, sentence: str) -> None:
        self.say(sentence)
        if self.view.cursor != self._shown_cursor:
            self.move_view()
        else:
            self.update_view(follow=False)

    def on_idle_story(self) -> None:
        """Nothing more comes for now: where the container waits for someone to type, give it the keyboard, once."""
        view = self.view
        if self._terminal_offered or not self.terminal.is_live or view.session.held or not self.terminal.written:
            return
        if self.too_small:
            return  # nobody would see what is typed
        cursor = view.cursor
        waits = (
            process
            for process in view.model.processes.all
            if process.layer_at(cursor) is Layer.CONTAINER and view.model.waiting_at(process, cursor)
        )
        if self.app.screen is self and next(waits, None) is not None:
            self._terminal_offered = True
            self.focus_pane(self.terminal)
            self.say("the shell waits for you: type here")

    def fit(self, width: int, height: int) -> None:
        """Also offer the keyboard that could not be offered where no pane was shown."""
        was_small = self.too_small
        super().fit(width, height)
        if was_small:
            self.on_idle_story()

    # --- panes ------------------------------------------------------------------------------------------------------

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Whether a key does anything now: what is about a pane does nothing while none is shown."""
        return not self.too_small or action not in OF_PANES or parameters == (STORY,)

    def action_pane(self, number: int) -> None:
        if number == STORY:
            self.action_stages()
        else:
            self.focus_pane(self.query_one(f"#{PANES[number]}"))

    def action_next_pane(self) -> None:
        self._cycle(1)

    def action_previous_pane(self) -> None:
        self._cycle(-1)

    def _cycle(self, by: int) -> None:
        panes: list[Widget] = [self.conversation, self.events, self.processes, self.calls, self.terminal]
        self.focus_pane(panes[(panes.index(self.pane_in_front()) + by) % len(panes)])

    def action_zoom(self) -> None:
        self.zoom()

    def on_terminal_left(self, message: Terminal.Left) -> None:
        self.focus_pane(self.calls)

    # --- rows -------------------------------------------------------------------------------------------------------

    def action_open(self) -> None:
        from tracer.tui.describe import describe
        from tracer.tui.screens.detail import DetailScreen

        pane = self.pane_in_front()
        if isinstance(pane, EventLog) and 0 <= pane.chosen < pane.row_count():
            if pane is self.calls and self.calls.sequence_of(pane.chosen) is None:
                self.calls.toggle_fold()
            elif isinstance(pane, StoryLog) and pane.index_of(pane.chosen) is None:
                pane.toggle_fold()
            elif described := describe(self.view, pane, pane.chosen):
                self.app.push_screen(DetailScreen(*described))

    def action_source(self) -> None:
        from tracer.tui.screens.detail import DetailScreen
        from tracer.tui.source import source_lines

        anchor = str(self.stage_bar.current().get("source", ""))
        found = source_lines(anchor, dark=self.app.current_theme.dark) if anchor else "no stage has been reached yet"
        if isinstance(found, str):
            self.say(found)
        else:
            self.app.push_screen(DetailScreen(anchor, found))

    def action_fold(self) -> None:
        pane = self.pane_in_front()
        foldable = pane if isinstance(pane, StoryLog | ProcessTree) else self.calls
        foldable.toggle_fold()

    def action_fold_all(self) -> None:
        self.calls.toggle_flat()
        self.say("every call is listed" if self.calls.flat else "runs of ordinary calls are folded")

    def action_everyone(self) -> None:
        self.view.everyone = not self.view.everyone
        self.update_view(follow=False)
        self.calls.show_links()

    # --- search and the rest ----------------------------------------------------------------------------------------

    def action_search(self) -> None:
        pane = self.pane_in_front()
        if isinstance(pane, EventLog):
            self.search_bar.begin(pane)
        else:
            self.say("there is nothing to search in this pane")

    def action_search_next(self) -> None:
        self._search_on(1)

    def action_search_previous(self) -> None:
        self._search_on(-1)

    def _search_on(self, direction: int) -> None:
        pane = self.pane_in_front()
        if isinstance(pane, EventLog) and pane.query_text:
            self.search_bar.step(pane, direction)
        else:
            self.say("nothing is being searched for: / begins")

    def on_search_bar_looked(self, message: SearchBar.Looked) -> None:
        self.say(message.outcome)

    def on_search_bar_ended(self, message: SearchBar.Ended) -> None:
        self.say(self.search_bar.outcome)
        self.focus_pane(self.pane_in_front())

    def action_help(self) -> None:
        from tracer.tui.screens.help import HelpScreen

        self.app.push_screen(HelpScreen(self.view.ink))

    def action_theme(self) -> None:
        self.app.theme = "glassbottom-light" if self.app.current_theme.dark else "glassbottom-dark"

    async def action_leave(self) -> None:
        await self.app.run_action("leave")
