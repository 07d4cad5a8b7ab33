"""The userland proxy: carries what the kernel's rules cannot (moby: cmd/docker-proxy).

    client -> 127.0.0.1:8080, [::]:8080, or the host's address from the container's own network
           -> daemon's socket -> a connection of the daemon's -> 172.17.0.2:80

dockerd starts a docker-proxy process for each port, which dies with it; here the event loop does it, and there is no
process to look after. The listening socket is also what makes a port taken: who else wants it hears so from bind(2).
docker-proxy forgets a UDP client after 90 s; here, without a timer, the one that was silent longest makes room.
"""

import asyncio
import os
import socket

from runtime.api import host_ports

_READ_BYTES = 65536
UDP_CLIENTS = 512


def listen(protocol: str, host_ip: str, port: int) -> socket.socket:
    """A socket that has the port; OSError when it cannot be had. In a rootless namespace it is the host's port."""
    outside = os.environ.get(host_ports.VARIABLE)
    return (
        host_ports.ask(outside, protocol, host_ip, port) if outside else host_ports.open_port(protocol, host_ip, port)
    )


class TcpProxy:
    """One listening socket, and the connections that came by it."""

    def __init__(self, listener: socket.socket, target: tuple[str, int]) -> None:
        self.target = target
        """Where new connections lead to."""
        self._listener = listener
        self._connections: set[asyncio.Task[None]] = set()
        asyncio.get_running_loop().add_reader(listener, self._accept)

    def close(self) -> None:
        """Give the port back; connections are cut."""
        asyncio.get_running_loop().remove_reader(self._listener)
        self._listener.close()
        for task in self._connections:
            task.cancel()

    def _accept(self) -> None:
        try:
            client, _ = self._listener.accept()
        except OSError:
            return  # it has gone again
        client.setblocking(False)
        task = asyncio.ensure_future(self._serve(client))
        self._connections.add(task)
        task.add_done_callback(self._connections.discard)

    async def _serve(self, client: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        inner = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        inner.setblocking(False)
        with client, inner:
            try:
                await loop.sock_connect(inner, self.target)
                await asyncio.gather(_copy(client, inner), _copy(inner, client))
            except OSError:
                pass  # nobody listens there, or either side hung up: the other sees it hang up, too


async def _copy(source: socket.socket, sink: socket.socket) -> None:
    """Until the source says no more, which is passed on; the other direction may still have something to say."""
    loop = asyncio.get_running_loop()
    while data := await loop.sock_recv(source, _READ_BYTES):
        await loop.sock_sendall(sink, data)
    sink.shutdown(socket.SHUT_WR)


class UdpProxy:
    """One socket outside, and one inside for each client, so that answers find their way back."""

    def __init__(self, outside: socket.socket, target: tuple[str, int]) -> None:
        self.target = target
        self._outside = outside
        self._inside: dict[tuple[str, int], socket.socket] = {}
        """By client; the one that was silent longest comes first."""
        asyncio.get_running_loop().add_reader(outside, self._from_client)

    def close(self) -> None:
        """Give the port back."""
        asyncio.get_running_loop().remove_reader(self._outside)
        self._outside.close()
        for client in list(self._inside):
            self._forget(client)

    def _from_client(self) -> None:
        try:
            data, client = self._outside.recvfrom(_READ_BYTES)
            inside = self._inside.pop(client, None) or self._connect(client)
            self._inside[client] = inside
            inside.send(data)
        except OSError:
            return  # nobody there, or no room: datagrams may get lost

    def _connect(self, client: tuple[str, int]) -> socket.socket:
        if len(self._inside) >= UDP_CLIENTS:
            self._forget(next(iter(self._inside)))
        inside = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        inside.setblocking(False)
        inside.connect(self.target)
        asyncio.get_running_loop().add_reader(inside, self._from_container, inside, client)
        return inside

    def _from_container(self, inside: socket.socket, client: tuple[str, int]) -> None:
        try:
            self._outside.sendto(inside.recv(_READ_BYTES), client)
        except OSError:
            return

    def _forget(self, client: tuple[str, int]) -> None:
        inside = self._inside.pop(client)
        asyncio.get_running_loop().remove_reader(inside)
        inside.close()
