"""Which ports a container publishes, and how that looks: `-p`, `-P`, `docker port`, `docker ps`.

Counterparts: go-connections/nat; in moby daemon/network.go. Nothing is opened here; that is `published_ports.py`.
"""

import ipaddress
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from runtime.daemon.container import PublishedPort
from runtime.daemon.errors import InvalidParameterError, NotModeledError

_PORT = re.compile(r"(\d{1,5})(?:/(tcp|udp|sctp))?")
_RANGE = re.compile(r"(\d{1,5})(?:-(\d{1,5}))?")


@dataclass(frozen=True)
class WantedPort:
    """A port of the container's, and where the host is to have it."""

    protocol: str
    container_port: int
    host_ip: str = ""
    """Empty: every address of the host's, of IPv4 and of IPv6."""
    first: int = 0
    last: int = 0
    """The host's ports to choose from; 0: any that is free."""


def exposed_port(text: str) -> tuple[int, str]:
    """`80/tcp` as number and protocol."""
    match = _PORT.fullmatch(text)
    if match is None or not 0 < int(match[1]) < 65536:
        raise InvalidParameterError(f'invalid port specification: "{text.partition("/")[0]}"')
    return int(match[1]), match[2] or "tcp"


def wanted_ports(config: dict[str, Any], host: dict[str, Any]) -> list[WantedPort]:
    """Everything that is to be published, by number; raises InvalidParameterError for what cannot be meant."""
    wanted = []
    bindings: dict[str, Any] = dict(host["PortBindings"])
    if host["PublishAllPorts"]:
        bindings = {port: [{}] for port in config.get("ExposedPorts") or {}} | bindings
    for text, places in bindings.items():
        port, protocol = exposed_port(text)
        if protocol == "sctp":
            raise NotModeledError(f"publishing a port of SCTP ({text}): not modelled by the glassbottom daemon")
        wanted += [_wanted(protocol, port, place) for place in places or [{}]]
    for text in config.get("ExposedPorts") or {}:
        exposed_port(text)
    return sorted(wanted, key=lambda want: (want.container_port, want.protocol, want.first))


def _wanted(protocol: str, port: int, place: Any) -> WantedPort:
    if not isinstance(place, dict):
        raise InvalidParameterError(f"invalid port binding: {place!r}")
    host_ip, host_port = str(place.get("HostIp") or ""), str(place.get("HostPort") or "0")
    try:
        if host_ip:
            ipaddress.ip_address(host_ip)
    except ValueError as error:
        raise InvalidParameterError(f'invalid port binding: "{host_ip}" is not an IP address') from error
    match = _RANGE.fullmatch(host_port)
    first, last = (int(match[1]), int(match[2] or match[1])) if match else (-1, -1)
    if not 0 <= first <= last < 65536:
        raise InvalidParameterError(f'invalid port specification: "{host_port}"')
    return WantedPort(protocol, port, host_ip, first, last)


# Looking -------------------------------------------------------------------------------------------------


def inspect_view(config: dict[str, Any], published: Iterable[PublishedPort]) -> dict[str, Any]:
    """NetworkSettings.Ports: every exposed port with its places on the host, null where there is none."""
    view: dict[str, Any] = dict.fromkeys(sorted(config.get("ExposedPorts") or {}))
    for port in published:
        place = {"HostIp": port.host_ip, "HostPort": str(port.host_port)}
        key = f"{port.container_port}/{port.protocol}"
        view[key] = [*(view.get(key) or []), place]
    return view


def list_view(config: dict[str, Any], published: Iterable[PublishedPort]) -> list[dict[str, Any]]:
    """Ports in `docker ps`: the same, flat."""
    view = []
    for text, places in inspect_view(config, published).items():
        port, protocol = exposed_port(text)
        for place in places or [None]:
            outside = {"IP": place["HostIp"], "PublicPort": int(place["HostPort"])} if place else {}
            view.append({"PrivatePort": port, "Type": protocol} | outside)
    return view


def matches_filter(value: str, numbers: Iterable[tuple[int, str]]) -> bool:
    """The filters `publish` and `expose` of ps: PORT[-PORT][/PROTOCOL] among numbers with their protocols."""
    ports, _, protocol = value.partition("/")
    first, last = _port_range(ports)
    return any(first <= number <= last and kind == (protocol or "tcp") for number, kind in numbers)


def verify_filter(key: str, value: str) -> None:
    """Refuse what is no port or range of ports."""
    if ":" in value:
        raise InvalidParameterError(f"filter for '{key}' should not contain ':': {value}")
    try:
        _port_range(value.partition("/")[0])
    except ValueError as error:
        raise InvalidParameterError(f"error while looking up for {key} {value}: {error}") from error


def _port_range(text: str) -> tuple[int, int]:
    """`80` or `80-90`. Raises ValueError with what Go says (go-connections: nat.ParsePortRange)."""
    if not text:
        raise ValueError("Empty string specified for ports.")
    parts = text.split("-", 1)
    for part in parts:
        if not re.fullmatch("[0-9]+", part) or int(part) > 65535:
            why = "value out of range" if re.fullmatch("[0-9]+", part) else "invalid syntax"
            raise ValueError(f'strconv.ParseUint: parsing "{part}": {why}')
    first, last = int(parts[0]), int(parts[-1])
    if last < first:
        raise ValueError(f"Invalid range specified for the Port: {text}")
    return first, last
