"""CLONE_PARENT, as runc's nsexec uses it: the child's parent is its maker's parent."""

import ctypes
import os
import sys

sys.path.insert(0, os.path.dirname(__file__))
from kernel import syscall

CLONE_PARENT = 0x8000
middle = os.fork()
if middle == 0:
    clone_args = (ctypes.c_uint64 * 8)(CLONE_PARENT, 0, 0, 0, 0, 0, 0, 0)  # the exit signal is the parent's
    if syscall("clone3", ctypes.byref(clone_args), 64) == 0:
        os._exit(4)
    os._exit(0)
codes = {}
for _ in range(2):
    pid, status = os.wait()
    codes[pid == middle] = os.waitstatus_to_exitcode(status)
os._exit(0 if codes == {True: 0, False: 4} else 1)
