"""The running program: statuses, bad bytes on both sockets, starting twice, and how fast it listens."""

import asyncio
import os
import socket
import struct
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.empty_pb2 import Empty
from grpclib.client import UnaryUnaryMethod
from grpclib.const import Status
from grpclib.encoding.base import CodecBase
from grpclib.exceptions import GRPCError, StreamTerminatedError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from runtime.api import ttrpc
from runtime.api.containerd import events_pb2, events_ttrpc_pb2, ttrpc_pb2
from runtime.containerd import clock
from runtime.containerd.metadata import Metadata
from runtime.containerd.parts import Parts
from runtime.containerd.server import missing_methods
from runtime.containerd.services.table import make_services
from runtime.containerd.settings import Settings

FUZZ = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
EVENTS = "containerd.services.events.ttrpc.v1.Events"


class RawCodec(CodecBase):
    """Sends bytes as they are."""

    __content_subtype__ = "proto"

    def encode(self, message: Any, message_type: Any) -> bytes:
        return bytes(message)

    def decode(self, data: bytes, message_type: Any) -> bytes:
        return data


def test_every_method_is_answered(tmp_path: Path) -> None:
    """No rpc of a service in the .proto files lacks its method."""
    parts = Parts(Settings(str(tmp_path), str(tmp_path), "", ""), Metadata(str(tmp_path / "m")))
    services = {service.descriptor.full_name: service for service in make_services(parts)}

    assert len(services) == 12
    assert {name: [] for name in services} == {name: missing_methods(one) for name, one in services.items()}
    parts.metadata.close()


@pytest.mark.parametrize(
    ("method", "fields", "status", "text"),
    [
        ("Containers.Get", {"id": "x"}, Status.NOT_FOUND, 'container "x" in namespace "test": not found'),
        ("Tasks.Get", {"container_id": "x"}, Status.NOT_FOUND, 'container "x" in namespace "test": not found'),
        ("Images.Get", {"name": "x"}, Status.NOT_FOUND, 'image "x": not found'),
        (
            "Snapshots.Prepare",
            {"snapshotter": "zfs", "key": "k"},
            Status.INVALID_ARGUMENT,
            "snapshotter not loaded: zfs: invalid argument",
        ),
        (
            "Containers.Create",
            {"container": {"id": "x"}},
            Status.INVALID_ARGUMENT,
            "create container failed validation: container.Runtime.Name must be set: invalid argument",
        ),
        ("Content.Read", {"digest": "x"}, Status.INVALID_ARGUMENT, '"x" failed validation'),
        ("Namespaces.Delete", {"name": "x"}, Status.NOT_FOUND, 'namespace "x": not found'),
        ("Leases.Delete", {"id": "x"}, Status.NOT_FOUND, 'lease "x": not found'),
    ],
)
async def test_errors_have_containerds_status_and_words(
    client: Any, method: str, fields: dict[str, Any], status: Status, text: str
) -> None:
    """Observed of containerd 1.6.20, word by word."""
    with pytest.raises(GRPCError) as error:
        await client(method, **fields)

    assert (error.value.status, error.value.message) == (status, text)


async def test_namespace_is_required_and_checked(connect: Callable[..., Any]) -> None:
    """Calls that are about a namespace are refused without one, and with one that is no name."""
    with pytest.raises(GRPCError, match="namespace is required: failed precondition"):
        await connect(namespace="")("Containers.List")
    with pytest.raises(GRPCError, match="must match"):
        await connect(namespace="../x")("Containers.List")

    assert (await connect(namespace="")("Version.Version")).version


async def test_unknown_service_and_method_are_unimplemented(client: Any) -> None:
    """As grpc says it; Go's client must take it for gRPC, too."""
    for path in ("/containerd.services.tasks.v1.Tasks/Dance", "/no.such.Service/Method", "/"):
        with pytest.raises(GRPCError) as error:
            await UnaryUnaryMethod(client.channel, path, Empty, Empty)(Empty())
        assert error.value.status is Status.UNIMPLEMENTED


