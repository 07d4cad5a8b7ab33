"""The networks a container can be in: bridge, host, none, another container's (moby: daemon/network.go, libnetwork).

What a NetworkMode means in namespaces is decided in `spec.py`; here the new namespaces are furnished, and the three
networks that always exist are shown. Networks of the user's own are not modelled yet (issue 3).
"""

import hashlib
import secrets
import time
from typing import Any

from runtime.daemon import ipam
from runtime.daemon.bridge_network import BridgeNetwork, endpoints_in_use
from runtime.daemon.container import Container, Endpoint
from runtime.daemon.container_store import ContainerStore
from runtime.daemon.errors import NotFoundError, NotModeledError
from runtime.daemon.events import EventLog
from runtime.daemon.options import DaemonOptions
from runtime.daemon.timestamps import rfc3339

_DRIVERS = {"bridge": "bridge", "host": "host", "none": "null"}


class Networks:
    """The three networks that always exist."""

    names = tuple(_DRIVERS)

    def __init__(self, options: DaemonOptions, containers: ContainerStore, events: EventLog) -> None:
        self._containers = containers
        self._events = events
        self._opened_ns = time.time_ns()
        self._identity = options.data_root
        self.bridge = BridgeNetwork(options.bridge, options.exec_root)

    def open(self) -> None:
        """Make the bridge."""
        self.bridge.open(endpoints_in_use(self._containers.all()))

    def close(self) -> None:
        """Remove the bridge, unless containers still hang on it."""
        if not endpoints_in_use(self._containers.all()):
            self.bridge.close()

    def id_of(self, name: str) -> str:
        """A network's ID: the same for the same daemon every time."""
        return hashlib.sha256(f"{self._identity} {name}".encode()).hexdigest()

    def find(self, name: str) -> str:
        """A network's name by name, ID or the beginning of one."""
        for known in self.names:
            if name == known or (len(name) >= 4 and self.id_of(known).startswith(name)):
                return known
        raise NotFoundError(f"network {name} not found")

    # Containers ------------------------------------------------------------------------------------------

    def verify_ports(self, host: dict[str, Any]) -> None:
        """Refuse what is not there yet, rather than run without it."""
        if any(host["PortBindings"].values()) or host["PublishAllPorts"]:
            raise NotModeledError("publishing ports (-p, -P) is not modelled yet: use --network host")

    def warnings(self, container: Container) -> list[str]:
        """What the user should know about a container's network."""
        mode = container.host_config["NetworkMode"]
        if mode in ("default", "bridge") and self.bridge.problem:
            return [f"No bridge network: {self.bridge.problem}. The container has a loopback interface only."]
        return []

    def host_warnings(self) -> list[str]:
        """What `docker info` says about this host."""
        if self.bridge.problem:
            return [f"WARNING: no bridge network: {self.bridge.problem}"]
        return [
            "WARNING: containers on the bridge reach the host and each other, not the outside (no masquerading yet)"
        ]

    def verify(self, container: Container) -> None:
        """404 for a network that does not exist; asked at start, as in Docker."""
        mode = container.host_config["NetworkMode"]
        if mode != "default" and not mode.startswith("container:"):
            self.find(mode)

    async def attach(self, container: Container, pid: int) -> None:
        """Furnish the network namespace of a process that waits to be started."""
        mode = container.host_config["NetworkMode"]
        if mode.startswith("container:"):
            return
        name = "bridge" if mode == "default" else self.find(mode)
        if name == "bridge":
            used = {endpoint.address for endpoint in endpoints_in_use(self._containers.all())}
            endpoint = self.bridge.attach(pid, self.id_of(name), used)
        else:
            endpoint = Endpoint(name, self.id_of(name), secrets.token_hex(32))
        container.endpoints = [endpoint]
        self._event("connect", container, name)

    async def detach(self, container: Container) -> None:
        """Take back what attach made."""
        endpoints, container.endpoints = container.endpoints, []
        for endpoint in endpoints:
            if endpoint.network == "bridge":
                self.bridge.detach(endpoint)
            self._event("disconnect", container, endpoint.network)

    def _event(self, action: str, container: Container, name: str) -> None:
        attributes = {"container": container.id, "name": name, "type": _DRIVERS[name]}
        self._events.publish("network", action, self.id_of(name), attributes)

    # Looking ---------------------------------------------------------------------------------------------

    def view(self, name: str, containers: list[Container]) -> dict[str, Any]:
        """A network as the API shows it, with the containers that are in it now."""
        subnet = self.bridge.subnet if name == "bridge" else None
        options = {"com.docker.network.bridge.name": self.bridge.bridge} if name == "bridge" else {}
        return {
            "Name": name,
            "Id": self.id_of(name),
            "Created": rfc3339(self._opened_ns),
            "Scope": "local",
            "Driver": _DRIVERS[name],
            "EnableIPv6": False,
            "IPAM": {
                "Driver": "default",
                "Options": None,
                "Config": [{"Subnet": str(subnet), "Gateway": ipam.gateway_of(subnet)}] if subnet else [],
            },
            "Internal": False,
            "Attachable": False,
            "Ingress": False,
            "ConfigFrom": {"Network": ""},
            "ConfigOnly": False,
            "Containers": {
                container.id: _member(container, endpoint)
                for container in containers
                for endpoint in container.endpoints
                if endpoint.network == name
            },
            "Options": options,
            "Labels": {},
        }


def _member(container: Container, endpoint: Endpoint) -> dict[str, str]:
    return {
        "Name": container.name,
        "EndpointID": endpoint.endpoint_id,
        "MacAddress": endpoint.mac_address,
        "IPv4Address": f"{endpoint.address}/{endpoint.prefix_length}" if endpoint.address else "",
        "IPv6Address": "",
    }
