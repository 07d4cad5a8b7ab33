"""The links of a network: a bridge on the host, a veth pair for each container (moby: libnetwork/drivers/bridge).

    host's namespace                                  container's namespace
    gb-XXXXXXXX (172.17.0.1/16) --- vethXXXXXXX ====== eth0 (172.17.0.2/16), default via 172.17.0.1

The daemon joins the container up between Tasks.Create and Tasks.Start, through /proc/PID/ns/net: the namespace exists
then, and the program does not run yet. Both ends of the veth are made by one message, the inner one under its final
name. What may pass from one network to another, and to the outside, is `firewall.py`.
"""

import errno
import os

from runtime.daemon.container import Endpoint
from runtime.daemon.netlink import inside_network_namespace
from runtime.daemon.network import Network
from runtime.daemon.rtnetlink import Rtnetlink


def make(network: Network, take_over: bool = True) -> None:
    """Make a network's bridge with its address, or, if so asked, take over the one that is there."""
    link = Rtnetlink()
    try:
        try:
            link.add_bridge(network.bridge)
        except OSError as error:
            if error.errno != errno.EEXIST or not take_over:
                raise
        bridge = link.index(network.bridge)
        try:
            link.add_address(bridge, network.gateway, network.addresses.prefixlen)
        except OSError as error:
            if error.errno != errno.EEXIST:
                raise
        link.set_up(bridge)
    finally:
        link.close()


def delete_link(name: str) -> None:
    """Remove a bridge or a veth pair; one that is gone, or not ours to remove, is left at that.

    The end of a container's namespace would remove its veth too, but later, at the kernel's leisure.
    """
    link = Rtnetlink()
    try:
        link.delete_link(name)
    except OSError as error:
        if error.errno not in (errno.ENODEV, errno.EPERM):
            raise
    finally:
        link.close()


def join_up(endpoint: Endpoint, network: Network, pid: int) -> None:
    """Give the network namespace of a process an interface that leads to the network's bridge."""
    namespace = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    outside = Rtnetlink()
    try:
        _disable_ipv6(namespace)
        mac_address = bytes.fromhex(endpoint.mac_address.replace(":", ""))
        master = outside.index(network.bridge)
        outside.add_veth(endpoint.host_interface, master, endpoint.interface, mac_address, namespace, network.mtu)
        inside = Rtnetlink(namespace)
        try:
            interface = inside.index(endpoint.interface)
            inside.add_address(interface, endpoint.address, endpoint.prefix_length)
            # A route needs its gateway reachable, so the link must be up before it.
            inside.set_up(interface)
        finally:
            inside.close()
    finally:
        outside.close()
        os.close(namespace)


def _disable_ipv6(namespace: int) -> None:
    """No address by itself on a network that has none of IPv6, as in Docker; /proc/sys/net is its reader's own."""
    with inside_network_namespace(namespace):
        try:
            with open("/proc/sys/net/ipv6/conf/all/disable_ipv6", "w", encoding="ascii") as file:
                file.write("1")
        except OSError:
            pass  # a kernel without IPv6


def set_default_route(gateway: str, pid: int) -> None:
    """Lead what is for none of its networks to a gateway."""
    namespace = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        inside = Rtnetlink(namespace)
        try:
            inside.set_default_route(gateway)
        finally:
            inside.close()
    finally:
        os.close(namespace)