async def test_subscriber_misses_nothing_after_the_headers(client: Any) -> None:
    """The events of a filter arrive in order, from the moment that containerd has answered the subscription."""
    stream = await client.subscribe("namespace==test")

    for name in ("one", "two"):
        event = AnyMessage(type_url="containerd.events.ContainerDelete", value=b"")
        await client("Events.Publish", topic=f"/{name}", event=event)
    topics = [(await stream.recv_message()).topic for _ in range(2)]
    await stream.cancel()

    assert topics == ["/one", "/two"]


@FUZZ
@given(st.binary(max_size=60))
async def test_bytes_that_are_no_message_get_a_status(connect: Callable[..., Any], data: bytes) -> None:
    """A request of any bytes is answered: by a response, or by a status of gRPC's."""
    client = connect()
    client.channel._codec = RawCodec()
    statuses: list[GRPCError] = []
    for path in (
        "/containerd.services.containers.v1.Containers/Create",
        "/containerd.services.tasks.v1.Tasks/Create",
        "/containerd.services.events.v1.Events/Forward",
        "/containerd.services.snapshots.v1.Snapshots/Update",
        "/containerd.services.diff.v1.Diff/Apply",
    ):
        call: Any = UnaryUnaryMethod(client.channel, path, bytes, bytes)
        try:
            await call(data, metadata=client.metadata)
        except GRPCError as error:
            statuses.append(error)
    # What grpclib says of an exception that nobody has foreseen.
    assert "Internal Server Error" not in [error.message for error in statuses]


def exchange_bytes(path: str, data: bytes) -> bytes:
    """Send the bytes, end, and return all that comes back."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(20)
        connection.connect(path)
        try:
            connection.sendall(data)
            connection.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # it has hung up on us already
        answer = b""
        try:
            while chunk := connection.recv(65536):
                answer += chunk
        except ConnectionResetError:
            pass
    return answer


@FUZZ
@given(st.binary(max_size=200), st.booleans())
def test_garbage_on_the_grpc_socket_ends_that_connection_only(daemon: Any, data: bytes, preface: bool) -> None:
    """With or without HTTP/2's preface: others are served on."""
    start = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\4\0\0\0\0\0" if preface else b""

    exchange_bytes(daemon.address, start + data)

    assert daemon.process.poll() is None


@FUZZ
@given(st.binary(max_size=200))
def test_garbage_on_the_ttrpc_socket_ends_that_connection_only(daemon: Any, data: bytes) -> None:
    """Bytes that are no frames are not answered."""
    exchange_bytes(f"{daemon.address}.ttrpc", data)

    assert daemon.process.poll() is None


@FUZZ
@given(st.binary(max_size=80))
def test_garbage_in_a_ttrpc_frame_gets_an_error(daemon: Any, data: bytes) -> None:
    """A frame whose request cannot be read is answered with a status, on its own stream."""
    frame = ttrpc.encode(ttrpc.Frame(7, ttrpc.REQUEST, 0, data))

    frames = ttrpc.FrameDecoder().feed(exchange_bytes(f"{daemon.address}.ttrpc", frame))

    assert [(f.stream_id, f.type) for f in frames] == [(7, ttrpc.RESPONSE)]
    assert ttrpc_pb2.Response.FromString(frames[0].payload).status.code != 0


async def test_shim_forwards_an_event_over_ttrpc(daemon: Any, client: Any) -> None:
    """Forward is answered without a status, and subscribers get the envelope as it was."""
    stream = await client.subscribe('topic=="/tasks/oom"')
    event = AnyMessage(
        type_url="containerd.events.TaskOOM", value=events_pb2.TaskOOM(container_id="c").SerializeToString()
    )
    envelope = events_ttrpc_pb2.Envelope(timestamp=clock.now(), namespace="test", topic="/tasks/oom", event=event)
    payload = events_ttrpc_pb2.ForwardRequest(envelope=envelope).SerializeToString()
    request = ttrpc_pb2.Request(service=EVENTS, method="Forward", payload=payload).SerializeToString()
    frame = ttrpc.encode(ttrpc.Frame(1, ttrpc.REQUEST, 0, request))

    # In a thread: the answer to `subscribe` and this exchange need the event loop in turn.
    send = partial(exchange_bytes, f"{daemon.address}.ttrpc", frame)
    answer = await asyncio.get_running_loop().run_in_executor(None, send)
    received = await stream.recv_message()
    await stream.cancel()

    assert ttrpc.FrameDecoder().feed(answer) == [ttrpc.Frame(1, ttrpc.RESPONSE, 0, b"")]
    assert received.SerializeToString() == envelope.SerializeToString()


