"""Take ports of the host for containers, and give them back (moby: libnetwork/portmapper, portallocator).

A port is taken by listening on it, with the sockets that the proxies then serve; the kernel's rules, which carry most
of the traffic, are `firewall.py`. Ports that the user leaves to us are given in turn, as dockerd does.
"""

import errno
import ipaddress
import itertools
import logging
import os
import socket

from runtime.daemon import port_bindings
from runtime.daemon.container import Container, Endpoint, PublishedPort
from runtime.daemon.container_store import ContainerStore
from runtime.daemon.errors import ServerError
from runtime.daemon.network import Network
from runtime.daemon.port_bindings import WantedPort
from runtime.daemon.port_proxy import TcpProxy, UdpProxy, listen

log = logging.getLogger("daemon")

_EVERYWHERE = ("0.0.0.0", "::")  # noqa: S104 - published is published, unless the user names an address
_NO_IPV6 = (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL)


class PublishedPorts:
    """All ports of the host that lead to containers."""

    def __init__(self, containers: ContainerStore) -> None:
        self._containers = containers
        self._proxies: dict[str, list[TcpProxy | UdpProxy]] = {}
        """By container."""
        self._next = 0

    def publish(self, container: Container, endpoint: Endpoint, network: Network) -> None:
        """Take every port that a container wants; ServerError, and none is taken, if one cannot be had."""
        try:
            for want in port_bindings.wanted_ports(container.config, container.host_config):
                self._publish(container, endpoint, want, network.host_address)
        except ServerError as error:
            self.withdraw(container)
            raise ServerError(
                f"driver failed programming external connectivity on endpoint {container.name} "
                f"({endpoint.endpoint_id}): {error.message}"
            ) from error

    def resume(self, container: Container, endpoint: Endpoint) -> None:
        """Take the ports again that an earlier daemon had taken for a container that still runs."""
        for port in container.ports:
            try:
                opened = listen(port.protocol, port.host_ip, port.host_port)
            except OSError as error:
                log.warning("port %s of container %s: %s", port.host_port, container.name, error.strerror)
            else:
                self._serve(container, endpoint, port, opened)

    def lead_to(self, container: Container, endpoint: Endpoint) -> None:
        """Another of its networks is the one to reach a container by."""
        for proxy in self._proxies.get(container.id, []):
            proxy.target = (endpoint.address, proxy.target[1])

    def withdraw(self, container: Container) -> None:
        """Give a container's ports back."""
        for proxy in self._proxies.pop(container.id, []):
            proxy.close()
        container.ports = []

    def close(self) -> None:
        """Stop to serve; the containers keep their claims, for the next daemon."""
        for proxy in itertools.chain.from_iterable(self._proxies.values()):
            proxy.close()
        self._proxies.clear()

    def _publish(self, container: Container, endpoint: Endpoint, want: WantedPort, unless_said: str) -> None:
        host_ip = want.host_ip or unless_said
        addresses = (host_ip,) if host_ip else _EVERYWHERE
        candidates = range(want.first, want.last + 1) if want.first else self._any_port()
        problem = ServerError("")
        for number in candidates:
            if self._is_taken(want.protocol, addresses[0], number):
                problem = ServerError(f"Bind for {addresses[0]}:{number} failed: port is already allocated")
                continue
            try:
                opened = _listen_on_all(want.protocol, addresses, number)
            except OSError as error:
                reason = os.strerror(error.errno or 0).lower()
                where = f"[{addresses[0]}]" if ":" in addresses[0] else addresses[0]
                version = "6" if ":" in addresses[0] else "4"
                problem = ServerError(
                    f"Error starting userland proxy: listen {want.protocol}{version} {where}:{number}: bind: {reason}"
                )
                if error.errno != errno.EADDRINUSE:
                    raise problem from error
                continue
            for address, one in opened.items():
                port = PublishedPort(want.protocol, want.container_port, address, number)
                container.ports.append(port)
                self._serve(container, endpoint, port, one)
            return
        raise problem if len(candidates) == 1 else ServerError("all ports are allocated")

    def _serve(self, container: Container, endpoint: Endpoint, port: PublishedPort, opened: socket.socket) -> None:
        proxy = TcpProxy if port.protocol == "tcp" else UdpProxy
        target = (endpoint.address, port.container_port)
        self._proxies.setdefault(container.id, []).append(proxy(opened, target))

    def _any_port(self) -> list[int]:
        """The kernel's range for ports that nobody asked for by number, from behind the last one that was given."""
        with open("/proc/sys/net/ipv4/ip_local_port_range", encoding="ascii") as file:
            first, last = (int(word) for word in file.read().split())
        count = last - first + 1
        start = self._next
        self._next += 1
        return [first + (start + offset) % count for offset in range(count)]

    def _is_taken(self, protocol: str, address: str, number: int) -> bool:
        """Whether one of our own containers has it; others' sockets are found by bind(2)."""
        return any(
            (port.protocol, port.host_port) == (protocol, number) and _overlap(port.host_ip, address)
            for container in self._containers.all()
            for port in container.ports
        )


def _overlap(one: str, other: str) -> bool:
    first, second = ipaddress.ip_address(one), ipaddress.ip_address(other)
    if first.version != second.version:
        return False
    return first == second or first.is_unspecified or second.is_unspecified


def _listen_on_all(protocol: str, addresses: tuple[str, ...], number: int) -> dict[str, socket.socket]:
    """The same port on each of the addresses, or OSError and none of them."""
    opened: dict[str, socket.socket] = {}
    try:
        for address in addresses:
            try:
                opened[address] = listen(protocol, address, number)
            except OSError as error:
                if not opened or error.errno not in _NO_IPV6:
                    raise
                continue  # a host without IPv6 has the port on IPv4 alone
    except OSError:
        for one in opened.values():
            one.close()
        raise
    return opened
