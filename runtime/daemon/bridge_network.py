"""The default network: a bridge on the host, a veth pair for each container (moby: libnetwork/drivers/bridge).

    host's namespace                                  container's namespace
    gb-XXXXXXXX (172.17.0.1/16) --- vethXXXXXXX ====== eth0 (172.17.0.2/16), default via 172.17.0.1

The daemon joins the container up between Tasks.Create and Tasks.Start, through /proc/PID/ns/net: the namespace exists
then, and the program does not run yet. Both ends of the veth are made by one message, the inner one under its final
name.

Not done yet (issue 3): masquerading and published ports. Containers reach the host and each other, not the outside.
"""

import errno
import hashlib
import ipaddress
import os
import secrets

from runtime.daemon import ipam
from runtime.daemon.container import Container, Endpoint
from runtime.daemon.errors import ServerError
from runtime.daemon.rtnetlink import Rtnetlink


class BridgeNetwork:
    """One bridge and the addresses behind it."""

    def __init__(self, name: str, exec_root: str) -> None:
        digest = hashlib.sha256(exec_root.encode()).hexdigest()
        self.bridge = name or f"gb-{digest[:8]}"
        self._seed = int(digest[:4], 16)
        self.subnet: ipaddress.IPv4Network | None = None
        self.problem = "the bridge was not made yet"
        """Why containers get a loopback interface only; empty when the bridge is there."""

    def open(self, used: list[Endpoint]) -> None:
        """Make the bridge, or take over the one that holds the endpoints in `used`, of containers that still live."""
        link = Rtnetlink()
        try:
            self._make(link, next((endpoint for endpoint in used if endpoint.gateway), None))
        except OSError as error:
            # An ordinary user's daemon has no say over the host's network: said with each container, not fatal.
            self.problem = f"cannot make the bridge {self.bridge}: {error.strerror}"
        finally:
            link.close()

    def _make(self, link: Rtnetlink, living: Endpoint | None) -> None:
        if living is not None:
            self.subnet = ipaddress.IPv4Network((living.gateway, living.prefix_length), strict=False)
        else:
            self._delete(link, self.bridge)  # left by a daemon that was killed: its address may overlap by now
            with open("/proc/net/route", encoding="ascii") as file:
                self.subnet = ipam.choose_subnet(ipam.occupied_networks(file.read()), self._seed)
        if self.subnet is None:
            self.problem = "no free subnet among 172.17.0.0/16 to 172.31.0.0/16"
            return
        try:
            link.add_bridge(self.bridge)
            link.add_address(link.index(self.bridge), ipam.gateway_of(self.subnet), self.subnet.prefixlen)
        except OSError as error:
            if error.errno != errno.EEXIST:
                raise
        link.set_up(link.index(self.bridge))
        self.problem = ""

    def close(self) -> None:
        """Take the bridge away again."""
        if not self.problem:
            link = Rtnetlink()
            self._delete(link, self.bridge)
            link.close()

    def attach(self, pid: int, network_id: str, used: set[str]) -> Endpoint:
        """Give the namespace of a process an eth0 with an address and a default route."""
        if self.problem or self.subnet is None:
            return Endpoint("bridge", network_id)
        address = ipam.lowest_free(self.subnet, used)
        if address is None:
            raise ServerError("no available IPv4 addresses on this network's address pools: bridge")
        endpoint = Endpoint(
            network="bridge",
            network_id=network_id,
            endpoint_id=secrets.token_hex(32),
            gateway=ipam.gateway_of(self.subnet),
            address=address,
            prefix_length=self.subnet.prefixlen,
            mac_address=ipam.mac_of(address).hex(":"),
            host_interface=f"veth{secrets.token_hex(4)[:7]}",
        )
        try:
            self._join_up(endpoint, pid)
        except OSError as error:
            raise ServerError(f"failed to set up container networking: {error.strerror}") from error
        return endpoint

    def _join_up(self, endpoint: Endpoint, pid: int) -> None:
        namespace = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        outside = Rtnetlink()
        try:
            outside.add_veth(
                endpoint.host_interface,
                outside.index(self.bridge),
                "eth0",
                bytes.fromhex(endpoint.mac_address.replace(":", "")),
                namespace,
            )
            inside = Rtnetlink(namespace)
            try:
                eth0 = inside.index("eth0")
                inside.add_address(eth0, endpoint.address, endpoint.prefix_length)
                # A route needs its gateway reachable, so the link must be up before it.
                inside.set_up(eth0)
                inside.add_default_route(endpoint.gateway)
            finally:
                inside.close()
        finally:
            outside.close()
            os.close(namespace)

    def detach(self, endpoint: Endpoint) -> None:
        """Remove the veth. The namespace's end would do so too, but later, at the kernel's leisure."""
        if endpoint.host_interface:
            link = Rtnetlink()
            self._delete(link, endpoint.host_interface)
            link.close()

    @staticmethod
    def _delete(link: Rtnetlink, name: str) -> None:
        try:
            link.delete_link(name)
        except OSError as error:
            if error.errno not in (errno.ENODEV, errno.EPERM):
                raise


def endpoints_in_use(containers: list[Container]) -> list[Endpoint]:
    """The bridge endpoints of all containers that run or are about to; others have none."""
    return [endpoint for container in containers for endpoint in container.endpoints if endpoint.network == "bridge"]
