"""Flags whose value is itself a list of fields: ``--mount type=bind,src=/a,dst=/b,ro`` and ``--network name=n,ip=A``.

Real counterpart: docker CLI's opts/mount.go and opts/network.go.
"""

from __future__ import annotations

import os

from runtime.client.flags import boolean
from runtime.client.values import size_bytes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

_SAME = {"src": "source", "dst": "target", "destination": "target", "ro": "readonly"}
_BARE = {"readonly", "volume-nocopy", "bind-nonrecursive"}
_OF_BIND = {"disabled": "NonRecursive", "writable": "ReadOnlyNonRecursive", "readonly": "ReadOnlyForceRecursive"}


def mount(text: str) -> dict[str, object]:
    """One entry of HostConfig.Mounts."""
    found: dict[str, object] = {"Type": "volume"}
    options: dict[str, dict[str, object]] = {}
    for key, value, field in _fields(text, _BARE | {"ro"}):
        if key in ("type", "source", "target", "consistency"):
            found[key.capitalize()] = value.lower() if key in ("type", "consistency") else value
        elif key == "readonly":
            found["ReadOnly"] = _truth(key, value)
        elif key.partition("-")[0] in ("bind", "volume", "tmpfs"):
            _put_option(options.setdefault(key.partition("-")[0], {}), key, value)
        else:
            raise ValueError(f"unexpected key '{key}' in '{field}'")
    if not found.get("Target"):
        raise ValueError("target is required")
    for kind, given in options.items():
        if kind != found["Type"]:
            raise ValueError(f"cannot mix '{kind}-*' options with mount type '{found['Type']}'")
        found[f"{kind.capitalize()}Options"] = given
    source = str(found.get("Source", ""))
    if found["Type"] == "bind" and source.startswith("."):
        found["Source"] = os.path.abspath(source)  # the daemon has another working directory
    return {key: value for key, value in found.items() if value is not False}


def _put_option(options: dict[str, object], key: str, value: str) -> None:
    if key == "bind-propagation":
        options["Propagation"] = value.lower()
    elif key == "bind-nonrecursive":
        options["NonRecursive"] = _truth(key, value)
    elif key == "bind-recursive":
        if value not in {*_OF_BIND, "enabled"}:
            raise ValueError(
                f'invalid value for bind-recursive: {value} (must be "enabled", "disabled", "writable", or "readonly")'
            )
        options.update({_OF_BIND[value]: True} if value in _OF_BIND else {})
    elif key == "volume-nocopy":
        options["NoCopy"] = _truth(key, value)
    elif key == "volume-subpath":
        options["Subpath"] = value
    elif key in ("volume-label", "volume-driver", "volume-opt"):
        _put_volume_option(options, key, value)
    elif key == "tmpfs-size":
        options["SizeBytes"] = size_bytes(value)
    elif key == "tmpfs-mode":
        try:
            options["Mode"] = int(value, 8)
        except ValueError:
            raise ValueError(f"invalid value for {key}: {value}") from None
    else:
        raise ValueError(f"unexpected key '{key}' in '{key}={value}'")


def _put_volume_option(options: dict[str, object], key: str, value: str) -> None:
    name, _, text = value.partition("=")
    if key == "volume-label":
        inner, name_in = options.setdefault("Labels", {}), name
    else:
        inner, name_in = options.setdefault("DriverConfig", {}), "Name"
        text = text if key == "volume-opt" else value
    if key == "volume-opt":
        assert isinstance(inner, dict)
        inner, name_in = inner.setdefault("Options", {}), name
    assert isinstance(inner, dict)
    inner[name_in] = text


def network(text: str) -> tuple[str, dict[str, object]]:
    """A network's name, and the settings of the endpoint in it; a plain word is a name alone."""
    if "=" not in text:
        return text, {}
    name, settings, addresses = "", dict[str, object](), dict[str, object]()
    for key, value, _ in _fields(text, set()):
        if key == "name":
            name = value
        elif key in ("alias", "link-local-ip"):
            at, field = (settings, "Aliases") if key == "alias" else (addresses, "LinkLocalIPs")
            listed = at.setdefault(field, [])
            assert isinstance(listed, list)
            listed.append(value)
        elif key in ("ip", "ip6"):
            addresses["IPv4Address" if key == "ip" else "IPv6Address"] = value
        elif key == "mac-address":
            settings["MacAddress"] = value
        elif key == "driver-opt":
            driver = settings.setdefault("DriverOpts", {})
            assert isinstance(driver, dict)
            driver.update([value.partition("=")[::2]])
        elif key == "gw-priority":
            settings["GwPriority"] = _gateway_priority(value)
        else:
            raise ValueError(f"invalid field key {key}")
    if not name:
        raise ValueError("network name/id is not specified")
    return name, settings | ({"IPAMConfig": addresses} if addresses else {})


def _gateway_priority(value: str) -> int:
    digits = value.removeprefix("-") if value.startswith("-") else value.removeprefix("+")
    if not (digits.isascii() and digits.isdigit()):
        raise ValueError(f"invalid gw-priority ({value}): invalid syntax")
    if len(digits) > 19 or not -(1 << 63) <= int(value) < 1 << 63:
        raise ValueError(f"invalid gw-priority ({value}): value out of range")
    return int(value)


def _fields(text: str, bare: set[str]) -> Iterator[tuple[str, str, str]]:
    """Key, value, and both as they were written; fields are comma-separated values, so quotes keep a comma in one."""
    import csv  # here: most runs have no such flag, and every run imports this file

    try:  # the first line that is not empty, as Go's reader of one record has it; what follows is not read
        row = next(filter(None, csv.reader((line + "\n" for line in text.split("\n")), strict=True)), None)
    except csv.Error as error:
        raise ValueError(f"parse error: {str(error).partition(' - ')[0]}") from None
    if row is None:
        raise ValueError("EOF")
    for field in row:
        key, equals, value = field.partition("=")
        if not equals and key not in bare:
            raise ValueError(f"invalid field '{field}' must be a key=value pair")
        yield _SAME.get(key.lower(), key.lower()), value if equals else "true", field


def _truth(key: str, value: str) -> bool:
    try:
        return boolean(value)
    except ValueError:
        raise ValueError(f"invalid value for {key}: {value}") from None
