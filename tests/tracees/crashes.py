"""Dies of a wild pointer, in a child first and then itself."""

import ctypes
import os
import resource

resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
if os.fork() == 0:
    ctypes.string_at(0)
os.wait()
ctypes.string_at(0)
