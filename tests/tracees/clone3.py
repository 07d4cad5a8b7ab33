"""A child made by clone3, whose flags are in memory and not in a register."""

import ctypes
import os
import signal
import sys

sys.path.insert(0, os.path.dirname(__file__))
from kernel import syscall

clone_args = (ctypes.c_uint64 * 8)(0, 0, 0, 0, signal.SIGCHLD, 0, 0, 0)
pid = syscall("clone3", ctypes.byref(clone_args), 64)
if pid == 0:
    os._exit(7)
_, status = os.waitpid(pid, 0)
os._exit(os.waitstatus_to_exitcode(status))
