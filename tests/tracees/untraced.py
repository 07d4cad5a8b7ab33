"""A child made with CLONE_UNTRACED, which the kernel shows to no tracer."""

import ctypes
import os
import signal
import sys

sys.path.insert(0, os.path.dirname(__file__))
from kernel import syscall

CLONE_UNTRACED = 0x800000
clone_args = (ctypes.c_uint64 * 8)(CLONE_UNTRACED, 0, 0, 0, signal.SIGCHLD, 0, 0, 0)
child = syscall("clone3", ctypes.byref(clone_args), 64)
if child == 0:
    os._exit(6)
pid, status = os.waitpid(child, 0)
os._exit(os.waitstatus_to_exitcode(status))
