"""A pid that means two processes: inside a pid namespace, a child has the number that its grandmother has outside.

clone3(2) with set_tid chooses it. Its kill(2) of itself, seen by number alone, would be its grandmother's. Needs root.
"""

import ctypes
import os
import signal
import sys

sys.path.insert(0, os.path.dirname(__file__))
from kernel import syscall

CLONE_NEWPID = 0x20000000
outer = os.getpid()
assert syscall("unshare", CLONE_NEWPID) == 0
first = os.fork()
if first == 0:
    assert os.getpid() == 1
    chosen = (ctypes.c_int * 1)(outer)
    arguments = (0, 0, 0, 0, signal.SIGCHLD, 0, 0, 0, ctypes.addressof(chosen), 1)
    clone_args = (ctypes.c_uint64 * 10)(*arguments)
    child = syscall("clone3", ctypes.byref(clone_args), 80)
    if child == 0:
        os.kill(os.getpid(), signal.SIGTERM)
        os._exit(1)
    assert child == outer
    pid, status = os.waitpid(child, 0)
    os._exit(0 if (pid, os.WTERMSIG(status)) == (outer, signal.SIGTERM) else 2)
_, status = os.waitpid(first, 0)
os._exit(os.waitstatus_to_exitcode(status))
