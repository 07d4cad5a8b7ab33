"""``-p`` and ``--expose``: which ports, one by one, where a range was given.

Real counterpart: github.com/docker/go-connections ``nat.ParsePortSpec``. What is wrong with a port is no matter of the
flag's syntax to docker, so the words have no flag in front.
"""

from __future__ import annotations

from runtime.client.flags import ConflictError
from runtime.client.values import uint16


def published(text: str) -> list[tuple[str, dict[str, str]]]:
    """``[ADDRESS:][HOSTPORT:]PORT[/PROTOCOL]``, either one a range: each port inside with its binding outside.

    Several ports of the host for one inside are a choice, which is the daemon's.
    """
    spec, _, protocol = text.partition("/")
    rest, _, inside = spec.rpartition(":")
    address, colon, outside = rest.rpartition(":")
    first, last = _range(inside, "containerPort")
    if not _is_address(address.strip("[]")) and colon:
        raise ConflictError(f"invalid IP address: {address}")
    if protocol.lower() not in ("", "tcp", "udp", "sctp"):
        raise ConflictError(f"invalid proto: {protocol}")
    outer_first, outer_last = _range(outside, "hostPort") if outside else (0, last - first)
    if outer_last - outer_first != last - first and first != last:
        raise ConflictError(f"invalid ranges specified for container and host Ports: {inside} and {outside}")
    found = []
    for offset in range(last - first + 1):
        port = str(outer_first + offset) if outside else ""
        port = outside if first == last else port
        binding = {"HostIp": address.strip("[]"), "HostPort": port}
        found.append((f"{first + offset}/{protocol.lower() or 'tcp'}", binding))
    return found


def exposed(text: str) -> list[str]:
    """``PORT[-PORT][/PROTOCOL]``: a port that is named, not published."""
    spec, _, protocol = text.partition("/")
    try:
        first, last = _numbers(spec)
    except ValueError as error:
        raise ConflictError(f"invalid range format for --expose: {text}, error: {error}") from None
    return [f"{port}/{protocol.lower() or 'tcp'}" for port in range(first, last + 1)]


def _range(text: str, what: str) -> tuple[int, int]:
    try:
        return _numbers(text)
    except ValueError:
        raise ConflictError(f"invalid {what}: {text}") from None


def _numbers(text: str) -> tuple[int, int]:
    """The two ends of ``80-82``, the same ones for ``80``."""
    first, dash, last = text.partition("-")
    ends = [uint16(first), uint16(last if dash else first)]
    if ends[0] > ends[1]:
        raise ValueError(f"invalid range specified for port: {text}")
    return ends[0], ends[1]


def _is_address(text: str) -> bool:
    import ipaddress  # here: most runs publish nothing, and every run imports this file

    try:
        return not text or bool(ipaddress.ip_address(text))
    except ValueError:
        return False
