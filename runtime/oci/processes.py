"""Starting a helper program and waiting for it, without subprocess (which costs 20 ms to import)."""

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence


def exit_status(wait_status: int) -> int:
    """A wait status as a shell shows it: 128+N for a death by signal N."""
    code = os.waitstatus_to_exitcode(wait_status)
    return code if code >= 0 else 128 - code


def run(argv: "Sequence[str]", env: "dict[str, str] | None" = None) -> int:
    """Run a program found in $PATH to its end; 127 when there is none."""
    try:
        pid = os.posix_spawnp(argv[0], list(argv), os.environ if env is None else env)
    except FileNotFoundError:
        return 127
    return exit_status(os.waitpid(pid, 0)[1])
