"""A lesson's sentences: what stands between `backticks` is code, and is shown without them in an ink of its own."""

from rich.text import Text

from tracer.tui.theme import Ink


def prose(sentences: str, ink: Ink) -> Text:
    """The sentences with their code told apart."""
    text = Text()
    for place, part in enumerate(sentences.split("`")):
        text.append(part, ink.code if place % 2 else ink.plain)
    return text


def plain(sentence: str) -> str:
    """A sentence that has one ink already."""
    return sentence.replace("`", "")
