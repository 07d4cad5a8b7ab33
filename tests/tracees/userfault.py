"""Memory that stays empty until its owner fills it: a page of userfaultfd(2), given to calls that have not looked yet.

Whoever reads it meanwhile waits for a thread of this very process. strace -f does, and hangs, for it has stopped that
thread. Needs root, or vm.unprivileged_userfaultfd.
"""

import ctypes
import fcntl
import mmap
import os
import struct
import sys
import threading

sys.path.insert(0, os.path.dirname(__file__))
from kernel import syscall

UFFDIO_API, UFFDIO_REGISTER, UFFDIO_COPY = 0xC018AA3F, 0xC020AA00, 0xC028AA03
userfaultfd = syscall("userfaultfd", os.O_CLOEXEC)
fcntl.ioctl(userfaultfd, UFFDIO_API, bytearray(struct.pack("<QQQ", 0xAA, 0, 0)))
page = mmap.mmap(-1, mmap.PAGESIZE)
address = ctypes.addressof(ctypes.c_char.from_buffer(page))
fcntl.ioctl(userfaultfd, UFFDIO_REGISTER, bytearray(struct.pack("<QQQQ", address, mmap.PAGESIZE, 1, 0)))


def fill() -> None:
    """Wait until somebody touches the page, and put the program's name there."""
    os.read(userfaultfd, 32)
    content = ctypes.create_string_buffer(b"/bin/true", mmap.PAGESIZE)
    copy = struct.pack("<QQQQq", address, ctypes.addressof(content), mmap.PAGESIZE, 0, 0)
    fcntl.ioctl(userfaultfd, UFFDIO_COPY, bytearray(copy))


threading.Thread(target=fill, daemon=True).start()
syscall("write", -1 & 0xFFFFFFFF, address, 10)
ctypes.CDLL(None).execve(ctypes.c_void_p(address), (ctypes.c_char_p * 2)(b"true", None), None)
