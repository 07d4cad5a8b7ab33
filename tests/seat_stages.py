"""Which stages of the first lesson a run without a terminal shows, by who sits in the seats: data, with reasons."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from tracer import codec
from tracer.events import Event, RecordingHeader
from tracer.lessons import FIRST, load_lesson

STAGES = tuple(str(stage["id"]) for stage in load_lesson(FIRST).stages)
WITHOUT_A_TERMINAL = frozenset({"client-terminal-raw", "console-handed-over", "key-pressed"})
NOT_SHOWN_BY = {
    # dockerd has images of its own, and puts their layers together by itself (moby: daemon/graphdriver). It subscribes
    # to the topics under /tasks/ alone, and containerd does not send what nobody wants.
    ("daemon", "dockerd"): frozenset(
        {"daemon-finds-image", "daemon-prepares-snapshot", "shim-mounts-rootfs", "event-container-created"}
    ),
}


def expected(seats: Mapping[str, str]) -> list[str]:
    """The stages to be found, sorted; `seats` as `RunWords.seats` has them: seat -> real part."""
    missing = WITHOUT_A_TERMINAL.union(*(NOT_SHOWN_BY.get(pair, frozenset()) for pair in seats.items()))
    return sorted(set(STAGES) - missing)


def read(path: Path) -> tuple[RecordingHeader, list[Event]]:
    """A recording's header, and those of its events that are no calls: there are too many of them to be decoded."""
    with path.open(encoding="utf-8", newline="\n") as file:
        header = codec.decode_header(file.readline())
        return header, list(_events(file))


def _events(lines: Iterator[str]) -> Iterator[Event]:
    for line in lines:
        if not line.startswith(('["enter"', '["exit"')):
            yield codec.decode_event(line)
