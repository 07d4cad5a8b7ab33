"""How the text of a flag becomes the value in the request: sizes, CPUs, ulimits, capabilities, mounts, environment.

Real counterparts: github.com/docker/go-units (sizes, ulimits) and docker CLI's opts/ package. Every refusal is a
ValueError in docker's own words; the flag parser puts the flag's name in front.
"""

from __future__ import annotations

import os
import re

from runtime.client.flags import INT64_MAX, INT64_MIN, decimal

_UNITS = {"b": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40, "p": 1 << 50}
_FLOAT = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?", re.ASCII | re.IGNORECASE)


def size_bytes(text: str) -> int:
    """Bytes from ``64m``, ``1.5g``, ``512kb`` or ``1GiB``: always powers of 1024 (go-units RAMInBytes)."""
    end = max(text.rfind(letter) for letter in "0123456789. ") + 1
    if end == 0:
        raise ValueError(f"invalid size: '{text}'")
    number, unit = text[:end].removesuffix(" "), text[end:].lower()
    if not _FLOAT.fullmatch(number):
        raise ValueError(f'strconv.ParseFloat: parsing "{number}": invalid syntax')
    if float(number) < 0:
        raise ValueError(f"invalid size: '{text}'")
    if unit and (unit[0] not in _UNITS or unit[1:] not in ({""} if unit[0] == "b" else {"", "b", "ib"})):
        raise ValueError(f"invalid suffix: '{unit}'")
    if float(number) == float("inf"):
        raise ValueError(f'strconv.ParseFloat: parsing "{number}": value out of range')
    size = float(number) * _UNITS[unit[:1] or "b"]
    # What is too big for an int64 is a negative number in Go on x86-64, which the daemon then refuses as too small.
    return int(size) if size < 2.0**63 else INT64_MIN


def swap_bytes(text: str) -> int:
    """A size, or -1 for unlimited swap."""
    return -1 if text == "-1" else size_bytes(text)


def nano_cpus(text: str) -> int:
    """Billionths of a CPU from ``0.5``: the API counts in whole numbers, so that no float crosses the wire."""
    sign = -1 if text.startswith("-") else 1
    whole, _, fraction = text.removeprefix("-").partition(".")
    if not (whole or fraction) or not (whole or "0").isdigit() or not (fraction or "0").isdigit():
        raise ValueError(f"failed to parse {text} as a rational number")
    if len(fraction.rstrip("0")) > 9:
        raise ValueError("value is too precise")
    nanos = sign * (int(whole or "0") * 10**9 + int(fraction.rstrip("0").ljust(9, "0")))
    return (nanos - INT64_MIN) % 2**64 + INT64_MIN  # Go keeps the lowest 64 bits


def ulimit(text: str) -> dict[str, object]:
    """``nofile=1024:2048`` is a soft and a hard limit; one number is both."""
    name, equals, limits = text.partition("=")
    soft, _, hard = limits.partition(":")
    if not equals or not name:
        raise ValueError(f"invalid ulimit argument: {text}")
    soft_limit, hard_limit = decimal(soft), decimal(hard or soft)
    if hard_limit != -1 and soft_limit > hard_limit:
        raise ValueError(f"ulimit soft limit must be less than or equal to hard limit: {soft_limit} > {hard_limit}")
    return {"Name": name, "Hard": hard_limit, "Soft": soft_limit}


def stream_name(text: str) -> str:
    """One of the three streams that ``-a`` may name."""
    if text.lower() not in {"stdin", "stdout", "stderr"}:
        raise ValueError("valid streams are STDIN, STDOUT and STDERR")
    return text.lower()


def extra_host(text: str) -> str:
    """``name:address`` or ``name=address``; the API wants the colon."""
    name, equals, address = text.partition("=")
    if not equals:
        name, _, address = text.partition(":")
    if not name or not address:
        raise ValueError(f'bad format for add-host: "{text}"')
    return f"{name}:{address.strip('[]')}"


def capability(text: str) -> str:
    """``net_admin`` and ``CAP_NET_ADMIN`` are one capability; the CLI sends the kernel's name."""
    name = text.upper()
    return name if name == "ALL" or name.startswith("CAP_") else f"CAP_{name}"


