"""The plain case: fork, exec in the child, wait in the parent."""

import os

pid = os.fork()
if pid == 0:
    os.execv("/bin/true", ["true", "of", "the", "child"])
_, status = os.waitpid(pid, 0)
os._exit(os.waitstatus_to_exitcode(status))
