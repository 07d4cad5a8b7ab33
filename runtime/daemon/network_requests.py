"""What clients ask of networks, read and checked in dockerd's words; nothing is made here.

Counterparts in moby: api/server/router/network, runconfig, daemon/container_operations.go, libnetwork/ipam.
"""

import ipaddress
import re
import secrets
import time
from collections.abc import Mapping
from typing import Any

from runtime.daemon import ipam, network_options, port_bindings
from runtime.daemon.container import Container
from runtime.daemon.errors import (
    ConflictError,
    ForbiddenError,
    InvalidParameterError,
    NotFoundError,
    NotModeledError,
)
from runtime.daemon.json_types import INT, check_types
from runtime.daemon.links import link_words
from runtime.daemon.network import PREDEFINED, Network

_CREATE_TYPES: dict[str, Any] = {
    **dict.fromkeys(("Name", "Driver", "Scope"), str),
    **dict.fromkeys(("Internal", "Attachable", "Ingress", "EnableIPv6", "ConfigOnly", "CheckDuplicate"), bool),
    "Options": {str: str},
    "Labels": {str: str},
    "IPAM": dict,
}
_IPAM_TYPES: dict[str, Any] = {"Driver": str, "Config": [dict], "Options": {str: str}}
_POOL_TYPES: dict[str, Any] = dict.fromkeys(("Subnet", "IPRange", "Gateway"), str) | {"AuxiliaryAddresses": {str: str}}
_SETTINGS_TYPES: dict[str, Any] = {
    "IPAMConfig": dict,
    "Aliases": [str],
    "Links": [str],
    "DriverOpts": {str: str},
    "GwPriority": INT,
}
_IPAM_CONFIG_TYPES: dict[str, Any] = {"IPv4Address": str, "IPv6Address": str, "LinkLocalIPs": [str]}
_MAC_ADDRESS = re.compile(r"[0-9a-fA-F]{2}([:-][0-9a-fA-F]{2}){5}|[0-9a-fA-F]{4}(\.[0-9a-fA-F]{4}){2}")
_OTHER_DRIVERS = ("macvlan", "ipvlan", "overlay")


def parse(body: dict[str, Any], existing: Mapping[str, Network]) -> Network:
    """POST /networks/create as a network; its subnet is empty where the client leaves it to us."""
    check_types("NetworkCreateRequest", body, _CREATE_TYPES)
    name = body.get("Name") or ""
    if not name.strip():
        raise InvalidParameterError(f"invalid name: {name}")
    if name == "default" or (name in existing and existing[name].predefined):
        raise ForbiddenError(f"operation is not permitted on predefined {name} network")
    if name in existing:
        raise ConflictError(f"network with name {name} already exists")
    if (scope := body.get("Scope") or "local") != "local":
        if scope == "swarm":
            raise ForbiddenError("cannot create a swarm scoped network when swarm is not active")
        raise NotModeledError(f"networks of the scope {scope}: not modelled by the glassbottom daemon")
    _check_driver(body)
    new_id = secrets.token_hex(32)
    options = body.get("Options") or {}
    network_options.verify(options)
    network = Network(
        id=new_id,
        name=name,
        driver="bridge",
        created_ns=time.time_ns(),
        bridge=options.get(network_options.NAME) or f"br-{new_id[:12]}",
        internal=bool(body.get("Internal")),
        attachable=bool(body.get("Attachable")),
        options=options,
        labels=body.get("Labels") or {},
    )
    if len(network.bridge) > 15 or "/" in network.bridge:
        raise InvalidParameterError(f"invalid bridge name {network.bridge}: want at most 15 characters")
    if any(network.bridge == other.bridge for other in existing.values()):
        raise ForbiddenError(f"bridge {network.bridge} belongs to another network")
    _read_pool(network, body.get("IPAM") or {}, existing)
    return network


def _check_driver(body: dict[str, Any]) -> None:
    driver = body.get("Driver") or "bridge"
    if driver in ("host", "null"):
        raise ForbiddenError(f'only one instance of "{driver}" network is allowed')
    if driver in _OTHER_DRIVERS or body.get("EnableIPv6") or body.get("Ingress") or body.get("ConfigOnly"):
        what = f"network driver {driver}" if driver in _OTHER_DRIVERS else "IPv6, ingress and config-only networks"
        raise NotModeledError(f"{what}: not modelled by the glassbottom daemon")
    if driver != "bridge":
        raise NotFoundError(f'plugin "{driver}" not found')


