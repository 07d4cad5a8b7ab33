"""Containers in networks: what is done to a container's network namespace (moby: libnetwork/sandbox.go, endpoint.go).

    attach     between create and start: a veth for each network, a default route, ports, name server
    connect    the same for one more network, while the container runs
    detach     all of it is taken back

A container reaches the outside, and is reached by its published ports, through one of its networks: an internal one
only if there is no other, and else the first by name, as in Docker.
"""

import logging
import secrets
from typing import Any

from runtime.daemon import bridge_network, etc_files, network_requests
from runtime.daemon.container import Container, Endpoint
from runtime.daemon.container_store import ContainerStore
from runtime.daemon.errors import ConflictError, ServerError
from runtime.daemon.events import EventLog
from runtime.daemon.firewall import PortMapping
from runtime.daemon.name_servers import NameServers
from runtime.daemon.network import Network
from runtime.daemon.networks import Networks
from runtime.daemon.published_ports import PublishedPorts

log = logging.getLogger("daemon")


class Sandboxes:
    """Joins containers up with networks, and keeps what hangs on that in step."""

    def __init__(self, networks: Networks, containers: ContainerStore, events: EventLog) -> None:
        self._networks = networks
        self._containers = containers
        self._events = events
        self._ports = PublishedPorts(containers)
        self._name_servers = NameServers(containers, networks)

    def open(self) -> None:
        """Take over what an earlier daemon did in its own memory for containers that live on: sockets."""
        for container in self._containers.all():
            way = self._way_outside(container)
            if not container.state.running or way is None:
                continue
            self._ports.resume(container, way[0])
            self._tell_firewall(container)
            try:
                self._name_servers.serve(container, container.state.pid)
            except OSError as error:
                log.warning("container %s has no name server: %s", container.name, error.strerror)

    def close(self) -> None:
        """Serve no more; containers that live on keep their claims, for the next daemon."""
        self._ports.close()
        self._name_servers.close()

    def prepare(self, container: Container) -> Container:
        """The container whose network this one is about to be in: itself, or, by `container:NAME`, another.

        NotFoundError for a network or container that does not exist: asked at start, as in Docker. A network's ID
        becomes its name, and who shares another's network has its hostname too.
        """
        mode, _, name = container.host_config["NetworkMode"].partition(":")
        if mode == "container":
            owner = self._containers.find(name)
            if not owner.state.running:
                raise ConflictError(f"cannot join network of a non running container: {owner.id}")
            container.config.update({key: owner.config.get(key, "") for key in ("Hostname", "Domainname")})
            return owner
        container.networking = {
            self._networks.find(name).name: settings for name, settings in container.networking.items()
        }
        return container

    def attach(self, container: Container, pid: int) -> None:
        """Furnish the network namespace of a process that waits to be started."""
        for name in container.networking:
            self._join(container, self._networks.find(name), pid)
        self._settle(container, pid)

    def _join(self, container: Container, network: Network, pid: int) -> None:
        """Make a container's endpoint in one network."""
        endpoint = Endpoint(network.name, network.id, secrets.token_hex(32))
        if network.bridge and not self._networks.problem:
            settings = container.networking[network.name]
            taken = (network.gateway, *network.auxiliary_addresses.values())
            used = {*taken, *(other.address for other in self._networks.endpoints_of(network))}
            endpoint.address = network_requests.choose_address(network, settings, used)
            endpoint.gateway = network.gateway
            endpoint.prefix_length = network.addresses.prefixlen
            endpoint.mac_address = network_requests.choose_mac_address(container, network, endpoint.address)
            endpoint.host_interface = f"veth{secrets.token_hex(4)[:7]}"
            endpoint.interface = container.next_interface(network.interface_prefix)
            endpoint.aliases = network_requests.aliases(container, network.name, settings)
        container.endpoints.append(endpoint)
        if endpoint.host_interface:
            try:
                bridge_network.join_up(endpoint, network, pid)
            except OSError as error:
                raise ServerError(f"failed to set up container networking: {error.strerror}") from error
        self._event("connect", container, network)

    def _settle(self, container: Container, pid: int) -> None:
        """Everything that depends on which networks a container is in: route, name server, ports, rules."""
        way = self._way_outside(container)
        try:
            if way is not None:
                bridge_network.set_default_route(way[0].gateway, pid)
            self._name_servers.serve(container, pid)
        except OSError as error:
            raise ServerError(f"failed to set up container networking: {error.strerror}") from error
        if way is None or way[1].internal:
            self._ports.withdraw(container)
        elif container.ports:
            self._ports.lead_to(container, way[0])
        else:
            self._ports.publish(container, *way)
        self._tell_firewall(container)

    def _tell_firewall(self, container: Container) -> None:
        way = self._way_outside(container)
        mappings = [PortMapping(port, way[1].bridge, way[0].address) for port in container.ports] if way else []
        self._networks.firewall.set_ports(container.id, mappings)

    def _way_outside(self, container: Container) -> tuple[Endpoint, Network] | None:
        """The endpoint by which a container reaches the outside, and its network."""
        ways = [
            (endpoint, network)
            for endpoint in container.endpoints
            if endpoint.gateway and (network := self._networks.of_endpoint(endpoint)) is not None
        ]
        return min(ways, key=lambda way: (way[1].internal, way[1].name), default=None)

    def detach(self, container: Container) -> None:
        """Take back what attach and connect made."""
        self._ports.withdraw(container)
        self._name_servers.stop(container)
        endpoints, container.endpoints = container.endpoints, []
        container.interfaces = {}
        for endpoint in endpoints:
            self._leave(container, endpoint)
        self._networks.firewall.set_ports(container.id, [])

    def _leave(self, container: Container, endpoint: Endpoint) -> None:
        if endpoint.host_interface:
            bridge_network.delete_link(endpoint.host_interface)
        if (network := self._networks.of_endpoint(endpoint)) is not None:
            self._event("disconnect", container, network)

    # While it runs ----------------------------------------------------------------------------------------

    async def connect(self, network: Network, container: Container, settings: dict[str, Any]) -> None:
        """Put a container into one more network, at once if it runs."""
        async with container.lock:
            network_requests.verify_connect(network, container, settings)
            container.networking[network.name] = settings
            if container.state.running:
                pid = container.state.pid
                try:
                    self._join(container, network, pid)
                    self._settle(container, pid)
                except BaseException:
                    self._disconnect(network, container)
                    raise
                etc_files.refresh(container)
            self._containers.save(container)

    async def disconnect(self, network: Network, container: Container) -> None:
        """Take a container out of a network, at once if it runs."""
        async with container.lock:
            network_requests.verify_disconnect(network, container)
            self._disconnect(network, container)
            if container.state.running:
                etc_files.refresh(container)
            self._containers.save(container)

    def _disconnect(self, network: Network, container: Container) -> None:
        container.networking.pop(network.name, None)
        for endpoint in [one for one in container.endpoints if one.network_id == network.id]:
            container.endpoints.remove(endpoint)
            self._leave(container, endpoint)
        if container.state.running:
            self._settle(container, container.state.pid)

    def _event(self, action: str, container: Container, network: Network) -> None:
        attributes = {"container": container.id, "name": network.name, "type": network.driver}
        self._events.publish("network", action, network.id, attributes)
