"""Our containerd as a process, and a client that calls any method of it by name."""

import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor
from google.protobuf.message_factory import GetMessageClass
from grpclib.client import Channel, StreamStreamMethod, UnaryStreamMethod, UnaryUnaryMethod

from runtime.api.containerd import (
    containers_pb2,
    content_pb2,
    diff_pb2,
    events_service_pb2,
    images_pb2,
    introspection_pb2,
    leases_pb2,
    namespaces_pb2,
    snapshots_pb2,
    tasks_pb2,
    version_pb2,
)
from runtime.containerd.metadata import Metadata

MODULES = (
    containers_pb2,
    content_pb2,
    diff_pb2,
    events_service_pb2,
    images_pb2,
    introspection_pb2,
    leases_pb2,
    namespaces_pb2,
    snapshots_pb2,
    tasks_pb2,
    version_pb2,
)
SERVICES: dict[str, ServiceDescriptor] = {
    name: service for module in MODULES for name, service in module.DESCRIPTOR.services_by_name.items()
}


class Client:
    """Calls `Service.Method` with the fields of the request as keywords."""

    def __init__(self, address: str, namespace: str = "test", lease: str = "") -> None:
        self.channel = Channel(path=address)
        self.metadata = {"containerd-namespace": namespace} if namespace else {}
        if lease:
            self.metadata["containerd-lease"] = lease

    def method(self, name: str) -> tuple[MethodDescriptor, str]:
        service, _, method = name.partition(".")
        return SERVICES[service].methods_by_name[method], f"/{SERVICES[service].full_name}/{method}"

    async def __call__(self, name: str, /, **fields: Any) -> Any:
        """Make a call; return the response, or the list of responses of a stream."""
        descriptor, path = self.method(name)
        request, reply = GetMessageClass(descriptor.input_type), GetMessageClass(descriptor.output_type)
        kind = UnaryStreamMethod if descriptor.server_streaming else UnaryUnaryMethod
        return await kind(self.channel, path, request, reply)(request(**fields), metadata=self.metadata)

    async def write(self, *messages: dict[str, Any]) -> list[Any]:
        """Content.Write: send the messages one by one and return the answers."""
        descriptor, path = self.method("Content.Write")
        request, reply = GetMessageClass(descriptor.input_type), GetMessageClass(descriptor.output_type)
        answers = []
        async with StreamStreamMethod(self.channel, path, request, reply).open(metadata=self.metadata) as stream:
            for number, message in enumerate(messages, 1):
                await stream.send_message(request(**message), end=number == len(messages))
                answers.append(await stream.recv_message())
        return answers

    async def subscribe(self, *filters: str) -> Any:
        """Open Events.Subscribe and return the stream once containerd has said that it has subscribed us."""
        descriptor, path = self.method("Events.Subscribe")
        request, reply = GetMessageClass(descriptor.input_type), GetMessageClass(descriptor.output_type)
        stream = UnaryStreamMethod(self.channel, path, request, reply).open(metadata=self.metadata)
        await stream.__aenter__()
        await stream.send_message(request(filters=filters), end=True)
        await stream.recv_initial_metadata()
        return stream


@dataclass
class Daemon:
    """One running containerd of ours."""

    directory: Path
    process: "subprocess.Popen[str]"

    @property
    def address(self) -> str:
        return str(self.directory / "c.sock")


def flags(directory: Path) -> list[str]:
    return ["--root", f"{directory}/root", "--state", f"{directory}/state", "--address", f"{directory}/c.sock"]


@pytest.fixture(scope="module")
def daemon() -> Iterator[Daemon]:
    """A containerd that must still be alive at the end, and must stop when it is told to."""
    directory = Path(tempfile.mkdtemp(prefix="gbcd-", dir="/tmp"))
    argv = [sys.executable, "-m", "runtime.containerd", *flags(directory)]
    with subprocess.Popen(argv, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if "containerd is listening" in line:
                break
        log: list[str] = []
        reader = threading.Thread(target=log.extend, args=(process.stderr,))
        reader.start()
        yield Daemon(directory, process)
        died = process.poll()
        process.terminate()
        status = process.wait(20)
        reader.join()
    shutil.rmtree(directory)
    assert (died, status) == (None, 0), "".join(log)
    assert "Traceback" not in "".join(log)


@pytest.fixture
async def connect(daemon: Daemon) -> AsyncIterator[Callable[..., Client]]:
    """Make clients of the containerd; they are closed with the test."""
    clients: list[Client] = []

    def client(**options: Any) -> Client:
        clients.append(Client(daemon.address, **options))
        return clients[-1]

    yield client
    for one in clients:
        one.channel.close()


@pytest.fixture
def client(connect: Callable[..., Client]) -> Client:
    """A client in the namespace `test`."""
    return connect()


@pytest.fixture
def metadata(tmp_path: Path) -> Iterator[Metadata]:
    """A metadata store of its own."""
    store = Metadata(str(tmp_path / "metadata"))
    yield store
    store.close()
