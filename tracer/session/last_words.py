"""What the programs of a stack said last: it mostly says why they ended."""

BACKGROUND = ("containerd", "daemon", "image")
"""The labels of what is started before the story: `image` loads one into a real dockerd."""


def last_words(recording: str) -> str:
    """The last line that each of them printed, on a line of its own; empty where they said nothing.

    The engine keeps what they print beside the recording (`tracer/engine/story.py`).
    """
    said = ""
    for label in BACKGROUND:
        try:
            with open(f"{recording}.{label}.log", encoding="utf-8", errors="replace") as file:
                lines = [line.strip() for line in file if line.strip()]
        except OSError:
            continue  # it was not started
        if lines:
            said += f"\n  {label}: {lines[-1]}"
    return said
