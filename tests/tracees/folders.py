"""A working directory is inherited, then one's own; a child made with CLONE_FS moves its parent's as well."""

import ctypes
import os
import signal
import sys

sys.path.insert(0, os.path.dirname(__file__))
from kernel import syscall

CLONE_FS = 0x200


def look(name: str) -> None:
    """Open a file by a path that is relative to the working directory."""
    try:
        os.open(name, os.O_RDONLY)
    except FileNotFoundError:
        pass


os.chdir("/usr")
look("parent-first")
if os.fork() == 0:
    look("child-first")
    os.chdir("/etc")
    look("child-then")
    os._exit(0)
os.wait()
look("parent-then")
clone_args = (ctypes.c_uint64 * 8)(CLONE_FS, 0, 0, 0, signal.SIGCHLD, 0, 0, 0)
if syscall("clone3", ctypes.byref(clone_args), 64) == 0:
    os.chdir("/dev")
    os._exit(0)
os.wait()
look("parent-last")
