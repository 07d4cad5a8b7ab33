"""The networks that exist: bridge, host, none, and the user's own (moby: daemon/network.go, libnetwork/controller.go).

A network with a bridge is a subnet, a bridge that has its first address, and rules for the packet filter; how
containers get into it is `sandboxes.py`. Networks of the user's own are on record; all bridges go when the daemon stops
and are made again, with the same subnets, by the next one.
"""

import errno
import hashlib
import logging
import time
from typing import Any

from runtime.daemon import bridge_network, forwarding, ipam, network_requests
from runtime.daemon.container import Container, Endpoint
from runtime.daemon.container_store import ContainerStore
from runtime.daemon.errors import ForbiddenError, InvalidParameterError, NotFoundError, ServerError
from runtime.daemon.events import EventLog
from runtime.daemon.firewall import BridgeRules, Firewall
from runtime.daemon.network import PREDEFINED, Network, NetworkRecords
from runtime.daemon.options import DaemonOptions
from runtime.daemon.port_bindings import wanted_ports

log = logging.getLogger("daemon")


class Networks:
    """All networks of one daemon."""

    def __init__(self, options: DaemonOptions, containers: ContainerStore, events: EventLog) -> None:
        self._containers = containers
        self._events = events
        self._records = NetworkRecords(options.data_root)
        digest = hashlib.sha256(options.exec_root.encode()).hexdigest()
        self._seed = int(digest[:4], 16)
        self.problem = "the bridge was not made yet"
        """Why containers get a loopback interface only; empty when there are bridges."""
        self._networks = {
            name: Network(
                id=hashlib.sha256(f"{options.data_root} {name}".encode()).hexdigest(),
                name=name,
                driver=driver,
                created_ns=time.time_ns(),
                predefined=True,
            )
            for name, driver in PREDEFINED.items()
        }
        self._default = self._networks["bridge"]
        self._default.bridge = options.bridge or f"gb-{digest[:8]}"
        self.firewall = Firewall(self._default.bridge)
        self._forwarding_problem = ""

    # The daemon begins and ends --------------------------------------------------------------------------

    def open(self) -> None:
        """Make the bridges, and take over what belongs to containers that live on."""
        networks, complaints = self._records.load()
        for complaint in complaints:
            log.warning("%s", complaint)
        self._networks.update({network.name: network for network in networks})
        try:
            self._open_default()
        except OSError as error:
            # An ordinary user's daemon has no say over the host's network: said with each container, not fatal.
            self.problem = f"cannot make the bridge {self._default.bridge}: {error.strerror}"
        if self.problem:
            return
        for network in networks:
            try:
                bridge_network.make(network)
            except OSError as error:
                log.warning("network %s has no bridge: %s: %s", network.name, network.bridge, error.strerror)
        self._forwarding_problem = forwarding.enable(self._default.bridge)
        self._tell_firewall()

    def _open_default(self) -> None:
        network = self._default
        living = next((one for one in self.endpoints_of(network) if one.gateway), None)
        if living is not None:
            network.subnet = str(ipam.network_of(living.gateway, living.prefix_length))
        else:
            bridge_network.delete_link(network.bridge)  # left by one that was killed: its address may overlap by now
            subnet = self._free_subnet()
            if subnet is None:
                self.problem = "every subnet that Docker chooses from is in use on this host"
                return
            network.subnet = subnet
        network.gateway = ipam.gateway_of(network.addresses)
        bridge_network.make(network)
        self.problem = ""

    def _free_subnet(self) -> str | None:
        with open("/proc/net/route", encoding="ascii") as file:
            occupied = ipam.occupied_networks(file.read())
        occupied += [network.addresses for network in self._networks.values() if network.subnet]
        chosen = ipam.choose_subnet(occupied, self._seed)
        return str(chosen) if chosen else None

    def close(self) -> None:
        """Remove bridges and rules, unless containers still hang on them."""
        if self.problem or any(endpoint.host_interface for one in self._containers.all() for endpoint in one.endpoints):
            return
        was_off = forwarding.was_off(self._default.bridge)
        for network in self._networks.values():
            if network.bridge:
                bridge_network.delete_link(network.bridge)
        self.firewall.close()
        if was_off:
            forwarding.restore()

    # Networks --------------------------------------------------------------------------------------------

    def all(self) -> list[Network]:
        """Every network."""
        return list(self._networks.values())

    def find(self, name: str) -> Network:
        """A network by name, ID or the beginning of one."""
        if name in self._networks:
            return self._networks[name]
        found = [network for network in self._networks.values() if name and network.id.startswith(name)]
        if len(found) > 1:
            raise InvalidParameterError(f"network {name} is ambiguous ({len(found)} matches found on ID prefix)")
        if not found:
            raise NotFoundError(f"network {name} not found")
        return found[0]

    def of_endpoint(self, endpoint: Endpoint) -> Network | None:
        """The network that an endpoint is in."""
        network = self._networks.get(endpoint.network)
        return network if network and network.id == endpoint.network_id else None

    def create(self, body: dict[str, Any]) -> Network:
        """A network of the user's own, with its bridge."""
        if self.problem:
            raise ServerError(f"networks cannot be made here: {self.problem}")
        network = network_requests.parse(body, self._networks)
        if not network.subnet:
            network.subnet = self._free_subnet() or ""
            if not network.subnet:
                raise NotFoundError(
                    "could not find an available, non-overlapping IPv4 address pool among the defaults to assign to "
                    "the network"
                )
        network.gateway = network.gateway or ipam.gateway_of(network.addresses)
        self._records.save(network)
        try:
            bridge_network.make(network, take_over=False)
        except OSError as error:
            if error.errno != errno.EEXIST:  # else somebody else's, and none of it is ours
                bridge_network.delete_link(network.bridge)
            self._records.remove(network)
            raise ServerError(f"cannot make the bridge {network.bridge}: {error.strerror}") from error
        self._networks[network.name] = network
        self._tell_firewall()
        self._events.publish("network", "create", network.id, {"name": network.name, "type": network.driver})
        return network

    def remove(self, network: Network) -> None:
        """Remove one of the user's own."""
        if network.predefined:
            raise ForbiddenError(f"{network.name} is a pre-defined network and cannot be removed")
        if self.endpoints_of(network):
            raise ForbiddenError(
                f"error while removing network: network {network.name} id {network.id} has active endpoints"
            )
        bridge_network.delete_link(network.bridge)
        self._records.remove(network)
        del self._networks[network.name]
        self._tell_firewall()
        self._events.publish("network", "destroy", network.id, {"name": network.name, "type": network.driver})

    def _tell_firewall(self) -> None:
        self.firewall.set_networks(
            [
                BridgeRules(network.bridge, network.addresses, network.internal, network.masqueraded)
                for network in self._networks.values()
                if network.subnet
            ]
        )

    def endpoints_of(self, network: Network) -> list[Endpoint]:
        """The places in a network that are taken now."""
        return [
            endpoint
            for container in self._containers.all()
            for endpoint in container.endpoints
            if endpoint.network_id == network.id
        ]

    # Looking ---------------------------------------------------------------------------------------------

    def warnings(self, container: Container) -> list[str]:
        """What the user should know about a container's network."""
        host = container.host_config
        mode = host["NetworkMode"]
        if mode == "host" and host["PortBindings"]:
            return ["Published ports are discarded when using host network mode"]
        if mode in ("default", "bridge") and self.problem:
            ports = dict.fromkeys(
                f"{want.container_port}/{want.protocol}" for want in wanted_ports(container.config, host)
            )
            lost = f"; not published: {', '.join(ports)}" if ports else ""
            return [f"No bridge network: {self.problem}. The container has a loopback interface only{lost}."]
        return []

    def host_warnings(self) -> list[str]:
        """What `docker info` says about this host."""
        if self.problem:
            return [f"WARNING: no bridge network: {self.problem}"]
        problems = []
        if self.firewall.problem:
            problems.append(
                f"WARNING: {self.firewall.problem}. Containers do not reach the outside; published ports go by the "
                "proxy alone"
            )
        if not forwarding.is_enabled():
            problems.append(f"WARNING: IPv4 forwarding is disabled. {self._forwarding_problem}".rstrip())
        return problems

    def view(self, network: Network, containers: list[Container]) -> dict[str, Any]:
        """A network as the API shows it, with the containers that are in it now."""
        return network.view(
            {
                container.id: _member(container, endpoint)
                for container in containers
                for endpoint in container.endpoints
                if endpoint.network_id == network.id
            }
        )


def _member(container: Container, endpoint: Endpoint) -> dict[str, str]:
    return {
        "Name": container.name,
        "EndpointID": endpoint.endpoint_id,
        "MacAddress": endpoint.mac_address,
        "IPv4Address": f"{endpoint.address}/{endpoint.prefix_length}" if endpoint.address else "",
        "IPv6Address": "",
    }
