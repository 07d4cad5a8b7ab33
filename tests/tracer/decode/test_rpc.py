"""gRPC and ttrpc, made by the libraries that real clients use, cut anywhere."""

import json

import h2.config
import h2.connection
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.api import ttrpc
from runtime.api.containerd import (
    containers_pb2,
    events_pb2,
    events_service_pb2,
    events_ttrpc_pb2,
    task_shim_pb2,
    tasks_pb2,
    ttrpc_pb2,
)
from tracer.decode.endpoint import Endpoint
from tracer.decode.message import Decoded
from tracer.events import Side

Turns = list[tuple[Side, bytes]]


def converse(turns: Turns) -> list[Decoded]:
    """Feed one call a turn; the messages of both directions, in order."""
    endpoint = Endpoint()
    found: list[Decoded] = []
    for number, (side, data) in enumerate(turns):
        found += [decoded for _, decoded in endpoint.feed(side, data, 0, number)]
    assert endpoint.lost == ""
    return found


class Grpc:
    """A client and a server that talk through h2; what the client's end sent and received is kept as turns."""

    def __init__(self) -> None:
        self.client = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True))
        self.server = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False))
        self.client.initiate_connection()
        self.server.initiate_connection()
        self.turns: Turns = []
        self.flush()

    def flush(self) -> None:
        sent = self.client.data_to_send()
        if sent:
            self.turns.append(("sent", sent))
            self.server.receive_data(sent)
        received = self.server.data_to_send()
        if received:
            self.turns.append(("received", received))
            self.client.receive_data(received)

    def ask(self, stream: int, path: str, message: bytes) -> None:
        headers = [
            (":method", "POST"),
            (":scheme", "http"),
            (":path", path),
            (":authority", "localhost"),
            ("content-type", "application/grpc"),
            ("containerd-namespace", "moby"),
        ]
        self.client.send_headers(stream, headers)
        self.client.send_data(stream, framed(message), end_stream=True)
        self.flush()

    def answer(self, stream: int, messages: list[bytes], status: str = "0", reason: str = "") -> None:
        self.server.send_headers(stream, [(":status", "200"), ("content-type", "application/grpc")])
        for message in messages:
            self.server.send_data(stream, framed(message))
        trailers = [("grpc-status", status)] + ([("grpc-message", reason)] if reason else [])
        self.server.send_headers(stream, trailers, end_stream=True)
        self.flush()


def framed(message: bytes) -> bytes:
    return b"\0" + len(message).to_bytes(4, "big") + message


def create_task() -> bytes:
    request = tasks_pb2.CreateTaskRequest(container_id="c1", terminal=True)
    request.rootfs.add(type="overlay", source="overlay", options=["lowerdir=/a"])
    return request.SerializeToString()


def exit_envelope() -> events_service_pb2.Envelope:
    envelope = events_service_pb2.Envelope(namespace="moby", topic="/tasks/exit")
    envelope.event.type_url = "containerd.events.TaskExit"
    envelope.event.value = events_pb2.TaskExit(container_id="c1", pid=7, exit_status=3).SerializeToString()
    return envelope


def a_grpc_conversation() -> Turns:
    grpc = Grpc()
    grpc.ask(1, "/containerd.services.tasks.v1.Tasks/Create", create_task())
    grpc.answer(1, [tasks_pb2.CreateTaskResponse(container_id="c1", pid=4711).SerializeToString()])
    grpc.ask(3, "/containerd.services.tasks.v1.Tasks/Get", tasks_pb2.GetRequest(container_id="c2").SerializeToString())
    grpc.answer(3, [], status="5", reason="task c2: not found")
    subscribe = events_service_pb2.SubscribeRequest(filters=["namespace==moby"])
    grpc.ask(5, "/containerd.services.events.v1.Events/Subscribe", subscribe.SerializeToString())
    grpc.answer(5, [exit_envelope().SerializeToString()] * 2)
    return grpc.turns


def test_grpc_unary_call_is_a_request_and_a_response() -> None:
    """Method, fields and namespace are there, flat; the body is JSON."""
    request, response = converse(a_grpc_conversation())[:2]

    assert (request.protocol, request.direction, request.title) == ("grpc", "request", "Tasks/Create")
    assert request.fields["container_id"] == "c1"
    assert request.fields["terminal"] is True
    assert request.fields["metadata.containerd-namespace"] == "moby"
    assert json.loads(request.body)["rootfs"] == [{"type": "overlay", "source": "overlay", "options": ["lowerdir=/a"]}]
    assert (response.direction, response.fields["pid"]) == ("response", 4711)


def test_grpc_error_status_is_the_answer() -> None:
    """A call that fails has no message, only trailers."""
    failed = converse(a_grpc_conversation())[3]

    assert (failed.title, failed.fields["status"]) == ("Tasks/Get: NOT_FOUND", 5)
    assert failed.body == "task c2: not found"


def test_grpc_stream_that_ends_well_without_a_message_is_answered() -> None:
    """A list of nothing: the call is over, and nothing later happens because of it."""
    grpc = Grpc()
    grpc.ask(1, "/containerd.services.snapshots.v1.Snapshots/List", b"")
    grpc.answer(1, [])

    question, answer = converse(grpc.turns)

    assert (question.direction, answer.direction) == ("request", "response")
    assert (answer.title, answer.fields["status"]) == ("Snapshots/List", 0)


def test_grpc_event_stream_shows_each_event_as_what_it_is() -> None:
    """Each envelope of Events/Subscribe is shown once more as a containerd event, its Any unpacked."""
    events = [m for m in converse(a_grpc_conversation()) if m.protocol == "containerd-event"]

    assert [event.title for event in events] == ["/tasks/exit", "/tasks/exit"]
    assert events[0].fields["exit_status"] == 3
    assert events[0].fields["namespace"] == "moby"


