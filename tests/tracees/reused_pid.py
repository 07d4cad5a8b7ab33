"""Two processes that had the same pid, one after the other: only the start time tells them apart. Needs root."""

import ctypes
import os
import signal
import sys
import time

sys.path.insert(0, os.path.dirname(__file__))
from kernel import syscall

first = os.fork()
if first == 0:
    os.read(os.open("/dev/zero", os.O_RDONLY), 1)
    os._exit(3)
os.waitpid(first, 0)
time.sleep(0.05)  # the clock of start times ticks every 10 ms
chosen = (ctypes.c_int * 1)(first)
arguments = (0, 0, 0, 0, signal.SIGCHLD, 0, 0, 0, ctypes.addressof(chosen), 1)
clone_args = (ctypes.c_uint64 * 10)(*arguments)
second = syscall("clone3", ctypes.byref(clone_args), 80)
if second == 0:
    os.read(os.open("/dev/null", os.O_RDONLY), 1)
    os._exit(4)
assert second == first, second
os.waitpid(second, 0)