def environment(text: str) -> str:
    """``NAME=value`` as it is; a bare ``NAME`` is copied from the client's own environment, or dropped if unset there.

    An empty answer means: drop it.
    """
    name, equals, _ = text.partition("=")
    if not name:
        raise ValueError(f"invalid environment variable: {text}")
    if equals:
        return text
    return f"{name}={os.environ[name]}" if name in os.environ else ""


def lines_of(path: str) -> list[str]:
    """The useful lines of an --env-file or --label-file: no blank ones, no comments."""
    with open(path, encoding="utf-8") as file:
        lines = [line.strip("\r\n").lstrip() for line in file]
    return [line for line in lines if line and not line.startswith("#")]


def volume(text: str) -> str:
    """A ``-v`` with a relative source is made absolute here: the daemon has another working directory."""
    source, colon, rest = text.partition(":")
    return f"{os.path.abspath(source)}:{rest}" if colon and source.startswith(".") else text


def restart_policy(text: str) -> dict[str, object]:
    """``on-failure:3`` is a policy's name and how often it may try."""
    name, colon, count = text.partition(":")
    if colon and not (count.isdigit() and int(count[:20]) <= INT64_MAX):
        raise ValueError("maximum retry count must be an integer")
    return {"Name": name, "MaximumRetryCount": int(count or "0")}


def device(text: str) -> dict[str, object]:
    """``/dev/fuse``, ``/dev/sda:/dev/xvda`` or ``/dev/sda:/dev/xvda:r``."""
    parts = text.split(":")
    if not parts[0] or len(parts) > 3:
        raise ValueError(f"invalid device specification: {text}")
    inside, access = parts[0], "rwm"
    for part in parts[1:]:
        if part and set(part) <= set("rwm"):
            access = part
        else:
            inside = part
    return {"PathOnHost": parts[0], "PathInContainer": inside, "CgroupPermissions": access}


def uint16(text: str) -> int:
    """A weight or a port, as Go reads it; what the numbers mean is the daemon's to judge."""
    if not text.isdecimal() or not text.isascii():
        raise ValueError(f'strconv.ParseUint: parsing "{text}": invalid syntax')
    if int(text) > 0xFFFF:
        raise ValueError(f'strconv.ParseUint: parsing "{text}": value out of range')
    return int(text)


def device_weight(text: str) -> dict[str, object]:
    """``/dev/sda:300``."""
    path, share = _of_device(text)
    if not share.isdecimal() or not (share == "0" or 10 <= int(share) <= 1000):
        raise ValueError(f"invalid weight for device: {text}")
    return {"Path": path, "Weight": int(share)}


def device_bytes(text: str) -> dict[str, object]:
    """``/dev/sda:1mb``: bytes in a second."""
    path, rate = _of_device(text)
    try:
        return {"Path": path, "Rate": size_bytes(rate)}
    except ValueError:
        raise ValueError(
            f"invalid rate for device: {text}. The correct format is <device-path>:<number>[<unit>]. "
            "Number must be a positive integer. Unit is optional and can be kb, mb, or gb"
        ) from None


def device_operations(text: str) -> dict[str, object]:
    """``/dev/sda:100``: reads or writes in a second."""
    path, rate = _of_device(text)
    if not rate.isdecimal():
        raise ValueError(
            f"invalid rate for device: {text}. The correct format is <device-path>:<number>. "
            "Number must be a positive integer"
        )
    return {"Path": path, "Rate": int(rate)}


def _of_device(text: str) -> tuple[str, str]:
    path, colon, value = text.partition(":")
    if not colon:
        raise ValueError(f"bad format: {text}")
    if not path.startswith("/dev/"):
        raise ValueError(f"bad format for device path: {text}")
    return path, value


def device_rule(text: str) -> str:
    """``c 1:3 rwm``: what devices(5) of a cgroup takes."""
    if not re.fullmatch(r"[acb] ([0-9]+|\*):([0-9]+|\*) [rwm]{1,3}", text):
        raise ValueError(f"invalid device cgroup format '{text}'")
    return text
