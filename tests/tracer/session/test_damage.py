"""Whatever befalls a recording's bytes: what can be read is told, or a sentence says why not; never a traceback."""

import gzip
import json
import lzma
import zlib
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.tui.story import docker_run
from tracer.codec import RecordingError
from tracer.report.as_json import json_report
from tracer.report.text import text_report
from tracer.session.recording import Recording

BOUNDED = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
STORY = docker_run()
WHOLE = (STORY.header + "".join(STORY.lines)).encode()
GZIP, XZ = gzip.compress(WHOLE, mtime=0), lzma.compress(WHOLE)
PLACES = st.integers(0, len(WHOLE) - 1)
SPLICES = st.sampled_from(
    [b"", b'"', b"[", b"]", b"{}", b"-", b"null", b"true", b"1.5", b"9" * 30, b'"x"', b"\\ud800", b"NaN", b"\n", b"\0",
     b"\xff"]
)  # fmt: skip


def told(path: Path) -> int | None:
    """How many events of the file both reports tell of; None where it is refused in a sentence that names it."""
    try:
        recording = Recording(str(path))
    except RecordingError as error:
        sentence = str(error)
    else:
        sentence = ""
    if sentence:
        assert sentence.startswith(f"{path}: ")
        return None
    try:
        text = "\n".join(text_report(recording))
        assert bool(recording.damage) == ("Attention: " in text)
        return int(json.loads("".join(json_report(recording)))["summary"]["events"])
    finally:
        recording.close()


@BOUNDED
@given(PLACES)
def test_a_recording_cut_anywhere_is_told_up_to_there(tmp_path: Path, size: int) -> None:
    """All whole lines; in the header there are none."""
    path = tmp_path / "cut.jsonl"
    path.write_bytes(WHOLE[:size])

    events = told(path)

    assert events == (WHOLE[:size].count(b"\n") - 1 if size > len(STORY.header.encode()) else events)
    assert (events is None) == (size < len(STORY.header.encode()))


@BOUNDED
@given(st.lists(st.tuples(PLACES, st.integers(0, 3), SPLICES), min_size=1, max_size=4))
def test_a_recording_with_other_bytes_is_told_or_refused(tmp_path: Path, wounds: list[tuple[int, int, bytes]]) -> None:
    """Bytes lost, changed and put in between, often so that it still is JSON."""
    damaged = bytearray(WHOLE)
    for place, lost, put in wounds:
        damaged[place : place + lost] = put
    path = tmp_path / "damaged.jsonl"
    path.write_bytes(damaged)

    told(path)


@BOUNDED
@given(PLACES, st.integers(1, 255))
@example(place=WHOLE.index(b"x86_64"), flip=1)  # a machine whose calls nobody knows
def test_a_recording_with_a_byte_flipped_is_told_or_refused(tmp_path: Path, place: int, flip: int) -> None:
    """Any byte, any bits of it; a byte within a text may say something else, and nothing can notice."""
    damaged = bytearray(WHOLE)
    damaged[place] ^= flip
    path = tmp_path / "flipped.jsonl"
    path.write_bytes(damaged)

    told(path)


@BOUNDED
@given(st.sampled_from([GZIP, XZ]), st.integers(0, 1 << 16), st.integers(1, 255), st.booleans())
def test_a_packed_recording_damaged_anywhere_is_told_or_refused(
    tmp_path: Path, packed: bytes, place: int, flip: int, cut: bool
) -> None:
    """Cut, or with a byte flipped: a checksum notices what JSON does not."""
    place %= len(packed)
    damaged = bytearray(packed)
    damaged[place] ^= flip
    path = tmp_path / "damaged"
    path.write_bytes(damaged[:place] if cut else damaged)

    told(path)


def test_a_packed_recording_whose_checksum_is_wrong_says_so(tmp_path: Path) -> None:
    """The last eight bytes are the checksum and the length (RFC 1952)."""
    path = tmp_path / "story.gz"
    path.write_bytes(GZIP[:-8] + (zlib.crc32(WHOLE) ^ 1).to_bytes(4, "little") + GZIP[-4:])
    recording = Recording(str(path))
    recording.read_all()

    assert recording.damage.startswith(f"the compressed recording is damaged after {len(WHOLE):,} bytes")
    assert len(recording) == len(STORY.lines)


@pytest.mark.parametrize(
    "line",
    [
        '["message",1,4100,4100,"unix:1-2","http","request","sometimes","GET /",{},"",[1]]',
        '["message",1,4100,4100,"unix:1-2","http","request","sent","GET /",[],"",[1]]',
        '["message",1,4100,4100,"unix:1-2","http","request","sent","GET /",{"a":[1]},"",[1]]',
        '["message",1,4100,4100,"unix:1-2","http","request","sent","GET /",{},"",["1"]]',
        '["stage",1,4100,4100,"a",true]',
        '["forked",1.5,0,1,1,"launched"]',
    ],
)
def test_a_value_of_another_type_is_damage(tmp_path: Path, line: str) -> None:
    """JSON of the right shape with the wrong things in it: the line is named, and what is wrong."""
    path = tmp_path / "typed.jsonl"
    path.write_text(STORY.header + line + "\n")
    recording = Recording(str(path))
    recording.read_all()

    with pytest.raises(RecordingError, match=r"line 2: a damaged '\w+' event \("):
        recording.event(0)
