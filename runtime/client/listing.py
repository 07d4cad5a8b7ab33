"""What ``docker ps`` and ``docker images`` show: tables, ages, and a container's ports.

Real counterpart: docker CLI's cli/command/formatter (container.go ``DisplayablePorts``).
"""

from __future__ import annotations

import time

COLUMNS = {
    "ID": "CONTAINER ID",
    "Image": "IMAGE",
    "Command": "COMMAND",
    "RunningFor": "CREATED",
    "Status": "STATUS",
    "Ports": "PORTS",
    "Names": "NAMES",
}
"""The columns of the table of containers, by the name that --format has for them."""


def container_fields(item: dict[str, object], *, whole: bool) -> dict[str, object]:
    """One line of ``ps``. `whole`: with all of the ID and the command."""
    names, ports, labels = (item.get(key) or [] for key in ("Names", "Ports", "Labels"))
    assert isinstance(names, list)
    assert isinstance(ports, list)
    command = f'"{item["Command"]}"'
    created = int(str(item["Created"]))
    return {
        "ID": str(item["Id"])[: 64 if whole else 12],
        "Image": str(item["Image"]),
        "Command": command if whole or len(command) <= 20 else command[:18] + '…"',
        "CreatedAt": time.strftime("%Y-%m-%d %H:%M:%S %z %Z", time.localtime(created)),
        "RunningFor": ago(created),
        "State": str(item["State"]),
        "Status": str(item["Status"]),
        "Ports": ports_shown(ports),
        "Names": ",".join(str(name).removeprefix("/") for name in names),
        "Labels": ",".join(f"{key}={value}" for key, value in labels.items()) if isinstance(labels, dict) else "",
    }


def ports_shown(ports: list[dict[str, object]]) -> str:
    """``0.0.0.0:8080->80/tcp, 90/tcp``: neighbours on their own numbers, or on none, are one range."""
    groups: list[tuple[str, str, list[int]]] = []
    mapped = []
    for port in sorted(ports, key=_order):
        inside, outside = int(str(port["PrivatePort"])), port.get("PublicPort")
        address, protocol = str(port.get("IP") or ""), str(port["Type"])
        if address and outside != inside:
            mapped.append(f"{_joined(address, str(outside))}->{inside}/{protocol}")
            continue
        group = next((ends for *key, ends in reversed(groups) if key == [address, protocol]), None)
        if group and inside == group[1] + 1:
            group[1] = inside
        else:
            groups.append((address, protocol, [inside, inside]))
    shown = []
    for address, protocol, (first, last) in groups:
        numbers = str(first) if first == last else f"{first}-{last}"
        shown.append(f"{_joined(address, numbers)}->{numbers}/{protocol}" if address else f"{numbers}/{protocol}")
    return ", ".join(shown + mapped)


def _order(port: dict[str, object]) -> tuple[int, str, int, str]:
    outside = int(str(port.get("PublicPort") or 0))
    return int(str(port["PrivatePort"])), str(port.get("IP") or ""), outside, str(port["Type"])


def _joined(address: str, port: str) -> str:
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def print_table(rows: list[tuple[str, ...]]) -> None:
    """Print rows, each column as wide as its widest cell."""
    widths = [max(len(row[column]) for row in rows) + 3 for column in range(len(rows[0]))]
    for row in rows:
        print("".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip())


def ago(unix_seconds: int) -> str:
    """``5 minutes ago``: the largest unit that fits, as go-units HumanDuration rounds."""
    age = max(0, int(time.time()) - unix_seconds)
    for unit, seconds in (("weeks", 604800), ("days", 86400), ("hours", 3600), ("minutes", 60), ("seconds", 1)):
        if age >= 2 * seconds:
            return f"{age // seconds} {unit} ago"
    return "Less than a second ago" if age < 1 else "1 second ago"
