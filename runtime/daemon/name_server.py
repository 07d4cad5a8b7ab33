"""The name server at 127.0.0.11 in every container on a network of the user's own (moby: libnetwork/resolver.go).

    program -> 127.0.0.11:53 -> (dnat) -> 127.0.0.11:PORT -> daemon, which knows the names
                                                             or asks the host's name servers, and passes their answer on

The sockets are the daemon's, opened in the container's network namespace. They have ports of their own, behind a rule
of the packet filter there, so that a container may itself be a name server on port 53.

There is no timer: a server that does not answer is known by the program asking once more, and then the next one is
asked. Names are forwarded from the host's namespace, so a resolver on the host's loopback serves, too.
"""

import asyncio
import contextlib
import ipaddress
import os
import socket
import struct
from collections.abc import Callable

from runtime.daemon import dns_message, nftables
from runtime.daemon.netlink import inside_network_namespace

Question = tuple[tuple[str, int], bytes]
"""Who asks, and the message: whoever asks once more sends the same from the same port."""

ADDRESS = "127.0.0.11"
_TABLE = "glassbottom-dns"
_READ_BYTES = 65536
_PENDING = 256
"""How many questions of one container may wait for an answer from outside; the oldest is given up for a new one."""


class NameServer:
    """Answers one container.

    `resolve` answers a message that is about containers, and has None for others; `servers` are those to ask then.
    """

    def __init__(self, pid: int, resolve: Callable[[bytes], bytes | None], servers: Callable[[], list[str]]) -> None:
        self._resolve = resolve
        self._servers = servers
        self._forwarded: dict[Question, _Forwarded] = {}
        """Oldest first."""
        self._conversations: set[asyncio.Task[None]] = set()
        with contextlib.ExitStack() as undo:
            namespace = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
            try:
                with inside_network_namespace(namespace):
                    self._udp = undo.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
                    self._tcp = undo.enter_context(socket.socket(socket.AF_INET, socket.SOCK_STREAM))
                for opened in (self._udp, self._tcp):
                    opened.setblocking(False)
                    opened.bind((ADDRESS, 0))
                self._tcp.listen(16)
                nftables.replace_table(_TABLE, [_redirection(self._udp, self._tcp)], namespace)
            finally:
                os.close(namespace)
            undo.pop_all()
        loop = asyncio.get_running_loop()
        loop.add_reader(self._udp, self._datagram)
        loop.add_reader(self._tcp, self._accept)

    def close(self) -> None:
        """Stop; the rules end with the namespace."""
        loop = asyncio.get_running_loop()
        for opened in (self._udp, self._tcp):
            loop.remove_reader(opened)
            opened.close()
        for key in list(self._forwarded):
            self._forwarded.pop(key).close()
        for task in self._conversations:
            task.cancel()

    # UDP -------------------------------------------------------------------------------------------------

    def _datagram(self) -> None:
        try:
            message, asker = self._udp.recvfrom(_READ_BYTES)
        except OSError:
            return  # an error of an earlier answer: its asker is gone
        own = self._resolve(message)
        if own is not None:
            self._reply(own, asker)
        else:
            self._forward(message, asker)

    def _reply(self, message: bytes, asker: tuple[str, int]) -> None:
        try:
            self._udp.sendto(message, asker)
        except OSError:
            return  # who asked has gone

    def _forward(self, message: bytes, asker: tuple[str, int]) -> None:
        """Ask the first server outside; or the next, if this question has been asked before."""
        key = (asker, message)
        earlier = self._forwarded.pop(key, None)
        servers = self._servers() if earlier is None else earlier.servers_left
        if earlier is not None:
            earlier.close()
        for position, server in enumerate(servers):
            try:
                asked = _Forwarded(self, key, server, servers[position + 1 :])
            except OSError:
                continue  # no way there
            if len(self._forwarded) >= _PENDING:
                self._forwarded.pop(next(iter(self._forwarded))).close()
            self._forwarded[key] = asked
            return
        self._fail(message, asker)

    def answered(self, key: Question, message: bytes) -> None:
        """A server outside has the answer."""
        self._forwarded.pop(key).close()
        self._reply(message, key[0])

    def refused(self, key: Question) -> None:
        """Nobody listens there: on to the next one."""
        self._forward(key[1], key[0])

    def _fail(self, message: bytes, asker: tuple[str, int]) -> None:
        query = dns_message.parse_query(message)
        if query is not None:
            self._reply(dns_message.answer(query, [], dns_message.SERVER_FAILURE), asker)

    # TCP -------------------------------------------------------------------------------------------------

    def _accept(self) -> None:
        try:
            client, _ = self._tcp.accept()
        except OSError:
            return  # it has gone again
        client.setblocking(False)
        task = asyncio.ensure_future(self._converse(client))
        self._conversations.add(task)
        task.add_done_callback(self._conversations.discard)

    async def _converse(self, client: socket.socket) -> None:
        with client:
            try:
                while (message := await _read_framed(client)) is not None:
                    await _write_framed(client, self._resolve(message) or await self._ask_outside(message))
            except OSError:
                return  # it has hung up

    async def _ask_outside(self, message: bytes) -> bytes:
        loop = asyncio.get_running_loop()
        for server in self._servers():
            with socket.socket(_family(server), socket.SOCK_STREAM) as outside:
                outside.setblocking(False)
                try:
                    await loop.sock_connect(outside, (server, 53))
                    await _write_framed(outside, message)
                    reply = await _read_framed(outside)
                except OSError:
                    continue  # the next one, then
                if reply is not None:
                    return reply
        query = dns_message.parse_query(message)
        return dns_message.answer(query, [], dns_message.SERVER_FAILURE) if query else b""


