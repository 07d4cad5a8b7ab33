"""What the verbs share of their command line: --help, the number of positionals, and which verb failed."""

import os
import sys

from runtime.oci.errors import OCIError, UsageError
from runtime.oci.flags import Arguments, Flag, parse, usage

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

HELP = Flag("--help -h", "", "this text")


def verb(
    name: str, about: str, flags: "tuple[Flag, ...]", positionals: str
) -> "Callable[[Callable[[str, Arguments], int]], Callable[[str, list[str]], int]]":
    """Make `main(root, words)` out of a function that takes parsed arguments.

    `positionals` is what --help shows: "A B" wants exactly two, "A [B]" one or two, "A [B...]" one or more.
    """
    words = positionals.split()
    least = sum(not word.startswith("[") for word in words)
    most = None if positionals.endswith("...]") else len(words)

    def wrap(function: "Callable[[str, Arguments], int]") -> "Callable[[str, list[str]], int]":
        def main(root: str, command_line: list[str]) -> int:
            found = parse((*flags, HELP), command_line)
            if "help" in found.switches:
                sys.stdout.write(usage(f"glassbottom-oci {name} [flags] {positionals}", about, (*flags, HELP)))
                return 0
            if len(found.positionals) < least or (most is not None and len(found.positionals) > most):
                raise UsageError(f'"{name}" wants {positionals or "no arguments"} (see {name} --help)')
            try:
                return function(root, found)
            except (OCIError, OSError) as error:
                error.verb = name  # type: ignore[union-attr]
                raise

        return main

    return wrap


def preserve_fds(text: str) -> int:
    """--preserve-fds N, and the sockets that systemd's LISTEN_FDS announces."""
    if text and not text.isdigit():
        raise UsageError(f'--preserve-fds: "{text}" is not a number')
    listen_fds = os.environ.get("LISTEN_FDS", "0")
    return int(text or 0) + (int(listen_fds) if listen_fds.isdigit() else 0)
