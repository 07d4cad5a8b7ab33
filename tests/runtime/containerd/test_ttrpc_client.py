"""containerd's side of ttrpc, against a shim that is played by the test."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from google.protobuf.empty_pb2 import Empty

from runtime.api import ttrpc
from runtime.api.containerd import ttrpc_pb2
from runtime.containerd.errors import ShimError, UnavailableError
from runtime.containerd.ttrpc_client import ConnectionClosedError, TtrpcClient, dial


class Shim:
    """The other end: reads frames and writes what the test wants."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self.writer = reader, writer
        self._decoder = ttrpc.FrameDecoder()
        self._frames: list[ttrpc.Frame] = []

    async def request(self) -> tuple[int, ttrpc_pb2.Request]:
        while not self._frames:
            self._frames += self._decoder.feed(await self._reader.read(65536))
        frame = self._frames.pop(0)
        return frame.stream_id, ttrpc_pb2.Request.FromString(frame.payload)

    def answer(self, stream_id: int, response: ttrpc_pb2.Response) -> None:
        self.writer.write(ttrpc.encode(ttrpc.Frame(stream_id, ttrpc.RESPONSE, 0, response.SerializeToString())))


@pytest.fixture(name="pair")
async def _pair(tmp_path: Path) -> AsyncIterator[tuple[TtrpcClient, Shim]]:
    """A client and the shim that it has dialled."""
    accepted: asyncio.Future[Shim] = asyncio.get_running_loop().create_future()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        accepted.set_result(Shim(reader, writer))

    server = await asyncio.start_unix_server(accept, tmp_path / "s")
    client = await dial(f"unix://{tmp_path}/s")
    shim = await accepted
    yield client, shim
    client.close()
    shim.writer.close()
    server.close()
    await client.closed


async def test_answers_may_come_in_any_order(pair: tuple[TtrpcClient, Shim]) -> None:
    """A Wait that is not answered holds up nobody; stream ids are odd and rise."""
    client, shim = pair
    wait = asyncio.create_task(client.call("S", "Wait", Empty(), "ns"))
    first, request = await shim.request()
    kill = asyncio.create_task(client.call("S", "Kill", Empty(), "ns"))
    second, _ = await shim.request()

    shim.answer(second, ttrpc_pb2.Response(payload=b"killed"))
    assert await kill == b"killed"
    shim.answer(first, ttrpc_pb2.Response(payload=b"ended"))

    assert await wait == b"ended"
    assert (first, second) == (1, 3)
    assert (request.service, request.method, request.timeout_nano) == ("S", "Wait", 0)
    assert [(pair.key, pair.value) for pair in request.metadata] == [("containerd-namespace-ttrpc", "ns")]


async def test_status_is_an_error_with_its_class(pair: tuple[TtrpcClient, Shim]) -> None:
    """containerd passes code and text on, and makes the text end in what the code means."""
    client, shim = pair
    call = asyncio.create_task(client.call("S", "Kill", Empty(), "ns"))
    stream_id, _ = await shim.request()

    status = ttrpc_pb2.Status(code=5, message="process already finished")
    shim.answer(stream_id, ttrpc_pb2.Response(status=status))

    with pytest.raises(ShimError, match=r"^process already finished: not found$") as error:
        await call
    assert error.value.code.value == 5


@pytest.mark.parametrize("data", [b"", b"\xff" * 10, ttrpc.encode(ttrpc.Frame(1, ttrpc.RESPONSE, 0, b"\xff\xff"))])
async def test_end_or_garbage_fails_what_is_waiting(pair: tuple[TtrpcClient, Shim], data: bytes) -> None:
    """The connection counts as closed, once, and further calls fail at once."""
    client, shim = pair
    ended: list[int] = []
    client.on_closed(lambda: ended.append(1))
    call = asyncio.create_task(client.call("S", "State", Empty(), "ns"))
    await shim.request()

    shim.writer.write(data)
    if not data:
        shim.writer.close()

    with pytest.raises(ConnectionClosedError):
        await call
    with pytest.raises(ConnectionClosedError):
        await client.call("S", "State", Empty(), "ns")
    assert ended == [1]


async def test_late_and_strange_answers_are_dropped(pair: tuple[TtrpcClient, Shim]) -> None:
    """An answer to a call that was given up, or to none, does no harm."""
    client, shim = pair
    given_up = asyncio.create_task(client.call("S", "Wait", Empty(), "ns"))
    stream_id, _ = await shim.request()
    given_up.cancel()
    await asyncio.wait([given_up])

    shim.answer(stream_id, ttrpc_pb2.Response(payload=b"late"))
    shim.answer(99, ttrpc_pb2.Response(payload=b"never asked"))
    call = asyncio.create_task(client.call("S", "State", Empty(), "ns"))
    stream_id, _ = await shim.request()
    shim.answer(stream_id, ttrpc_pb2.Response(payload=b"fine"))

    assert await call == b"fine"


async def test_nobody_there_is_unavailable(tmp_path: Path) -> None:
    """The address is in the sentence."""
    with pytest.raises(UnavailableError, match=r"dial unix:///nowhere: no such file or directory: unavailable"):
        await dial("unix:///nowhere")
