"""The userland proxy on the loopback: both ways, half closed, refused, many at once."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Awaitable, Callable

from runtime.daemon import port_proxy
from runtime.daemon.port_proxy import TcpProxy, UdpProxy, listen


@contextlib.asynccontextmanager
async def served(answer: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]) -> AsyncIterator[int]:
    """A server that plays the container; yields the port of a proxy in front of it."""
    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    proxy, port = proxy_to(server.sockets[0].getsockname()[1])
    try:
        yield port
    finally:
        proxy.close()
        server.close()
        await server.wait_closed()


def proxy_to(port: int) -> tuple[TcpProxy, int]:
    """A proxy, and where it listens."""
    listener = listen("tcp", "127.0.0.1", 0)
    return TcpProxy(listener, ("127.0.0.1", port)), listener.getsockname()[1]


async def test_one_side_may_be_done_before_the_other() -> None:
    """The container hears the end of what is asked, and still answers; a megabyte comes through whole."""

    async def count(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        data = await reader.read()
        writer.write(str(len(data)).encode())
        writer.close()

    async with served(count) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"x" * 1_000_000)
        writer.write_eof()

        assert b"1000000" == await reader.read()
        writer.close()


async def test_nobody_behind_the_port_is_a_closed_connection() -> None:
    """The proxy has accepted by then; it hangs up, and serves the next one."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))  # taken, but nobody listens
        proxy, port = proxy_to(free.getsockname()[1])

        for _ in range(2):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            assert b"" == await reader.read()
            writer.close()
        proxy.close()


async def test_closing_the_proxy_cuts_what_goes_through_it() -> None:
    """As the end of docker-proxy does; the port is free again."""

    async def hold(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"!")
        await reader.read()
        writer.close()

    server = await asyncio.start_server(hold, "127.0.0.1", 0)
    proxy, port = proxy_to(server.sockets[0].getsockname()[1])
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    assert b"!" == await reader.read(1)

    proxy.close()

    assert b"" == await reader.read()
    writer.close()
    listen("tcp", "127.0.0.1", port).close()
    server.close()
    await server.wait_closed()


async def test_udp_answers_find_their_client_and_the_most_silent_makes_room() -> None:
    """One socket inside for each client outside, and no more than the limit."""
    loop = asyncio.get_running_loop()
    inside, outside = listen("udp", "127.0.0.1", 0), listen("udp", "127.0.0.1", 0)
    proxy, limit = UdpProxy(outside, inside.getsockname()), port_proxy.UDP_CLIENTS
    clients = [listen("udp", "127.0.0.1", 0) for _ in range(3)]

    peers = []
    for client in clients:
        await loop.sock_sendto(client, b"ask", outside.getsockname())
        data, peer = await loop.sock_recvfrom(inside, 100)
        peers.append(peer)
        await loop.sock_sendto(inside, data + b" %d" % len(peers), peer)
    answers = [await loop.sock_recv(client, 100) for client in clients]

    assert [b"ask 1", b"ask 2", b"ask 3"] == answers
    assert 3 == len(set(peers)) <= limit
    proxy.close()
    for opened in (inside, *clients):
        opened.close()
