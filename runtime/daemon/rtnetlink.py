"""Talk to the kernel about links, addresses and routes: rtnetlink(7), as much as a bridge network needs.

    daemon -> kernel   nlmsghdr {RTM_NEWLINK, NLM_F_REQUEST|NLM_F_ACK|...}, ifinfomsg, attributes
    kernel -> daemon   nlmsghdr {NLMSG_ERROR}, errno (0: done)

A few kinds of message are spoken here by hand rather than through pyroute2, which takes 370 modules and 120-170 ms to
import, as long as a whole `docker run`.
"""

import errno
import os
import socket
import struct

from runtime.daemon.netlink import (
    F_ACK,
    F_CREATE,
    F_EXCL,
    attribute,
    inside_network_namespace,
    message,
    open_socket,
    raise_errors,
    text,
)

_F_REPLACE = 0x100
_RTM_NEWLINK, _RTM_DELLINK, _RTM_NEWADDR, _RTM_NEWROUTE = 16, 17, 20, 24
_IFLA_ADDRESS, _IFLA_IFNAME, _IFLA_MTU, _IFLA_MASTER, _IFLA_LINKINFO, _IFLA_NET_NS_FD = 1, 3, 4, 10, 18, 28
_IFLA_INFO_KIND, _IFLA_INFO_DATA, _VETH_INFO_PEER = 1, 2, 1
_IFA_ADDRESS, _IFA_LOCAL, _IFA_BROADCAST = 1, 2, 4
_RTA_GATEWAY = 5
_IFF_UP = 1
_RT_TABLE_MAIN, _RTPROT_BOOT, _RT_SCOPE_UNIVERSE, _RTN_UNICAST = 254, 3, 0, 1

_IFINFO = struct.Struct("=BxHiII")
_IFADDR = struct.Struct("=BBBBI")
_RTMSG = struct.Struct("=BBBBBBBBI")


class Rtnetlink:
    """One conversation with the kernel about one network namespace."""

    def __init__(self, netns_fd: int = -1) -> None:
        self._sequence = 0
        self._names: dict[str, int] | None = None
        if netns_fd < 0:
            self._socket = open_socket(socket.NETLINK_ROUTE)
            return
        with inside_network_namespace(netns_fd):
            self._socket = open_socket(socket.NETLINK_ROUTE)
            self._names = {name: index for index, name in socket.if_nameindex()}

    def close(self) -> None:
        """Hang up."""
        self._socket.close()

    def index(self, name: str) -> int:
        """The number of an interface in this conversation's namespace (as of when it began, for another's)."""
        found = _index_here(name) if self._names is None else self._names.get(name, 0)
        if not found:
            raise OSError(errno.ENODEV, os.strerror(errno.ENODEV), name)
        return found

    def add_bridge(self, name: str) -> None:
        """`ip link add NAME type bridge`."""
        info = attribute(_IFLA_LINKINFO, attribute(_IFLA_INFO_KIND, b"bridge"))
        self._ask(_RTM_NEWLINK, _IFINFO.pack(0, 0, 0, 0, 0) + text(_IFLA_IFNAME, name) + info, F_CREATE | F_EXCL)

    def add_veth(
        self, name: str, master: int, peer_name: str, peer_address: bytes, peer_netns_fd: int, mtu: int
    ) -> None:
        """Make both ends at once: one here, up and in a bridge; one under its final name in another namespace.

        An MTU of 0 is what the kernel has for a veth.
        """
        size = attribute(_IFLA_MTU, struct.pack("=I", mtu)) if mtu else b""
        peer = _IFINFO.pack(0, 0, 0, 0, 0) + text(_IFLA_IFNAME, peer_name)
        peer += attribute(_IFLA_ADDRESS, peer_address)
        peer += attribute(_IFLA_NET_NS_FD, struct.pack("=I", peer_netns_fd)) + size
        info = attribute(_IFLA_INFO_KIND, b"veth") + attribute(_IFLA_INFO_DATA, attribute(_VETH_INFO_PEER, peer))
        body = _IFINFO.pack(0, 0, 0, _IFF_UP, _IFF_UP) + text(_IFLA_IFNAME, name) + size
        body += attribute(_IFLA_MASTER, struct.pack("=I", master)) + attribute(_IFLA_LINKINFO, info)
        self._ask(_RTM_NEWLINK, body, F_CREATE | F_EXCL)

    def set_up(self, index: int) -> None:
        """`ip link set dev NAME up`."""
        self._ask(_RTM_NEWLINK, _IFINFO.pack(0, 0, index, _IFF_UP, _IFF_UP))

    def delete_link(self, name: str) -> None:
        """`ip link del NAME`; a veth takes its other end along."""
        self._ask(_RTM_DELLINK, _IFINFO.pack(0, 0, 0, 0, 0) + text(_IFLA_IFNAME, name))

    def add_address(self, index: int, address: str, prefix_length: int) -> None:
        """`ip addr add ADDRESS/LENGTH dev NAME`, with the subnet's last address as broadcast."""
        local = socket.inet_aton(address)
        host_bits = (1 << (32 - prefix_length)) - 1
        broadcast = struct.pack("!I", struct.unpack("!I", local)[0] | host_bits)
        body = _IFADDR.pack(socket.AF_INET, prefix_length, 0, 0, index)
        body += attribute(_IFA_LOCAL, local) + attribute(_IFA_ADDRESS, local) + attribute(_IFA_BROADCAST, broadcast)
        self._ask(_RTM_NEWADDR, body, F_CREATE | F_EXCL)

    def set_default_route(self, gateway: str) -> None:
        """`ip route replace default via GATEWAY`."""
        body = _RTMSG.pack(socket.AF_INET, 0, 0, 0, _RT_TABLE_MAIN, _RTPROT_BOOT, _RT_SCOPE_UNIVERSE, _RTN_UNICAST, 0)
        body += attribute(_RTA_GATEWAY, socket.inet_aton(gateway))
        self._ask(_RTM_NEWROUTE, body, F_CREATE | _F_REPLACE)

    def _ask(self, kind: int, body: bytes, flags: int = 0) -> None:
        """Send one request and wait for the kernel's word; it answers before send(2) has returned."""
        self._sequence += 1
        self._socket.send(message(kind, body, flags | F_ACK, self._sequence))
        raise_errors(self._socket.recv(65536))


def _index_here(name: str) -> int:
    try:
        return socket.if_nametoindex(name)
    except OSError:
        return 0
