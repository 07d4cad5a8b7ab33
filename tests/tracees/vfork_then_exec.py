"""posix_spawn: the child borrows its parent's memory, and the parent waits in vfork until the child has executed.

A tracer that keeps the parent's memory open for the child reads the wrong strings afterwards.
"""

import os

pid = os.posix_spawn("/bin/cat", ["cat", "/dev/null"], {})
_, status = os.waitpid(pid, 0)
os._exit(os.waitstatus_to_exitcode(status))
