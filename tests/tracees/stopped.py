"""Stops itself as Ctrl-Z would, and is continued by its child."""

import os
import signal
import time

parent = os.getpid()
if os.fork() == 0:
    while True:
        with open(f"/proc/{parent}/stat") as file:
            if file.read().rpartition(")")[2].split()[0] in "Tt":
                break
        time.sleep(0.005)
    os.kill(parent, signal.SIGCONT)
    os._exit(0)
os.kill(parent, signal.SIGSTOP)
os.wait()
