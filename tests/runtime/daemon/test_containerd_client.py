"""The daemon's connection to containerd, when containerd is not what it should be."""

import asyncio
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from google.protobuf.empty_pb2 import Empty

from runtime.api.containerd import events_service_pb2
from runtime.daemon.containerd_client import Containerd, GRPCError, Status


@pytest.fixture
def hangs_up(tmp_path: Path) -> Iterator[str]:
    """A socket where every connection is taken and closed at once, as by a containerd that is just being killed."""
    path = str(tmp_path / "c.sock")
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen()

    def serve() -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            client.close()

    thread = threading.Thread(target=serve)
    thread.start()
    yield path
    listener.shutdown(socket.SHUT_RDWR)
    thread.join()
    listener.close()


async def test_connection_that_is_lost_at_once_is_an_error_of_its_own_kind(hangs_up: str) -> None:
    """Whether it is lost before, during or after the request: UNAVAILABLE for a call, and streams end."""
    for _ in range(100):
        containerd = Containerd(hangs_up, "test")
        with pytest.raises(GRPCError) as refused:
            await containerd.version.call("Version", Empty())
        with pytest.raises(GRPCError) as ended:
            async for _ in containerd.events.stream("Subscribe", events_service_pb2.SubscribeRequest()):
                pass
        containerd.close()
        await asyncio.sleep(0)

        assert (refused.value.status, ended.value.status) == (Status.UNAVAILABLE, Status.UNAVAILABLE)
