"""Names for the Docker Engine API's requests, as its own reference calls them (`operationId` of its swagger file)."""

import re
from functools import lru_cache
from urllib.parse import parse_qsl, unquote

_OPERATIONS = {
    "HEAD _ping": "SystemPing",
    "GET _ping": "SystemPing",
    "GET version": "SystemVersion",
    "GET info": "SystemInfo",
    "GET events": "SystemEvents",
    "GET system/df": "SystemDataUsage",
    "GET containers/json": "ContainerList",
    "POST containers/create": "ContainerCreate",
    "POST containers/prune": "ContainerPrune",
    "GET containers/*/json": "ContainerInspect",
    "GET containers/*/top": "ContainerTop",
    "GET containers/*/logs": "ContainerLogs",
    "GET containers/*/stats": "ContainerStats",
    "GET containers/*/changes": "ContainerChanges",
    "GET containers/*/export": "ContainerExport",
    "POST containers/*/attach": "ContainerAttach",
    "POST containers/*/wait": "ContainerWait",
    "POST containers/*/start": "ContainerStart",
    "POST containers/*/stop": "ContainerStop",
    "POST containers/*/restart": "ContainerRestart",
    "POST containers/*/kill": "ContainerKill",
    "POST containers/*/pause": "ContainerPause",
    "POST containers/*/unpause": "ContainerUnpause",
    "POST containers/*/rename": "ContainerRename",
    "POST containers/*/resize": "ContainerResize",
    "POST containers/*/update": "ContainerUpdate",
    "DELETE containers/*": "ContainerDelete",
    "GET containers/*/archive": "ContainerArchive",
    "HEAD containers/*/archive": "ContainerArchiveInfo",
    "PUT containers/*/archive": "PutContainerArchive",
    "POST containers/*/exec": "ContainerExec",
    "POST exec/*/start": "ExecStart",
    "POST exec/*/resize": "ExecResize",
    "GET exec/*/json": "ExecInspect",
    "GET images/json": "ImageList",
    "POST images/create": "ImageCreate",
    "POST images/load": "ImageLoad",
    "GET images/*/json": "ImageInspect",
    "GET images/*/history": "ImageHistory",
    "POST images/*/tag": "ImageTag",
    "POST images/*/push": "ImagePush",
    "DELETE images/*": "ImageDelete",
    "GET networks": "NetworkList",
    "GET networks/*": "NetworkInspect",
    "POST networks/create": "NetworkCreate",
    "DELETE networks/*": "NetworkDelete",
    "GET volumes": "VolumeList",
    "POST volumes/create": "VolumeCreate",
    "GET volumes/*": "VolumeInspect",
    "DELETE volumes/*": "VolumeDelete",
}

STREAMING = frozenset(
    (
        "ContainerWait",
        "SystemEvents",
        "ContainerLogs",
        "ContainerStats",
        "ContainerExport",
        "ContainerArchive",
        "ImageCreate",
        "ImageLoad",
        "ImagePush",
    )
)
"""Requests whose answer comes piece by piece: the head is a message by itself, and so is each piece."""

_VERSION = re.compile(r"^/v(\d+\.\d+)(?=/)")


@lru_cache(maxsize=512)
def describe(method: str, target: str) -> tuple[str, str, str, tuple[tuple[str, str], ...]]:
    """A request line as (operation, path without the version, version, query)."""
    path, _, query = target.partition("?")
    found = _VERSION.match(path)
    version = found[1] if found else ""
    if found:
        path = path[found.end() :]
    return _operation(method, path), unquote(path), version, tuple(parse_qsl(query, keep_blank_values=True))


def _operation(method: str, path: str) -> str:
    parts = path.strip("/").split("/")
    exact = f"{method} {'/'.join(parts)}"
    if exact in _OPERATIONS or len(parts) < 2:
        return _OPERATIONS.get(exact, "")
    # An image's name may itself hold slashes: what varies is everything between the first word and the verb.
    if len(parts) > 2:
        found = _OPERATIONS.get(f"{method} {parts[0]}/*/{parts[-1]}")
        if found:
            return found
    return _OPERATIONS.get(f"{method} {parts[0]}/*", "")
