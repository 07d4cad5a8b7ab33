"""A log of which the part before the story is one line with a count, until it is unfolded.

While the stack comes up, the daemon and containerd have a long talk already: an image is brought in, layers are
unpacked. It is recorded and can be looked at, but the story begins with the user's command.
"""

from collections.abc import Sequence

from tracer.tui.widgets.event_log import EventLog, Piece


class StoryLog(EventLog):
    """Things in the order in which they happened; a subclass says how many there are and how to write one."""

    noun = "rows"
    _opened = False
    """What came before the story is listed too."""
    _before = 0
    """How many stand folded in the first row."""

    def count_at(self, cursor: int) -> int:
        """How many there are at a moment."""
        raise NotImplementedError

    def write_item(self, index: int, width: int) -> Sequence[Piece]:
        """The pieces of one."""
        raise NotImplementedError

    def linked_items(self) -> set[int]:
        """Indexes of those that belong to what is chosen."""
        raise NotImplementedError

    def row_count(self) -> int:
        count = self.count_at(self.view.cursor)
        self._before = 0 if self._opened else min(count, self.count_at(self.view.model.story_start - 1))
        return count - self._before + bool(self._before)

    def index_of(self, row: int) -> int | None:
        """Which one a row shows, None for the folded ones."""
        if self._before and row == 0:
            return None
        return row + self._before - bool(self._before)

    def write_row(self, row: int, width: int) -> Sequence[Piece]:
        index, ink = self.index_of(row), self.view.ink
        if index is None:
            return [("▸ ", ink.lit), ("before the story", ink.strong), (f"  {self._before:,} {self.noun}", ink.dim)]
        return self.write_item(index, width)

    def linked_row(self) -> int | None:
        count = self.count_at(self.view.cursor)
        shown = [index for index in self.linked_items() if self._before <= index < count]
        return max(shown) - self._before + bool(self._before) if shown else None

    def toggle_fold(self) -> None:
        """List what came before the story, or fold it away."""
        chosen = self.index_of(self.chosen) if self.chosen >= 0 else None
        self._opened = not self._opened
        self.update_rows(follow=False)
        if chosen is not None:
            self.choose(max(0, chosen - self._before + bool(self._before)), by_hand=False)
