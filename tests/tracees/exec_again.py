"""Executes itself twice: one process, three programs. Each says who it is: pid, and the start time in /proc."""

import os
import sys

with open("/proc/self/stat") as file:
    start_time = file.read().rpartition(")")[2].split()[19]
print(os.getpid(), start_time, flush=True)
turn = int(sys.argv[1]) if len(sys.argv) > 1 else 0
if turn < 2:
    os.execv(sys.executable, [sys.executable, "-I", "-S", __file__, str(turn + 1)])
