"""A sentence that is too long for the key bar: over the last rows of the panes, above the keys, until the next key."""

from rich.text import Text
from textual.widgets import Static


class Notice(Static):
    """As many lines as the sentence needs.

    It lies over the panes, which keep their sizes: the container's programs would be told of another (SIGWINCH).
    """

    def __init__(self) -> None:
        super().__init__(id="notice")

    def show(self, sentence: str) -> None:
        """Show it in full; an empty one is none."""
        self.update(Text(sentence))
        self.display = bool(sentence)
