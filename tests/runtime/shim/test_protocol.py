"""What a shim does with requests that are not what they should be: it answers, and lives on."""

import struct
from typing import Any

import pytest

from runtime.api.containerd.task_shim_pb2 import WaitRequest
from runtime.api.containerd.ttrpc_pb2 import Request
from runtime.api.ttrpc import MAX_PAYLOAD, REQUEST, RESPONSE, Frame, encode

INVALID_ARGUMENT, NOT_FOUND, UNIMPLEMENTED = 3, 5, 12


def is_alive(shim: Any) -> bool:
    """Whether a good request on a new connection is still answered."""
    shim.peer.socket.close()
    shim.peer = shim.connect()
    return bool(shim.call("Connect", id="one").shim_pid == shim.pid)


def test_unknown_method_is_refused_by_name(shim: Any) -> None:
    """A method of a later version gets a status, not silence."""
    status = shim.answer(shim.send("Levitate", b"")).status

    assert (status.code, status.message) == (UNIMPLEMENTED, "method Levitate")
    assert is_alive(shim)


def test_unknown_service_is_refused_by_name(shim: Any) -> None:
    """A caller of the third version of the service learns that this is the second."""
    status = shim.answer(shim.send("State", b"", service="containerd.task.v3.Task")).status

    assert (status.code, status.message) == (UNIMPLEMENTED, "service containerd.task.v3.Task")
    assert is_alive(shim)


@pytest.mark.parametrize("payload", [b"\xff\xff\xff", b"\x0a\x05ab", b"\x0a\x02\xff\xfe"])
def test_bad_protobuf_is_an_answer(shim: Any, payload: bytes) -> None:
    """A message that cannot be parsed is the caller's mistake alone."""
    status = shim.answer(shim.send("Create", payload)).status

    assert status.code == INVALID_ARGUMENT
    assert status.message.startswith("unmarshal error: Create")
    assert is_alive(shim)


def test_bad_envelope_is_an_answer(shim: Any) -> None:
    """Even the request around the message may be garbage."""
    shim.peer.socket.sendall(encode(Frame(1, REQUEST, 0, b"\xff\xff")))

    assert shim.answer(1).status.code == INVALID_ARGUMENT
    assert is_alive(shim)


def test_even_stream_is_refused(shim: Any) -> None:
    """Even numbers belong to the callee."""
    body = Request(service="containerd.task.v2.Task", method="Connect").SerializeToString()
    shim.peer.socket.sendall(encode(Frame(2, REQUEST, 0, body)))

    status = shim.answer(2).status

    assert (status.code, status.message) == (INVALID_ARGUMENT, "StreamID must be odd for client initiated streams")


@pytest.mark.parametrize(
    "wire",
    [
        struct.pack(">IIBB", MAX_PAYLOAD + 1, 1, REQUEST, 0),
        struct.pack(">IIBB", 0, 1, 77, 0),
        b"GET / HTTP/1.1\r\nHost: docker\r\n\r\n",
    ],
)
def test_connection_that_is_not_ttrpc_is_dropped(shim: Any, wire: bytes) -> None:
    """Nothing after such bytes can be trusted, so the connection ends, and only it."""
    shim.peer.socket.sendall(wire)

    assert shim.peer.closed()
    assert is_alive(shim)


def test_frame_that_asks_nothing_is_ignored(shim: Any) -> None:
    """A response or a data frame that nobody waits for changes nothing."""
    shim.peer.socket.sendall(encode(Frame(1, RESPONSE, 0, b"x")) + encode(Frame(1, 3, 0, b"x")))

    assert shim.call("Connect", id="one").shim_pid == shim.pid


def test_request_may_come_in_pieces(shim: Any) -> None:
    """The stream has no edges but those of its frames."""
    body = Request(service="containerd.task.v2.Task", method="Connect").SerializeToString()
    for byte in encode(Frame(1, REQUEST, 0, body)):
        shim.peer.socket.sendall(bytes([byte]))

    assert shim.answer(1).status.code == 0


@pytest.mark.parametrize(
    "method", ["State", "Start", "Wait", "Kill", "Delete", "Pids", "Pause", "Resume", "Stats", "CloseIO"]
)
def test_call_before_create_says_not_created(shim: Any, method: str) -> None:
    """containerd takes code 5 for "gone", and cleans up."""
    assert shim.refusal(method, id="one") == (NOT_FOUND, "container not created: not found")


def test_checkpoint_is_refused_by_name(shim: Any) -> None:
    """What is left out says so."""
    assert shim.refusal("Checkpoint", id="one") == (UNIMPLEMENTED, "checkpoint is not implemented")


@pytest.mark.parametrize("name", ["", "../x", "a/b", ".hidden", "-flag", "a\nb"])
def test_id_that_is_no_plain_name_is_refused(shim: Any, name: str) -> None:
    """Ids become file names and arguments."""
    code, words = shim.refusal("Create", **{**shim.create_fields(), "id": name})

    assert code == INVALID_ARGUMENT
    assert words.startswith("container id ")


def test_caller_that_goes_away_takes_no_one_with_it(shim: Any) -> None:
    """A Wait whose caller is gone is dropped when its time comes."""
    shim.call("Create", **shim.create_fields())
    shim.send("Wait", WaitRequest(id="one"))

    assert is_alive(shim)
    shim.call("Start", id="one")
    shim.call("Wait", id="one")
    assert is_alive(shim)
