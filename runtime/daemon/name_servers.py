"""Which container is called what, as each of them sees it (moby: libnetwork/network.go, sandbox_dns_unix.go).

A name is good on one network of the user's own: the container's name, its aliases there, its short ID. The server that
is asked is `name_server.py`, one for each container on such a network.
"""

from functools import partial

from runtime.daemon import dns_message, etc_files
from runtime.daemon.container import Container, Endpoint
from runtime.daemon.container_store import ContainerStore
from runtime.daemon.links import link_words
from runtime.daemon.name_server import NameServer
from runtime.daemon.networks import Networks


class NameServers:
    """One for each container that has use for one."""

    def __init__(self, containers: ContainerStore, networks: Networks) -> None:
        self._containers = containers
        self._networks = networks
        self._servers: dict[str, NameServer] = {}

    def serve(self, container: Container, pid: int) -> None:
        """Begin, if the container is on a network where there are names; OSError if that cannot be done."""
        if etc_files.has_name_server(container) and container.id not in self._servers:
            resolve, servers = partial(self._resolve, container), partial(self._servers_outside, container)
            self._servers[container.id] = NameServer(pid, resolve, servers)

    def stop(self, container: Container) -> None:
        """The container has ended."""
        server = self._servers.pop(container.id, None)
        if server is not None:
            server.close()

    def close(self) -> None:
        """Serve nobody any more."""
        for server in self._servers.values():
            server.close()
        self._servers.clear()

    def _resolve(self, asker: Container, message: bytes) -> bytes | None:
        """The answer to a question about containers; None for all else."""
        query = dns_message.parse_query(message)
        if query is None:
            return None
        if query.asked_address:
            names = [dns_message.name_record(name) for name in self._names_of(asker, query.asked_address)]
            return dns_message.answer(query, names) if names else None
        addresses = [dns_message.address_record(address) for address in self._addresses_of(asker, query.name)]
        if not addresses:
            return None
        return dns_message.answer(query, addresses if query.type == dns_message.A else [])

    def _addresses_of(self, asker: Container, name: str) -> list[str]:
        """What a name means to a container: the addresses of those who have it on a network that both are in."""
        return [
            endpoint.address
            for endpoint, other in self._neighbours(asker)
            if {name, *_linked_by(asker, endpoint.network, name)}
            & {other.name.lower(), *(alias.lower() for alias in endpoint.aliases)}
        ]

    def _names_of(self, asker: Container, address: str) -> list[str]:
        """NAME.NETWORK of the container that has an address on a network of the asker's; nothing for a stranger's."""
        return [
            f"{other.name}.{endpoint.network}"
            for endpoint, other in self._neighbours(asker)
            if endpoint.address == address
        ]

    def _neighbours(self, asker: Container) -> list[tuple[Endpoint, Container]]:
        shared = {
            one.network_id for one in asker.endpoints if (net := self._networks.of_endpoint(one)) and net.has_names
        }
        return [
            (endpoint, other)
            for other in self._containers.all()
            for endpoint in other.endpoints
            if endpoint.network_id in shared
        ]

    def _servers_outside(self, asker: Container) -> list[str]:
        """Whom to ask about other names. Who is on internal networks alone is to hear of nothing outside."""
        networks = [self._networks.of_endpoint(endpoint) for endpoint in asker.endpoints]
        if all(network is None or network.internal for network in networks):
            return []
        return etc_files.servers_outside(asker)


def _linked_by(asker: Container, network: str, alias: str) -> list[str]:
    """Whom a container means by an alias of its own: the `--link NAME:ALIAS` of its settings on that network."""
    pairs = [link_words(text) for text in (asker.networking.get(network) or {}).get("Links") or []]
    return [name.lower() for name, called in pairs if called.lower() == alias]
