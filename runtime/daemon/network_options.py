"""`docker network create -o KEY=VALUE` (moby: libnetwork/netlabel, drivers/bridge parseNetworkOptions).

What dockerd's bridge driver (of any version up to 28) does not know it leaves alone, and so is it here. What it knows
and we do not do is refused by name, except where the value is what is done anyway.
"""

import ipaddress
import re

from runtime.daemon.errors import InvalidParameterError, NotModeledError
from runtime.daemon.go_words import parse_bool, quoted

_BRIDGE = "com.docker.network.bridge"
NAME = f"{_BRIDGE}.name"
MASQUERADE = f"{_BRIDGE}.enable_ip_masquerade"
HOST_BINDING = f"{_BRIDGE}.host_binding_ipv4"
MTU = "com.docker.network.driver.mtu"
INTERFACE_PREFIX = "com.docker.network.container_iface_prefix"
_DONE_ANYWAY = {
    f"{_BRIDGE}.enable_icc": True,
    f"{_BRIDGE}.default_bridge": False,
    f"{_BRIDGE}.inhibit_ipv4": False,
    "com.docker.network.enable_ipv4": True,
    "com.docker.network.enable_ipv6": False,
}
"""Yes or no, and which of them is so."""
_LEFT_UNDONE = {
    f"{_BRIDGE}.gateway_mode_ipv4": "nat",
    f"{_BRIDGE}.gateway_mode_ipv6": "nat",
    f"{_BRIDGE}.trusted_host_interfaces": "",
}
"""The one value that asks for nothing more than is done; dockerd 20.10 does not know these yet."""
_SOURCE_ADDRESSES = ("com.docker.network.host_ipv4", "com.docker.network.host_ipv6")


def of_default(bridge: str) -> dict[str, str]:
    """What the network `bridge` shows."""
    return {
        f"{_BRIDGE}.default_bridge": "true",
        f"{_BRIDGE}.enable_icc": "true",
        MASQUERADE: "true",
        HOST_BINDING: "0.0.0.0",  # noqa: S104 - shown, not listened on
        NAME: bridge,
        MTU: "1500",
    }


def verify(options: dict[str, str]) -> None:
    """Refuse what cannot be read, in dockerd's words, and what is not done."""
    for key, text in options.items():
        if key in (MASQUERADE, *_DONE_ANYWAY) and parse_bool(text) is None:
            raise _unreadable(key, text, f"strconv.ParseBool: parsing {quoted(text)}: invalid syntax")
        if key in (HOST_BINDING, *_SOURCE_ADDRESSES) and not _is_address(text):
            raise _unreadable(key, text, "nil ip")
        undone = key in _SOURCE_ADDRESSES or text != _LEFT_UNDONE.get(key, text)
        if undone or (key in _DONE_ANYWAY and parse_bool(text) is not _DONE_ANYWAY[key]):
            raise NotModeledError(f"network option {key}={text}: not modelled by the glassbottom daemon")
        if key == MTU:
            if not re.fullmatch("[+-]?[0-9]{1,9}", text):
                raise _unreadable(key, text, f"strconv.Atoi: parsing {quoted(text)}: invalid syntax")
            if int(text) < 0:
                raise InvalidParameterError(f"invalid MTU number: {int(text)}")


def _unreadable(key: str, text: str, why: str) -> InvalidParameterError:
    return InvalidParameterError(f"failed to parse {key} value: {text} ({why})")


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
