"""HTTP/1.1 as the docker CLI and a daemon speak it, cut anywhere."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from tracer.decode.endpoint import Endpoint
from tracer.decode.message import Decoded
from tracer.events import Side

BODY = b'{"Image":"hostbox","HostConfig":{"Memory":64},"Cmd":["true"]}'
CREATE = (
    b"POST /v1.41/containers/create?name=c1 HTTP/1.1\r\nHost: api.moby.localhost\r\n"
    b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (len(BODY), BODY)
)
CREATED = b'HTTP/1.1 201 Created\r\nContent-Length: 27\r\n\r\n{"Id":"abc","Warnings":[]}\n'
WAIT = b"POST /v1.41/containers/abc/wait?condition=next-exit HTTP/1.1\r\nContent-Length: 0\r\n\r\n"
WAIT_HEAD = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Type: application/json\r\n\r\n"
WAIT_BODY = b'1f\r\n{"Error":null,"StatusCode":42}\n\r\n0\r\n\r\n'
ATTACH = (
    b"POST /v1.41/containers/abc/attach?stdout=1&stream=1 HTTP/1.1\r\n"
    b"Connection: Upgrade\r\nUpgrade: tcp\r\nContent-Length: 0\r\n\r\n"
)
UPGRADED = b"HTTP/1.1 101 UPGRADED\r\nContent-Type: application/vnd.docker.raw-stream\r\nUpgrade: tcp\r\n\r\n"
PING = b"HEAD /_ping HTTP/1.1\r\nHost: x\r\n\r\n"
PONG = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nApi-Version: 1.41\r\n\r\n"


def converse(*turns: tuple[Side, bytes]) -> list[Decoded]:
    """Feed one call a turn; the messages of both directions, in order."""
    endpoint = Endpoint()
    found: list[Decoded] = []
    for number, (side, data) in enumerate(turns):
        found += [decoded for _, decoded in endpoint.feed(side, data, 0, number)]
    assert endpoint.lost == ""
    return found


def test_request_with_head_and_body_in_separate_writes_is_one_message() -> None:
    """A message is reported when its body is complete, and cites both calls."""
    head, body = CREATE[:-20], CREATE[-20:]

    [message] = converse(("sent", head), ("sent", body))

    assert message.title == "POST /v1.41/containers/create?name=c1"
    assert message.direction == "request"
    assert message.calls == (0, 1)
    assert message.fields["operation"] == "ContainerCreate"
    assert message.fields["path"] == "/containers/create"
    assert message.fields["query.name"] == "c1"
    assert message.fields["HostConfig.Memory"] == 64
    assert message.fields["Cmd"] == '["true"]'


def test_response_knows_its_request() -> None:
    """An answer carries the operation that it answers, and its status."""
    _, answer = converse(("sent", CREATE), ("received", CREATED))

    assert (answer.title, answer.direction) == ("201 Created", "response")
    assert answer.fields["operation"] == "ContainerCreate"
    assert answer.fields["status"] == 201
    assert answer.fields["Id"] == "abc"


def test_head_of_a_head_request_has_no_body() -> None:
    """The Content-Length of an answer to HEAD announces nothing: the next answer follows at once."""
    messages = converse(("sent", PING), ("received", PONG), ("sent", CREATE), ("received", CREATED))

    assert [m.title for m in messages][1::2] == ["200 OK", "201 Created"]


def test_streaming_answer_is_reported_head_first() -> None:
    """Nobody can wait for the end of a wait: head and chunks are messages of their own."""
    messages = converse(("sent", WAIT), ("received", WAIT_HEAD), ("received", WAIT_BODY))

    assert [m.direction for m in messages] == ["request", "response", "data"]
    assert messages[2].fields["StatusCode"] == 42
    assert messages[2].calls == (2,)


def test_bytes_after_an_upgrade_are_stdio() -> None:
    """After 101 one direction carries stdin as it is, the other framed stdout and stderr."""
    frames = b"\1\0\0\0\0\0\0\3hi\n" + b"\2\0\0\0\0\0\0\4oops"

    messages = converse(("sent", ATTACH), ("received", UPGRADED + frames), ("sent", b"ls\n"))

    assert [m.protocol for m in messages] == ["http", "http", "stdio", "stdio", "stdio"]
    assert [(m.fields.get("stream"), m.body) for m in messages[2:]] == [
        ("stdout", "hi\n"),
        ("stderr", "oops"),
        ("stdin", "ls\n"),
    ]


def test_raw_terminal_output_needs_no_frame() -> None:
    """With a terminal there are no frames, and a prompt of four bytes is shown at once."""
    messages = converse(("sent", ATTACH), ("received", UPGRADED), ("received", b"/ # "))

    assert messages[-1].body == "/ # "


def test_answer_reported_before_its_question_waits_for_it() -> None:
    """On two cores the read of an answer may be reported before the write of its question: they stay a pair."""
    messages = converse(
        ("received", PONG),
        ("sent", PING),
        ("received", CREATED),
        ("sent", CREATE),
        ("sent", WAIT),
        ("received", WAIT_HEAD),
    )

    assert [m.title.split("?")[0] for m in messages] == [
        "HEAD /_ping",
        "200 OK",
        "POST /v1.41/containers/create",
        "201 Created",
        "POST /v1.41/containers/abc/wait",
        "200 OK",
    ]
    assert messages[3].fields["operation"] == "ContainerCreate"
    assert messages[3].calls == (2,)


def test_upgrade_answered_early_still_hijacks() -> None:
    """Also where the 101 was reported first."""
    messages = converse(("received", UPGRADED + b"/ # "), ("sent", ATTACH), ("sent", b"ls\n"))

    assert [m.protocol for m in messages] == ["http", "http", "stdio", "stdio"]


def seen(messages: list[Decoded]) -> list[tuple[str, str, str]]:
    """What of messages must not depend on how the bytes were cut; pieces of stdio joined."""
    found: list[tuple[str, str, str]] = []
    for message in messages:
        if message.protocol == "stdio":
            stream = str(message.fields["stream"])
            if found and found[-1][:2] == ("stdio", stream):
                found[-1] = ("stdio", stream, found[-1][2] + message.body)
            else:
                found.append(("stdio", stream, message.body))
        else:
            found.append((message.direction, message.title, message.body))
    return found


STREAM = PONG + CREATED + WAIT_HEAD + WAIT_BODY + UPGRADED + b"\1\0\0\0\0\0\0\3hi\n\1\0\0\0\0\0\0\5there"
ASKED = PING + CREATE + WAIT + ATTACH


@given(st.lists(st.integers(0, len(STREAM)), max_size=12))
def test_any_split_of_a_stream_decodes_the_same(cuts: list[int]) -> None:
    """Where a read ends is the kernel's business: messages are the same."""
    whole = converse(("sent", ASKED), ("received", STREAM))
    edges = [0, *sorted(cuts), len(STREAM)]
    pieces = [STREAM[start:end] for start, end in pairwise(edges) if start < end]

    split = converse(("sent", ASKED), *[("received", piece) for piece in pieces])

    assert seen(split) == seen(whole)


@given(st.lists(st.tuples(st.sampled_from(["sent", "received"]), st.binary(min_size=1, max_size=64)), max_size=20))
def test_garbage_never_raises(turns: list[tuple[Side, bytes]]) -> None:
    """Any bytes may come out of a tracee: what is no protocol is counted, not an error."""
    endpoint = Endpoint()
    for number, (side, data) in enumerate(turns):
        endpoint.feed(side, data, 0, number)


@given(st.binary(max_size=200), st.sampled_from([CREATE, CREATED, WAIT_HEAD + WAIT_BODY, ATTACH]), st.integers(0, 100))
def test_damaged_http_never_raises(noise: bytes, good: bytes, place: int) -> None:
    """A protocol that goes wrong halfway ends the decoding of that connection, and nothing else."""
    endpoint = Endpoint()
    endpoint.feed("sent", good[:place] + noise + good[place:], 0, 0)
    endpoint.feed("received", good[place:] + noise, 0, 1)