def _read_pool(network: Network, settings: dict[str, Any], existing: Mapping[str, Network]) -> None:
    """The subnet and what is said of it."""
    check_types("NetworkCreateRequest.IPAM", settings, _IPAM_TYPES)
    if (settings.get("Driver") or "default") != "default":
        raise NotFoundError(f'plugin "{settings["Driver"]}" not found')
    pools = [pool for pool in settings.get("Config") or [] if any(pool.values())]
    if not pools:
        return
    if len(pools) > 1:
        raise ForbiddenError("bridge driver doesn't support multiple subnets")
    (pool,) = pools
    check_types("NetworkCreateRequest.IPAM.Config", pool, _POOL_TYPES)
    if not pool.get("Subnet"):
        raise InvalidParameterError("every ip-range or gateway must have a corresponding subnet")
    subnet = _subnet("subnet", pool["Subnet"])
    if subnet.prefixlen > 30:
        raise InvalidParameterError(f"invalid subnet {subnet}: it has no room for a gateway and a container")
    if any(other.subnet and subnet.overlaps(other.addresses) for other in existing.values()):
        raise ForbiddenError("Pool overlaps with other one on this address space")
    network.subnet, network.subnet_was_asked = str(subnet), True
    if pool.get("IPRange"):
        ip_range = _subnet("ip-range", pool["IPRange"])
        if not ip_range.subnet_of(subnet):
            raise InvalidParameterError(f"no matching subnet for range {pool['IPRange']}")
        network.ip_range = str(ip_range)
    network.gateway = _gateway(pool.get("Gateway") or "", subnet)
    network.gateway_was_asked = bool(pool.get("Gateway"))
    for name, address in (pool.get("AuxiliaryAddresses") or {}).items():
        if _address(address) not in subnet:
            raise InvalidParameterError(f"no matching subnet for aux-address {address}")
        if address in (network.gateway, *network.auxiliary_addresses.values()):
            raise ForbiddenError(f"failed to allocate secondary ip address ({name}:{address}): Address already in use")
        network.auxiliary_addresses[name] = address


def _subnet(what: str, text: str) -> ipaddress.IPv4Network:
    try:
        if "/" not in text:
            raise ValueError(text)
        return ipaddress.IPv4Network(text, strict=False)
    except ValueError as error:
        raise InvalidParameterError(f"Invalid {what} {text} : invalid CIDR address: {text}") from error


def _gateway(text: str, subnet: ipaddress.IPv4Network) -> str:
    if text and _address(text) not in subnet:
        raise InvalidParameterError(f"no matching subnet for gateway {text}")
    return text or ipam.gateway_of(subnet)


def _address(text: str) -> ipaddress.IPv4Address:
    try:
        return ipaddress.IPv4Address(text)
    except ValueError as error:
        raise InvalidParameterError(f"invalid IPv4 address: {text}") from error


# Containers ----------------------------------------------------------------------------------------------


def verify_network_mode(config: dict[str, Any], host: dict[str, Any]) -> None:
    """Refuse ports that cannot be meant, and what contradicts sharing another container's network."""
    wanted = port_bindings.wanted_ports(config, host)
    if host["NetworkMode"] == "container:":
        raise InvalidParameterError("Invalid network mode: invalid container format container:<name|id>")
    if config.get("MacAddress") and host["NetworkMode"].startswith(("container:", "host")):
        raise InvalidParameterError("conflicting options: mac-address and the network mode")
    if not host["NetworkMode"].startswith("container:"):
        return
    if wanted or host["PublishAllPorts"]:
        raise InvalidParameterError("conflicting options: port publishing and the container type network mode")
    if config.get("ExposedPorts"):
        raise InvalidParameterError("conflicting options: port exposing and the container type network mode")
    if host["Dns"]:
        raise InvalidParameterError("conflicting options: dns and the network mode")
    if host["ExtraHosts"]:
        raise InvalidParameterError("conflicting options: custom host-to-IP mapping and the network mode")


def initial_networks(host: dict[str, Any], networking: dict[str, Any]) -> dict[str, Any]:
    """The network that a create request puts a container in, with the settings for it: its NetworkMode's if none is."""
    check_types("NetworkingConfig", networking, {"EndpointsConfig": {str: (type(None), dict)}})
    asked = {name: settings or {} for name, settings in (networking.get("EndpointsConfig") or {}).items()}
    for settings in asked.values():
        _check_settings(settings)
    if len(asked) > 1:
        raise InvalidParameterError(f"Container cannot be connected to network endpoints: {', '.join(sorted(asked))}")
    mode = host["NetworkMode"]
    if mode.startswith("container:"):
        return {}
    return {"bridge" if name == "default" else name: settings for name, settings in (asked or {mode: {}}).items()}


