"""HTTP/1.1 from the client's side, against bytes as a daemon writes them."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.client.attach import StreamDemultiplexer
from runtime.client.engine_client import DaemonError, percent, query, raise_for_status
from runtime.client.http1 import Connection, ConnectionLostError, ProtocolError, Reply
from runtime.client.terminal import DetachKeys


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[tuple[Connection, socket.socket]]:
    """A connection and the daemon's end of it."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "s"))
        listener.listen(1)
        connection = Connection(str(tmp_path / "s"))
        daemon, _ = listener.accept()
        with daemon:
            yield connection, daemon
        connection.close()


def test_http1_a_request_is_one_write_with_its_length(pair: tuple[Connection, socket.socket]) -> None:
    """Head and body travel together; a POST without a body says so."""
    connection, daemon = pair

    connection.send("POST", "/x", {"X-A": "b"}, b"{}")
    connection_head, _, body = daemon.recv(4096).partition(b"\r\n\r\n")

    assert connection_head.startswith(b"POST /x HTTP/1.1\r\nHost: api.moby.localhost\r\n")
    assert b"\r\nContent-Length: 2\r\nX-A: b" in connection_head
    assert body == b"{}"


def test_http1_reads_a_body_by_its_length_and_leaves_the_next_reply(pair: tuple[Connection, socket.socket]) -> None:
    """Two replies may arrive in one read."""
    connection, daemon = pair
    daemon.sendall(b"HTTP/1.1 201 Created\r\nContent-Length: 3\r\n\r\nabcHTTP/1.1 204 No Content\r\n\r\n")

    first = connection.read_head()
    body = connection.read_body(first)
    second = connection.read_head()

    assert (first.status, body, second.status, connection.read_body(second)) == (201, b"abc", 204, b"")


def test_http1_reads_chunks_as_they_come(pair: tuple[Connection, socket.socket]) -> None:
    """A wait's reply has its head long before its only chunk."""
    connection, daemon = pair
    daemon.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    reply = connection.read_head()

    daemon.sendall(b"3;x=y\r\nabc\r\n2\r\nde\r\n0\r\nTrailer: t\r\n\r\n")

    assert connection.read_body(reply) == b"abcde"


def test_http1_after_an_upgrade_the_rest_is_raw(pair: tuple[Connection, socket.socket]) -> None:
    """Output that came in with the head is not lost."""
    connection, daemon = pair
    daemon.sendall(b"HTTP/1.1 101 UPGRADED\r\nUpgrade: tcp\r\n\r\nearly")

    assert connection.read_head().status == 101
    assert connection.has_unread()
    assert connection.receive() == b"early"
    assert not connection.has_unread()


def test_http1_a_reply_cut_short_is_an_error(pair: tuple[Connection, socket.socket]) -> None:
    """The daemon died in the middle of it."""
    connection, daemon = pair
    daemon.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc")
    daemon.shutdown(socket.SHUT_WR)
    reply = connection.read_head()

    with pytest.raises(ConnectionLostError, match="unexpected EOF"):
        connection.read_body(reply)


@pytest.mark.parametrize("text", [b"SSH-2.0-OpenSSH\r\n\r\n", b"HTTP/1.1 abc\r\n\r\n"])
def test_http1_what_is_not_http_is_refused(pair: tuple[Connection, socket.socket], text: bytes) -> None:
    """Some other program listens there."""
    connection, daemon = pair
    daemon.sendall(text)

    with pytest.raises(ProtocolError, match="malformed HTTP response"):
        connection.read_head()


def test_http1_an_idle_connection_knows_that_it_was_closed(pair: tuple[Connection, socket.socket]) -> None:
    """So that the next request goes out on a new one."""
    connection, daemon = pair

    assert not connection.is_stale()
    daemon.close()
    assert connection.is_stale()


def test_an_error_reply_speaks_with_the_daemons_words() -> None:
    """The JSON message, or whatever text there is."""
    with pytest.raises(DaemonError, match=r"^Error response from daemon: No such image: x:latest$"):
        raise_for_status(Reply(404, "Not Found", {}), b'{"message":"No such image: x:latest"}\n')
    with pytest.raises(DaemonError, match="502 Bad Gateway"):
        raise_for_status(Reply(502, "Bad Gateway", {}), b"")


def test_queries_are_sorted_and_encoded_as_go_does() -> None:
    """Recorded: attach?detachKeys=ctrl-a%2Cd&stderr=1&stdout=1."""
    assert query(stdout="1", detachKeys="ctrl-a,d", stderr="1", stdin="") == "?detachKeys=ctrl-a%2Cd&stderr=1&stdout=1"
    assert percent("docker.io/library/ä") == "docker.io%2Flibrary%2F%C3%A4"


@given(
    st.lists(st.tuples(st.sampled_from([1, 2]), st.binary(min_size=1, max_size=40)), max_size=8),
    st.lists(st.integers(min_value=1, max_value=30), min_size=1),
)
@settings(max_examples=60, deadline=None)
def test_any_split_of_a_framed_stream_is_the_same_output(frames: list[tuple[int, bytes]], sizes: list[int]) -> None:
    """Frames are cut by reads wherever they like."""
    data = b"".join(bytes([number, 0, 0, 0]) + len(payload).to_bytes(4, "big") + payload for number, payload in frames)
    demultiplexer = StreamDemultiplexer()
    seen: list[tuple[int, bytes]] = []

    position = 0
    while position < len(data):
        size = sizes[position % len(sizes)]
        seen += demultiplexer.feed(data[position : position + size])
        position += size

    assert seen == frames


def test_detach_keys_are_kept_from_the_container() -> None:
    """The default is ctrl-p ctrl-q, over as many reads as it takes."""
    keys = DetachKeys("")

    assert keys.feed(b"ls\x10") == b"ls"
    assert not keys.seen
    assert keys.feed(b"\x11rest") == b""
    assert keys.seen


def test_detach_keys_a_broken_sequence_is_passed_on_whole() -> None:
    """ctrl-p is also a shell's way back in its history."""
    keys = DetachKeys("ctrl-p,ctrl-q")

    assert keys.feed(b"\x10") == b""
    assert keys.feed(b"x") == b"\x10x"
    assert keys.feed(b"\x10\x10\x11") == b"\x10"
    assert keys.seen


def test_detach_keys_may_be_letters_and_must_be_keys() -> None:
    """As docker's --detach-keys."""
    assert DetachKeys("a,ctrl-b").feed(b"xa\x02") == b"x"
    with pytest.raises(ValueError, match="unknown key"):
        DetachKeys("ctrl-p,page-up")