def test_second_containerd_on_the_same_root_or_socket_is_refused(daemon: Any, tmp_path: Path) -> None:
    """One sentence each, exit status 1, and the first goes on."""
    same_root = ["--root", f"{daemon.directory}/root", "--state", str(tmp_path), "--address", f"{tmp_path}/s"]
    same_socket = ["--root", str(tmp_path / "r"), "--state", str(tmp_path), "--address", daemon.address]

    said = [
        subprocess.run(
            [sys.executable, "-m", "runtime.containerd", *flags], capture_output=True, text=True, check=False
        )
        for flags in (same_root, same_socket)
    ]

    assert [done.returncode for done in said] == [1, 1]
    assert (
        said[0].stderr
        == f"containerd: another containerd is using {daemon.directory}/root/io.containerd.metadata.v1.bolt\n"
    )
    assert said[1].stderr == f"containerd: cannot listen on {daemon.address}.ttrpc: a running process listens there\n"
    assert daemon.process.poll() is None


def test_root_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    """A file in the way of the root directory: a sentence, no traceback."""
    (tmp_path / "file").write_text("")
    flags = ["--root", f"{tmp_path}/file/root", "--state", str(tmp_path), "--address", f"{tmp_path}/s"]

    done = subprocess.run(
        [sys.executable, "-m", "runtime.containerd", *flags], capture_output=True, text=True, check=False
    )

    assert (done.returncode, done.stderr) == (1, f"containerd: cannot start: {tmp_path}/file/root: not a directory\n")


async def test_publish_verb_reports_an_event(daemon: Any, client: Any) -> None:
    """`containerd publish` does for a shim what ttrpc would."""
    stream = await client.subscribe('topic=="/told"')
    event = AnyMessage(type_url="containerd.events.ContainerDelete", value=b"\n\1x")
    argv = [sys.executable, "-m", "runtime.containerd", "--address", daemon.address]
    process = await asyncio.create_subprocess_exec(
        *argv, "publish", "--topic", "/told", "--namespace", "ns", stdin=asyncio.subprocess.PIPE
    )

    await process.communicate(event.SerializeToString())
    envelope = await stream.recv_message()
    await stream.cancel()

    assert process.returncode == 0
    assert (envelope.namespace, envelope.event) == ("ns", event)


async def test_client_that_goes_away_does_not_disturb(connect: Callable[..., Any], client: Any) -> None:
    """A subscriber's and a writer's connection break in the middle."""
    gone = connect()
    stream = await gone.subscribe()
    gone.channel.close()
    with pytest.raises(StreamTerminatedError):
        await stream.recv_message()

    assert (await client("Version.Version")).revision == "glassbottom"


async def test_more_calls_than_a_hundred_may_be_open(client: Any) -> None:
    """A client with many open streams on its one connection can still make a call."""
    streams = [await client.subscribe("namespace==none") for _ in range(150)]

    assert (await client("Version.Version")).revision == "glassbottom"
    for stream in streams:
        await stream.cancel()


def test_frame_of_unknown_type_is_ignored(daemon: Any) -> None:
    """HTTP/2 may be extended; what is not known is passed over, and a ping after it is answered."""
    settings_frame = b"\0\0\0\4\0\0\0\0\0"
    unknown, ping = b"\0\0\2\xee\0\0\0\0\0xy", b"\0\0\x08\6\0\0\0\0\0glassbot"

    answer = exchange_bytes(daemon.address, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + settings_frame + unknown + ping)

    assert b"\0\0\x08\6\1\0\0\0\0glassbot" in answer


def test_sockets_are_for_owner_and_group_only(daemon: Any) -> None:
    """Whoever can connect is root here."""
    for path in (daemon.address, f"{daemon.address}.ttrpc"):
        assert os.stat(path).st_mode & 0o777 == 0o660


def test_frame_that_announces_too_much_ends_the_connection(daemon: Any) -> None:
    """Four gigabytes are not waited for."""
    assert exchange_bytes(f"{daemon.address}.ttrpc", struct.pack(">IIBB", 0xFFFFFFFF, 1, 1, 0)) == b""
