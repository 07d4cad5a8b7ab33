"""The first thread ends with exit(2) while another goes on: the process lives without its leader."""

import os
import sys
import threading
import time

sys.path.insert(0, os.path.dirname(__file__))
from kernel import syscall


def outlive() -> None:
    """Wait until the leader is a zombie, then speak, then end the process."""
    while True:
        with open(f"/proc/self/task/{os.getpid()}/stat") as file:
            if file.read().rpartition(")")[2].split()[0] == "Z":
                break
        time.sleep(0.001)
    os.write(1, b"still here\n")
    os._exit(3)


threading.Thread(target=outlive).start()
syscall("exit", 0)