def test_grpc_spec_is_shown_as_the_json_that_it_is() -> None:
    """A container's spec travels as JSON inside an Any."""
    request = containers_pb2.CreateContainerRequest()
    request.container.id = "c1"
    request.container.spec.type_url = "types.containerd.io/opencontainers/runtime-spec/1/Spec"
    request.container.spec.value = b'{"hostname":"box","linux":{"resources":{"memory":{"limit":64}}}}'
    grpc = Grpc()
    grpc.ask(1, "/containerd.services.containers.v1.Containers/Create", request.SerializeToString())

    [message] = converse(grpc.turns)

    assert message.fields["container.spec.linux.resources.memory.limit"] == 64


def test_grpc_unknown_method_is_shown_by_its_size() -> None:
    """What the descriptors do not know is named and counted."""
    grpc = Grpc()
    grpc.ask(1, "/grpc.health.v1.Health/Check", b"\x0a\x00")

    [message] = converse(grpc.turns)

    assert (message.title, message.fields["bytes"]) == ("Health/Check", 2)


def a_ttrpc_conversation() -> Turns:
    def frame(stream: int, kind: int, payload: bytes) -> bytes:
        return ttrpc.encode(ttrpc.Frame(stream, kind, 0, payload))

    create = task_shim_pb2.CreateTaskRequest(id="c1", bundle="/run/b").SerializeToString()
    forwarded = events_ttrpc_pb2.ForwardRequest()
    forwarded.envelope.topic = "/tasks/exit"
    forwarded.envelope.event.type_url = "containerd.events.TaskExit"
    forwarded.envelope.event.value = events_pb2.TaskExit(container_id="c1").SerializeToString()

    def ask(stream: int, service: str, method: str, payload: bytes) -> bytes:
        request = ttrpc_pb2.Request(service=service, method=method, payload=payload)
        return frame(stream, ttrpc.REQUEST, request.SerializeToString())

    refused = ttrpc_pb2.Response(status=ttrpc_pb2.Status(code=5, message="gone"))
    answered = ttrpc_pb2.Response(payload=task_shim_pb2.CreateTaskResponse(pid=9).SerializeToString())
    return [
        ("sent", ask(1, "containerd.task.v2.Task", "Create", create)),
        ("sent", ask(3, "containerd.task.v2.Task", "Kill", b"")),
        ("received", frame(3, ttrpc.RESPONSE, refused.SerializeToString())),
        ("received", frame(1, ttrpc.RESPONSE, answered.SerializeToString())),
        ("sent", ask(5, "containerd.services.events.ttrpc.v1.Events", "Forward", forwarded.SerializeToString())),
        ("received", frame(5, ttrpc.RESPONSE, b"")),
    ]


def test_ttrpc_answers_are_paired_in_any_order() -> None:
    """A response names only its stream; the method is remembered from the request."""
    messages = converse(a_ttrpc_conversation())

    assert [(m.direction, m.title) for m in messages] == [
        ("request", "Task/Create"),
        ("request", "Task/Kill"),
        ("response", "Task/Kill: NOT_FOUND"),
        ("response", "Task/Create"),
        ("request", "Events/Forward"),
        ("event", "/tasks/exit"),
        ("response", "Events/Forward"),
    ]
    assert messages[3].fields["pid"] == 9


@pytest.mark.parametrize("conversation", [a_grpc_conversation(), a_ttrpc_conversation()], ids=["grpc", "ttrpc"])
@pytest.mark.parametrize("chunk", [1, 2, 3, 7, 13, 64])
def test_any_chunking_decodes_the_same(conversation: Turns, chunk: int) -> None:
    """One byte a read or all at once: the messages are the same."""
    pieces: Turns = [
        (side, data[start : start + chunk]) for side, data in conversation for start in range(0, len(data), chunk)
    ]

    assert [m._replace(calls=()) for m in converse(pieces)] == [m._replace(calls=()) for m in converse(conversation)]


@pytest.mark.parametrize("conversation", [a_grpc_conversation(), a_ttrpc_conversation()], ids=["grpc", "ttrpc"])
def test_answer_reported_before_its_question_waits_for_it(conversation: Turns) -> None:
    """On two cores the read of an answer may be reported before the write of its question: they stay a pair."""
    swapped: Turns = []
    for turn in conversation:
        before = swapped[-1] if swapped else None
        if before is not None and before[0] == "sent" and turn[0] == "received":
            swapped[-1:] = [turn, before]
        else:
            swapped.append(turn)

    found = [m._replace(calls=()) for m in converse(swapped)]

    assert sorted(found, key=repr) == sorted((m._replace(calls=()) for m in converse(conversation)), key=repr)


@given(st.data())
def test_damaged_rpc_never_raises(data: st.DataObject) -> None:
    """A flipped byte ends the decoding of that connection, or changes a value: no exception leaves the decoder."""
    for conversation in (a_grpc_conversation(), a_ttrpc_conversation()):
        endpoint = Endpoint()
        for number, (side, chunk) in enumerate(conversation):
            damaged = bytearray(chunk)
            place = data.draw(st.integers(0, len(damaged) - 1))
            damaged[place] ^= data.draw(st.integers(0, 255))
            endpoint.feed(side, bytes(damaged), 0, number)


def test_uncaptured_bytes_end_the_decoding() -> None:
    """A gap in a gRPC stream loses the place in it, and says so."""
    [(side, data), *rest] = a_grpc_conversation()
    endpoint = Endpoint()
    endpoint.feed(side, data, 0, 0)

    found = endpoint.feed(*rest[0], 100, 1)

    assert found == []
    assert "100 bytes" in endpoint.lost
