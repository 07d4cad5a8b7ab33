"""Recordings read by sequence number: growing, packed, truncated, corrupt."""

import gzip
import lzma
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.tui.story import docker_run
from tracer.codec import RecordingError
from tracer.events import ProcessForked, RecordingEnded
from tracer.session.recording import Recording


@pytest.fixture(name="path")
def _path(tmp_path: Path) -> Path:
    return docker_run().write(tmp_path / "story.jsonl")


def test_recording_gives_events_by_sequence_number(path: Path) -> None:
    """The first and the last event of the file are where they should be, and nothing is wrong with it."""
    recording = Recording(str(path))

    recording.read_all()

    assert len(recording) == len(path.read_text().splitlines()) - 1
    assert isinstance(recording.event(0), ProcessForked)
    assert isinstance(recording.event(len(recording) - 1), RecordingEnded)
    assert recording.complete
    assert recording.damage == ""


def test_recording_indexes_the_same_in_any_chunks(path: Path) -> None:
    """However little is read at a time, lines longer than that included, the index is the same."""
    whole, bits = Recording(str(path)), Recording(str(path))
    whole.read_all()

    while bits.refresh(limit_bytes=37):
        pass

    assert len(bits) == len(whole)
    assert bits.stages == whole.stages
    assert bits.stops == whole.stops
    assert [bits.line(n).rstrip() for n in range(len(bits))] == whole.lines(0, len(whole))


@pytest.mark.parametrize("compress", [gzip.compress, lzma.compress])
def test_recording_packed_reads_like_a_plain_one(path: Path, compress: Callable[[bytes], bytes]) -> None:
    """A .jsonl.gz or .jsonl.xz is opened by its content, whatever its name."""
    packed = path.with_suffix(".packed")
    packed.write_bytes(compress(path.read_bytes()))
    recording = Recording(str(packed))

    recording.read_all()

    assert recording.complete
    assert recording.line(5) == path.read_bytes().splitlines(keepends=True)[6]


@pytest.mark.parametrize("compress", [gzip.compress, lzma.compress])
def test_recording_packed_in_parts_is_one(path: Path, compress: Callable[[bytes], bytes]) -> None:
    """Compressed files may be joined by cat(1)."""
    packed, plain = path.with_suffix(".packed"), path.read_bytes()
    packed.write_bytes(compress(plain[:5000]) + compress(plain[5000:]))
    recording = Recording(str(packed))

    recording.read_all()

    assert recording.complete
    assert recording.size_bytes == len(plain)


@pytest.mark.parametrize("compress", [gzip.compress, lzma.compress])
def test_recording_packed_and_cut_short_shows_what_is_there(path: Path, compress: Callable[[bytes], bytes]) -> None:
    """A file that is cut short opens with the events that came out of it."""
    packed, plain = path.with_suffix(".packed"), path.read_bytes()
    packed.write_bytes(compress(plain[: len(plain) // 2]) + compress(plain[len(plain) // 2 :])[:-40])
    recording = Recording(str(packed))

    recording.read_all()

    assert len(recording) > 0
    assert "damaged" in recording.damage
    assert "it ends in the middle" in recording.damage


def test_recording_grows_by_whole_lines(tmp_path: Path) -> None:
    """Half a line is not there yet; it is once its end has been written."""
    story = docker_run()
    path = tmp_path / "growing.jsonl"
    path.write_text(story.header + story.lines[0] + story.lines[1][:10])
    recording = Recording(str(path), growing=True)

    first = recording.refresh()
    with path.open("a") as file:
        file.write(story.lines[1][10:])
    second = recording.refresh()

    assert (first, second) == (1, 1)
    assert recording.damage == ""


def test_recording_cut_in_a_line_says_which(path: Path) -> None:
    """The events before a line that is cut short are there, and the line is named."""
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(lines[:20]) + lines[20][:5])
    recording = Recording(str(path))

    recording.read_all()

    assert len(recording) == 19
    assert "line 21 is cut short" in recording.damage


def test_recording_without_an_end_says_so(path: Path) -> None:
    """A recording whose engine was killed has no last event."""
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:20]))
    recording = Recording(str(path))

    recording.read_all()

    assert "without its last event" in recording.damage


def test_recording_corrupt_line_is_named(path: Path) -> None:
    """A line that is no event raises with its number, and its neighbours can still be read."""
    lines = path.read_text().splitlines(keepends=True)
    lines[7] = "}garbage{\n"
    path.write_text("".join(lines))
    recording = Recording(str(path))
    recording.read_all()

    with pytest.raises(RecordingError, match="line 8"):
        recording.event(6)

    assert recording.event(7) is not None


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "line 1: the file is empty: .*copy or record it again"),
        (b'{"glassbottom": 1, "crea', "line 1: cut short: .*copy or record it again"),
        (b"hello\nworld\n", "line 1: not a glassbottom recording .*`glassbottom record"),
        (b"\x00\xff\x00\n\xff", "line 1: not a glassbottom recording .*`glassbottom record"),
        (b'{"glassbottom": 99}\n', "line 1: recording format 99; .* record the run again"),
        (b'{"glassbottom": 1, "kernel": "6.18"}\n', "line 1: a damaged header .*copy or record it again"),
        (b"\x1f\x8bhello", "the compressed recording is damaged after 0 bytes"),
        (gzip.compress(b"hello\n", mtime=0), "line 1: not a glassbottom recording"),
    ],
)
def test_recording_refuses_what_is_none(tmp_path: Path, content: bytes, words: str) -> None:
    """What is no recording is refused in a sentence: which file, which line, what to do."""
    path = tmp_path / "not.jsonl"
    path.write_bytes(content)

    with pytest.raises(RecordingError, match=rf"/not\.jsonl: {words}"):
        Recording(str(path))


def test_recording_that_is_not_there_is_named(tmp_path: Path) -> None:
    """A missing file is named with the reason."""
    with pytest.raises(RecordingError, match=r"missing\.jsonl: no such file"):
        Recording(str(tmp_path / "missing.jsonl"))


def test_recording_that_is_a_directory_is_named(tmp_path: Path) -> None:
    """It can be opened, but not read."""
    with pytest.raises(RecordingError, match=f"{tmp_path}: this is a directory, not a recording"):
        Recording(str(tmp_path))


def test_recording_that_is_a_device_is_named() -> None:
    """It is read from any place, which a device or a pipe does not allow."""
    with pytest.raises(RecordingError, match="/dev/null: this is no regular file, not a recording"):
        Recording("/dev/null")
