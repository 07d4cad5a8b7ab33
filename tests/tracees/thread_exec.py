"""A thread that is not the leader executes a program: it becomes the leader, and its own tid is gone."""

import os
import signal
import threading


def execute() -> None:
    """Never returns."""
    os.execv("/bin/echo", ["echo", str(os.getpid()), str(threading.get_native_id())])


other = threading.Thread(target=signal.pause)
other.daemon = True
thread = threading.Thread(target=execute)
thread.start()
thread.join()
