"""A network as the daemon knows it: what was asked, and what was decided (moby: libnetwork/network.go).

The three that always exist are made anew by each daemon; a network of the user's own is a record on disk,
DATA_ROOT/networks/ID.json, written before its bridge is made and removed after it: whatever is killed, the bridges that
may be left are the ones that the records name.
"""

import ipaddress
import json
import os
from dataclasses import asdict, dataclass, field
from typing import Any

from runtime.daemon import network_options
from runtime.daemon.go_words import parse_bool
from runtime.daemon.timestamps import rfc3339

PREDEFINED = {"bridge": "bridge", "host": "host", "none": "null"}
"""The networks that always exist, with their drivers."""


@dataclass
class Network:
    """One network."""

    id: str
    name: str
    driver: str
    """bridge, host or null."""
    created_ns: int
    bridge: str = ""
    """The name of its bridge on the host."""
    subnet: str = ""
    gateway: str = ""
    ip_range: str = ""
    """The part of the subnet that addresses are given out from; empty: all of it."""
    internal: bool = False
    attachable: bool = False
    options: dict[str, str] = field(default_factory=dict)
    labels: dict[str, str] = field(default_factory=dict)
    subnet_was_asked: bool = False
    """Only then may a container ask for an address of its own choice."""
    gateway_was_asked: bool = False
    auxiliary_addresses: dict[str, str] = field(default_factory=dict)
    """By name: what no container gets, since something else has it."""
    predefined: bool = False

    @property
    def addresses(self) -> ipaddress.IPv4Network:
        """The subnet; only of a network that has one."""
        return ipaddress.IPv4Network(self.subnet)

    @property
    def masqueraded(self) -> bool:
        """Whether its containers reach the outside with the host's address."""
        return not self.internal and parse_bool(self.options.get(network_options.MASQUERADE, "true")) is not False

    @property
    def mtu(self) -> int:
        """The largest packet of its links; 0: as the kernel has it."""
        return int(self.options.get(network_options.MTU, 0))

    @property
    def host_address(self) -> str:
        """Where ports are published that name no address; empty: everywhere."""
        address = self.options.get(network_options.HOST_BINDING, "")
        return "" if address == "0.0.0.0" else address  # noqa: S104 - compared, not listened on

    @property
    def interface_prefix(self) -> str:
        """What its containers' interfaces are called, before their number."""
        return self.options.get(network_options.INTERFACE_PREFIX) or "eth"

    @property
    def has_names(self) -> bool:
        """Whether its containers find each other by name: on networks of the user's own, as in Docker."""
        return not self.predefined

    def view(self, containers: dict[str, Any]) -> dict[str, Any]:
        """The network as the API shows it."""
        pool = {
            "Subnet": self.subnet,
            "IPRange": self.ip_range,
            # Of a subnet that was asked for without one, docker shows none, though there is.
            "Gateway": "" if self.subnet_was_asked and not self.gateway_was_asked else self.gateway,
            "AuxiliaryAddresses": self.auxiliary_addresses,
        }
        options = self.options
        if self.predefined and self.bridge:
            options = network_options.of_default(self.bridge)
        return {
            "Name": self.name,
            "Id": self.id,
            "Created": rfc3339(self.created_ns),
            "Scope": "local",
            "Driver": self.driver,
            "EnableIPv6": False,
            "IPAM": {
                "Driver": "default",
                "Options": None if self.predefined else {},
                "Config": [{key: value for key, value in pool.items() if value}] if self.subnet else [],
            },
            "Internal": self.internal,
            "Attachable": self.attachable,
            "Ingress": False,
            "ConfigFrom": {"Network": ""},
            "ConfigOnly": False,
            "Containers": containers,
            "Options": options,
            "Labels": self.labels,
        }


class NetworkRecords:
    """The networks of the user's own, on disk. A record is replaced by rename, as a container's is."""

    def __init__(self, data_root: str) -> None:
        self._folder = os.path.join(data_root, "networks")

    def load(self) -> tuple[list[Network], list[str]]:
        """What an earlier daemon wrote, and a sentence for each record that cannot be read."""
        networks, complaints = [], []
        for name in sorted(os.listdir(self._folder)) if os.path.isdir(self._folder) else []:
            if not name.endswith(".json"):
                continue
            try:
                with open(os.path.join(self._folder, name), encoding="utf-8") as file:
                    record = json.load(file)
                # An older daemon did not write down whether the gateway was chosen; no subnet, no gateway.
                networks.append(Network(**{"gateway_was_asked": record.get("subnet_was_asked", False), **record}))
            except (ValueError, TypeError, AttributeError) as error:
                complaints.append(f"network {name.removesuffix('.json')}: unreadable record: {error}")
        return networks, complaints

    def save(self, network: Network) -> None:
        """Write it down."""
        os.makedirs(self._folder, mode=0o710, exist_ok=True)
        path = self._path(network)
        with open(f"{path}.new", "w", encoding="utf-8") as file:
            json.dump(asdict(network), file, separators=(",", ":"))
        os.replace(f"{path}.new", path)

    def remove(self, network: Network) -> None:
        """Forget it."""
        try:
            os.unlink(self._path(network))
        except FileNotFoundError:
            pass

    def _path(self, network: Network) -> str:
        return os.path.join(self._folder, f"{network.id}.json")
