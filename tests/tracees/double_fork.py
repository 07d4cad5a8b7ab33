"""A daemonising double fork under a subreaper, as containerd starts a shim."""

import ctypes
import os

PR_SET_CHILD_SUBREAPER = 36
ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
told, tell = os.pipe()
orphaned, orphan = os.pipe()
middle = os.fork()
if middle == 0:
    if os.fork() == 0:
        os.setsid()
        os.read(orphaned, 1)  # until its parent is dead and gone: whose child it is must not be a matter of time
        os.write(tell, b"%d" % os.getppid())
        os._exit(5)
    os._exit(0)
os.waitpid(middle, 0)
os.write(orphan, b"x")
os.read(told, 16)
_, status = os.waitpid(-1, 0)
os._exit(os.waitstatus_to_exitcode(status))