def _check_settings(settings: dict[str, Any]) -> None:
    check_types("EndpointSettings", settings, _SETTINGS_TYPES)
    address = settings.get("IPAMConfig") or {}
    check_types("IPAMConfig", address, _IPAM_CONFIG_TYPES)
    for asked, what in (
        (address.get("IPv6Address"), "IPv6 addresses of a container"),
        (address.get("LinkLocalIPs"), "link-local addresses of a container (LinkLocalIPs)"),
        (settings.get("GwPriority"), "the priority of a network's gateway (GwPriority)"),
    ):
        if asked:
            raise NotModeledError(f"{what}: not modelled by the glassbottom daemon")
    for link in settings.get("Links") or []:
        link_words(link)  # now, with words for the client: the name server has nobody to tell


def choose_address(network: Network, settings: dict[str, Any], used: set[str]) -> str:
    """The address that a container asked for, or the lowest that is free."""
    asked = (settings.get("IPAMConfig") or {}).get("IPv4Address") or ""
    if not asked:
        address = ipam.lowest_free(network.addresses, network.ip_range, used)
        if address is None:
            raise ForbiddenError(f"no available IPv4 addresses on this network's address pools: {network.name}")
        return address
    _verify_address(network, asked)
    if asked in used:
        raise ForbiddenError("Address already in use")
    return str(asked)


def choose_mac_address(container: Container, network: Network, address: str) -> str:
    """The hardware address that was asked for in the network that it was asked for, or the one made of the address."""
    mode, asked = container.host_config["NetworkMode"], container.config.get("MacAddress") or ""
    if not asked or network.name != ("bridge" if mode == "default" else mode):
        return ipam.mac_of(address).hex(":")
    digits = asked.replace(":", "").replace("-", "").replace(".", "").lower()
    if not _MAC_ADDRESS.fullmatch(asked):
        raise InvalidParameterError(f"address {asked}: invalid MAC address")
    return bytes.fromhex(digits).hex(":")


def _verify_address(network: Network, asked: str) -> None:
    if network.predefined:
        raise InvalidParameterError("user specified IP address is supported on user defined networks only")
    if not network.subnet_was_asked:
        raise InvalidParameterError(
            "user specified IP address is supported only when connecting to networks with user configured subnets"
        )
    if _address(asked) not in network.addresses:
        raise InvalidParameterError(f"Invalid address {asked}: It does not belong to any of this network's subnets")


def aliases(container: Container, network: str, settings: dict[str, Any]) -> list[str]:
    """What else a container is called on a network of the user's own: docker adds its short ID and its hostname."""
    if network in PREDEFINED:
        return []
    names = [*(settings.get("Aliases") or []), container.id[:12], container.hostname]
    return list(dict.fromkeys(name for name in names if name))


def verify_connect(network: Network, container: Container, settings: dict[str, Any]) -> None:
    """Refuse what cannot be joined."""
    _check_settings(settings)
    mode = container.host_config["NetworkMode"]
    if mode.startswith("container:") or (mode == "host" and network.driver != "host"):
        raise ForbiddenError(
            "container sharing network namespace with another container or host cannot be connected to any other "
            "network"
        )
    if network.driver == "host":
        raise ForbiddenError("container cannot be disconnected from host network or connected to host network")
    if "none" in (network.name, *container.networking) and network.name not in container.networking:
        raise ForbiddenError(
            "container cannot be connected to multiple networks with one of the networks in private (none) mode"
        )
    if network.name in container.networking:
        raise ForbiddenError(f"endpoint with name {container.name} already exists in network {network.name}")
    if not network.has_names and settings.get("Aliases"):
        raise InvalidParameterError("network-scoped alias is supported only for containers in user defined networks")


def verify_disconnect(network: Network, container: Container) -> None:
    """Refuse where there is nothing to leave."""
    if network.driver == "host" and network.name in container.networking:
        raise ForbiddenError("container cannot be disconnected from host network or connected to host network")
    if network.name not in container.networking:
        the = "" if container.state.running else "the "
        raise ForbiddenError(f"container {container.id} is not connected to {the}network {network.name}")
