"""Which addresses a network has and who has which (moby: libnetwork/ipam). Plain arithmetic; nothing is asked or set.

Docker takes the first of 172.17.0.0/16, 172.18.0.0/16 ... 192.168.0.0/20, 192.168.16.0/20 ... that no route of the host
overlaps; so do we, except that the search begins at a place of each daemon's own: daemons that start at the same moment
then choose different subnets.
"""

import ipaddress
import sys
from collections.abc import Iterable

_POOL = (
    *(ipaddress.IPv4Network(f"172.{number}.0.0/16") for number in range(17, 32)),
    *(ipaddress.IPv4Network(f"192.168.{number}.0/20") for number in range(0, 256, 16)),
)


def choose_subnet(occupied: Iterable[ipaddress.IPv4Network], seed: int) -> ipaddress.IPv4Network | None:
    """A subnet that overlaps nothing that is occupied."""
    taken = [network for network in occupied if network.prefixlen]
    for offset in range(len(_POOL)):
        candidate = _POOL[(seed + offset) % len(_POOL)]
        if not any(candidate.overlaps(network) for network in taken):
            return candidate
    return None


def gateway_of(subnet: ipaddress.IPv4Network) -> str:
    """The first address: the bridge's own."""
    return str(subnet[1])


def lowest_free(subnet: ipaddress.IPv4Network, ip_range: str, used: set[str]) -> str | None:
    """The lowest address that nobody has, in the subnet or in a part of it; never its first or its last."""
    first, last = subnet.network_address, subnet.broadcast_address
    for address in ipaddress.IPv4Network(ip_range) if ip_range else subnet:
        if address not in (first, last) and str(address) not in used:
            return str(address)
    return None


def mac_of(address: str) -> bytes:
    """Docker's rule for an endpoint's hardware address: 02:42 and the four bytes of the IP address."""
    return b"\x02\x42" + ipaddress.IPv4Address(address).packed


def occupied_networks(route_table: str) -> list[ipaddress.IPv4Network]:
    """The destinations in /proc/net/route: hexadecimal, in the byte order of the machine."""
    networks = []
    for line in route_table.splitlines()[1:]:
        fields = line.split()
        if len(fields) > 7:
            destination, mask = (int(fields[column], 16).to_bytes(4, sys.byteorder) for column in (1, 7))
            length = int.from_bytes(mask, "big").bit_count()
            networks.append(ipaddress.IPv4Network((int.from_bytes(destination, "big"), length), strict=False))
    return networks


def network_of(address: str, prefix_length: int) -> ipaddress.IPv4Network:
    """The subnet that an address is in."""
    return ipaddress.IPv4Network((address, prefix_length), strict=False)
