"""ttrpc framing: any cut of the stream gives the same frames, and what cannot be ttrpc is refused."""

import itertools
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.api import ttrpc
from runtime.api.ttrpc import DATA, MAX_PAYLOAD, REQUEST, RESPONSE, Frame, FrameDecoder, FrameError

frames_strategy = st.lists(
    st.builds(
        Frame,
        st.integers(0, 2**32 - 1),
        st.sampled_from([REQUEST, RESPONSE, DATA]),
        st.integers(0, 255),
        st.binary(max_size=60),
    ),
    max_size=6,
)


def test_frame_bytes_follow_the_protocol() -> None:
    """The header is length, stream, type, flags in big-endian order."""
    wire = ttrpc.encode(Frame(3, RESPONSE, 0, b"hello"))

    assert wire == b"\x00\x00\x00\x05\x00\x00\x00\x03\x02\x00hello"


@given(frames=frames_strategy, cuts=st.lists(st.integers(0, 400), max_size=8))
def test_decoder_gives_the_same_frames_for_any_cut(frames: list[Frame], cuts: list[int]) -> None:
    """Where the kernel splits the stream does not matter."""
    wire = b"".join(ttrpc.encode(frame) for frame in frames)
    edges = sorted({0, len(wire), *(cut for cut in cuts if cut < len(wire))})
    decoder = FrameDecoder()

    decoded = [frame for a, b in itertools.pairwise(edges) for frame in decoder.feed(wire[a:b])]

    assert frames == decoded
    assert decoder.pending == 0


def test_decoder_keeps_an_unfinished_frame() -> None:
    """Half a frame is not a frame and not an error."""
    decoder = FrameDecoder()

    assert decoder.feed(ttrpc.encode(Frame(1, REQUEST, 0, b"abc"))[:-1]) == []
    assert decoder.pending == 12


def test_decoder_refuses_an_oversized_payload_from_its_header_alone() -> None:
    """The announced length is judged before anything is stored."""
    with pytest.raises(FrameError, match="over the limit"):
        FrameDecoder().feed(struct.pack(">IIBB", MAX_PAYLOAD + 1, 1, REQUEST, 0))


def test_decoder_refuses_an_unknown_type() -> None:
    """An HTTP request on a ttrpc socket is told apart at once."""
    with pytest.raises(FrameError, match=r"over the limit|unknown"):
        FrameDecoder().feed(b"GET / HTTP/1.1\r\n")
    with pytest.raises(FrameError, match="type 9 is unknown"):
        FrameDecoder().feed(struct.pack(">IIBB", 0, 1, 9, 0))


def test_encode_refuses_an_oversized_payload() -> None:
    """What the peer would refuse is not sent."""
    with pytest.raises(FrameError, match="over the limit"):
        ttrpc.encode(Frame(1, RESPONSE, 0, bytes(MAX_PAYLOAD + 1)))
