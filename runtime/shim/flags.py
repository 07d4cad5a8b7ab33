"""The shim's command line: Go's flag package by hand, since argparse takes longer to import than `start` to run.

Real counterpart: containerd runtime/v2/shim/shim.go (parseFlags). One dash or two, `-flag value` or `-flag=value`, all
flags before the action.
"""

from typing import NamedTuple

VALUED = ("namespace", "id", "address", "publish-binary", "bundle", "socket")
SWITCHES = ("debug", "v", "version")


class FlagError(Exception):
    """The command line cannot be understood; the text says why."""


class Flags(NamedTuple):
    """A parsed command line."""

    action: str
    namespace: str
    id: str
    address: str
    bundle: str
    version: bool


def parse(args: list[str]) -> Flags:
    """Parse, or raise FlagError."""
    values = dict.fromkeys(VALUED, "")
    version = False
    rest = list(args)
    while rest and rest[0].startswith("-"):
        name, equals, value = rest.pop(0).lstrip("-").partition("=")
        if name in SWITCHES:
            version = version or name != "debug"
        elif name not in VALUED:
            raise FlagError(f"flag provided but not defined: -{name}")
        elif equals:
            values[name] = value
        elif rest:
            values[name] = rest.pop(0)
        else:
            raise FlagError(f"flag needs an argument: -{name}")
    action = rest[0] if rest else ""
    if not version:
        if action not in ("start", "delete"):
            raise FlagError(f"unknown action {action!r}" if action else "an action is missing")
        if len(rest) > 1:
            raise FlagError(f"unexpected argument {rest[1]!r} after the action")
        for name in ("namespace", "id"):
            if not values[name]:
                raise FlagError(f"shim {name} cannot be empty")
            if "/" in values[name] or values[name] in (".", ".."):
                raise FlagError(f"shim {name} {values[name]!r} must be a plain name")
        if action == "start" and not values["address"]:
            raise FlagError("shim address cannot be empty")
    return Flags(action, values["namespace"], values["id"], values["address"], values["bundle"], version)
