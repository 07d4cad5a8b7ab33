"""Threads that are killed in the middle of their calls, again and again: every ptrace request may fail."""

import os
import signal
import threading
import time

for _ in range(20):
    pid = os.fork()
    if pid == 0:
        for _ in range(4):
            threading.Thread(target=lambda: [os.getppid() for _ in range(1_000_000)], daemon=True).start()
        while True:
            os.getppid()
    time.sleep(0.01)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
