"""A process with three pids: in a pid namespace that is in a pid namespace. Needs root."""

import os
import sys

sys.path.insert(0, os.path.dirname(__file__))
from kernel import syscall

CLONE_NEWPID = 0x20000000


def descend(depth: int) -> int:
    """One namespace deeper; the exit code of the deepest."""
    if depth == 0:
        os.execv("/bin/true", ["true"])
    assert syscall("unshare", CLONE_NEWPID) == 0
    if os.fork() == 0:
        os._exit(descend(depth - 1))
    return os.waitstatus_to_exitcode(os.wait()[1])


os._exit(descend(2))
