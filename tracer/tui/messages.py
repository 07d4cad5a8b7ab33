"""What happens on more than one screen or pane, in words."""

from textual.message import Message


class Grew(Message, bubble=False):
    """The recording was read on; views may have changed. Bursts collapse into one."""

    def can_replace(self, message: Message) -> bool:
        return isinstance(message, Grew)


class Said(Message):
    """A sentence for the person at the keyboard."""

    def __init__(self, sentence: str) -> None:
        self.sentence = sentence
        super().__init__()
