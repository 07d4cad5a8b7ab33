"""net.ipv4.ip_forward: whether the kernel passes on what is not for itself (moby: setupIPForwarding).

Off, containers reach their own network and the host, and no further. dockerd turns it on and leaves it on; here the
last daemon that had use for it puts it back. Who has found it off says so in the alias of its bridge, where every later
daemon, and cleanup, finds the word without a file of anybody's:

    /sys/class/net/gb-XXXXXXXX/ifalias     ip_forward was 0

It stays on while any bridge is left on this host, ours or another program's: whoever has one may rely on it by now.
"""

import os

_SWITCH = "/proc/sys/net/ipv4/ip_forward"
_LINKS = "/sys/class/net"
MARK = "ip_forward was 0"


def enable(bridge: str) -> str:
    """Turn it on; returns why that cannot be done, or nothing."""
    try:
        if _read(_SWITCH) != "1":
            _write(_SWITCH, "1")
            _mark(bridge)
        elif any(_read(f"{_LINKS}/{name}/ifalias") == MARK for name in os.listdir(_LINKS)):
            _mark(bridge)
    except OSError as error:
        return f"cannot write {_SWITCH}: {error.strerror}"
    return ""


def is_enabled() -> bool:
    """Whether packets are passed on now."""
    return _read(_SWITCH) == "1"


def was_off(bridge: str) -> bool:
    """Whether the alias of a bridge says so; to be asked before the bridge is removed."""
    return _read(f"{_LINKS}/{bridge}/ifalias") == MARK


def restore() -> None:
    """Turn it off again, unless there still is a bridge."""
    if not any(os.path.isdir(f"{_LINKS}/{name}/bridge") for name in os.listdir(_LINKS)):
        _write(_SWITCH, "0")


def _mark(bridge: str) -> None:
    try:
        _write(f"{_LINKS}/{bridge}/ifalias", MARK)
    except OSError:
        pass  # /sys is of another network namespace than ours, so nobody would look here either


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8") as file:
            return file.read().strip()
    except OSError:
        return ""


def _write(path: str, text: str) -> None:
    with open(path, "w", encoding="ascii") as file:
        file.write(text)
