"""containerd-shim-glassbottom-v1: keeps one container, its streams and its exit status, so that containerd may restart.

Real counterpart: containerd-shim-runc-v2; containerd runtime/v2/README.md is its specification.

    containerd-shim-glassbottom-v1 -namespace NS -address SOCK -publish-binary BIN -id ID start
    containerd-shim-glassbottom-v1 -namespace NS -address SOCK -publish-binary BIN -id ID -bundle DIR delete

Three roles share the program: `start` prints an address and leaves a serving process, which is a fork of it, and
`delete` cleans up after that one.
"""

import os
import sys
from typing import NoReturn

from runtime.shim.flags import FlagError, parse

USAGE = "usage: containerd-shim-glassbottom-v1 -namespace NS -address SOCKET -id ID [-bundle DIR] [-debug] start|delete"

VERSION = "containerd-shim-glassbottom-v1:\n  Version:  0.1.0\n  Protocol: containerd.task.v2.Task over ttrpc\n"


def main() -> NoReturn:
    """Run the role that the command line names, and leave at once.

    containerd waits for the end of each of the three. os._exit spares it the milliseconds in which Python would take
    its modules apart, which the end of the process does anyway.
    """
    status = run(sys.argv[1:])
    sys.stdout.flush()
    os._exit(status)


def run(args: list[str]) -> int:
    """Return the exit status."""
    try:
        flags = parse(args)
    except FlagError as reason:
        sys.stderr.write(f"containerd-shim-glassbottom-v1: {reason}\n{USAGE}\n")
        return 2
    if flags.version:
        sys.stdout.write(VERSION)
        return 0
    try:
        if flags.action == "start":
            from runtime.shim.start import start

            return start(flags.namespace, flags.id, flags.address)
        from runtime.shim.delete import delete

        return delete(flags.namespace, flags.id, flags.address, flags.bundle or os.getcwd())
    except OSError as reason:
        what = f"{reason.filename}: " if reason.filename else ""
        sys.stderr.write(f"containerd-shim-glassbottom-v1: {flags.action}: {what}{(reason.strerror or '').lower()}\n")
        return 1


if __name__ == "__main__":
    main()
