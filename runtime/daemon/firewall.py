"""What the kernel does with the packets of our networks: one nftables table.

Counterpart: moby's libnetwork/drivers/bridge with its iptables chains DOCKER, DOCKER-ISOLATION-STAGE-1 and -2.

    a packet from outside or from the host   prerouting, output   to a published port: dnat to the container
    a packet that would cross the host       forward              into a bridge: only answers and published ports
    a packet that leaves the host            postrouting          from a bridge's subnet: with the host's own address

`plan` says which rules there should be, as plain values; `Firewall` tells the kernel whenever that has changed. The
table stays when the daemon is killed, since containers live on, and is replaced whole by the next daemon.
"""

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass

from runtime.daemon import nftables
from runtime.daemon.container import PublishedPort
from runtime.daemon.nftables import Chain, Rule

TABLE_PREFIX = "glassbottom-"
LOOPBACK = ipaddress.IPv4Network("127.0.0.0/8")


@dataclass(frozen=True)
class BridgeRules:
    """What the rules need to know of a network."""

    bridge: str
    subnet: ipaddress.IPv4Network
    internal: bool = False
    """Nothing passes between it and anywhere else."""
    masqueraded: bool = True


@dataclass(frozen=True)
class PortMapping:
    """One published port, and the container that it leads to."""

    port: PublishedPort
    bridge: str
    container_ip: str


def plan(bridges: Iterable[BridgeRules], ports: Iterable[PortMapping]) -> list[Chain]:
    """The whole table."""
    networks, mappings = list(bridges), [mapping for mapping in ports if _can_be_translated(mapping)]
    return [
        Chain(
            "prerouting",
            "nat",
            nftables.PREROUTING,
            nftables.PRIORITY_DNAT,
            # From within the network itself it goes by the proxy: an answer would not come back this way.
            tuple(_translation(one, nftables.interface("in", one.bridge, equal=False)) for one in mappings),
        ),
        Chain(
            "output",
            "nat",
            nftables.OUTPUT,
            nftables.PRIORITY_DNAT,
            # The loopback's own packets may not leave it: they, too, go by the proxy.
            tuple(_translation(one, nftables.destination_in(LOOPBACK, equal=False)) for one in mappings),
        ),
        Chain(
            "forward",
            "filter",
            nftables.FORWARD,
            nftables.PRIORITY_FILTER,
            tuple(rule for network in networks for rule in _crossing(network)),
        ),
        Chain(
            "postrouting",
            "nat",
            nftables.POSTROUTING,
            nftables.PRIORITY_SNAT,
            tuple(_masquerade(network) for network in networks if network.masqueraded),
        ),
    ]


def _can_be_translated(mapping: PortMapping) -> bool:
    """Neither IPv6, which our networks have not, nor the loopback: both are the proxy's."""
    address = ipaddress.ip_address(mapping.port.host_ip)
    return address.version == 4 and not address.is_loopback


def _translation(mapping: PortMapping, coming: tuple[nftables.Expression, ...]) -> Rule:
    port = mapping.port
    host = ipaddress.IPv4Network(port.host_ip)
    return Rule(
        (
            *coming,
            *nftables.destination_is_local(),
            *(() if host.network_address.is_unspecified else nftables.destination_in(host)),
            *nftables.destination_port(port.protocol, port.host_port),
            *nftables.dnat(mapping.container_ip, port.container_port),
        )
    )


def _crossing(network: BridgeRules) -> list[Rule]:
    into = (*nftables.interface("in", network.bridge, equal=False), *nftables.interface("out", network.bridge))
    out_of = (*nftables.interface("in", network.bridge), *nftables.interface("out", network.bridge, equal=False))
    if network.internal:
        return [Rule((*into, *nftables.drop()), "internal network"), Rule((*out_of, *nftables.drop()))]
    return [
        Rule((*into, *nftables.connection_state(nftables.ESTABLISHED_OR_RELATED), *nftables.accept()), "answers"),
        Rule((*into, *nftables.connection_status(nftables.DESTINATION_TRANSLATED), *nftables.accept()), "published"),
        Rule((*into, *nftables.drop()), "everything else from outside, and from other networks"),
    ]


def _masquerade(network: BridgeRules) -> Rule:
    leaving = nftables.interface("out", network.bridge, equal=False)
    return Rule((*nftables.source_in(network.subnet), *leaving, *nftables.masquerade()))


class Firewall:
    """The table of one daemon."""

    def __init__(self, bridge: str) -> None:
        self.table = TABLE_PREFIX + bridge
        self.problem = ""
        """Why there is no table; empty when all is well."""
        self._bridges: list[BridgeRules] = []
        self._ports: dict[str, list[PortMapping]] = {}

    def set_networks(self, bridges: list[BridgeRules]) -> None:
        """From now on these are the networks."""
        self._bridges = bridges
        self._apply()

    def set_ports(self, container_id: str, mappings: list[PortMapping]) -> None:
        """From now on these are a container's published ports."""
        if mappings != self._ports.get(container_id, []):
            self._ports.pop(container_id, None)
            if mappings:
                self._ports[container_id] = mappings
            self._apply()

    def _apply(self) -> None:
        ports = [mapping for mappings in self._ports.values() for mapping in mappings]
        try:
            nftables.replace_table(self.table, plan(self._bridges, ports))
            self.problem = ""
        except OSError as error:
            self.problem = f"the kernel takes no nftables rules: {error.strerror}"

    def close(self) -> None:
        """Take the table away."""
        if not self.problem:
            nftables.delete_table(self.table)