class _Forwarded:
    """A question that a server outside was asked."""

    def __init__(self, owner: NameServer, key: Question, server: str, servers_left: list[str]) -> None:
        self.servers_left = servers_left
        self._owner = owner
        self._key = key
        self._socket = socket.socket(_family(server), socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        try:
            self._socket.connect((server, 53))
            self._socket.send(key[1])
        except OSError:
            self._socket.close()
            raise
        asyncio.get_running_loop().add_reader(self._socket, self._readable)

    def close(self) -> None:
        """No more of it."""
        asyncio.get_running_loop().remove_reader(self._socket)
        self._socket.close()

    def _readable(self) -> None:
        try:
            message = self._socket.recv(_READ_BYTES)
        except OSError:
            self._owner.refused(self._key)
        else:
            self._owner.answered(self._key, message)


def _redirection(udp: socket.socket, tcp: socket.socket) -> nftables.Chain:
    """`ip daddr 127.0.0.11 udp dport 53 dnat to 127.0.0.11:PORT`, and the same for TCP."""
    here = nftables.destination_in(ipaddress.IPv4Network(ADDRESS))
    rules = []
    for protocol, opened in (("udp", udp), ("tcp", tcp)):
        to_ours = nftables.dnat(ADDRESS, opened.getsockname()[1])
        rules.append(nftables.Rule((*here, *nftables.destination_port(protocol, 53), *to_ours)))
    return nftables.Chain("output", "nat", nftables.OUTPUT, nftables.PRIORITY_DNAT, tuple(rules))


async def _read_framed(stream: socket.socket) -> bytes | None:
    """A message over TCP is preceded by its length in two bytes (RFC 1035, 4.2.2); None at the end of the stream."""
    head = await _read_exactly(stream, 2)
    return None if head is None else await _read_exactly(stream, struct.unpack("!H", head)[0])


async def _read_exactly(stream: socket.socket, count: int) -> bytes | None:
    loop = asyncio.get_running_loop()
    data = b""
    while len(data) < count:
        more = await loop.sock_recv(stream, count - len(data))
        if not more:
            return None
        data += more
    return data


async def _write_framed(stream: socket.socket, message: bytes) -> None:
    await asyncio.get_running_loop().sock_sendall(stream, struct.pack("!H", len(message)) + message)


def _family(address: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in address else socket.AF_INET
