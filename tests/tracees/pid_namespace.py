"""A child in a new pid namespace, whose inner pids (1, 2) are other processes outside. Needs root."""

import os
import sys

sys.path.insert(0, os.path.dirname(__file__))
from kernel import syscall

CLONE_NEWPID = 0x20000000
if syscall("unshare", CLONE_NEWPID) < 0:
    os._exit(77)
pid = os.fork()
if pid == 0:
    assert os.getpid() == 1
    grandchild = os.fork()
    if grandchild == 0:
        os.execv("/bin/true", ["true"])
    assert grandchild == 2
    os.waitpid(grandchild, 0)
    os._exit(0)
_, status = os.waitpid(pid, 0)
os._exit(os.waitstatus_to_exitcode(status))
