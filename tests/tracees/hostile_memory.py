"""Pointers that cannot be read: null, unmapped, beyond the address space, and a string that runs off its page."""

import ctypes
import mmap
import os
import sys

sys.path.insert(0, os.path.dirname(__file__))
from kernel import syscall

AT_FDCWD = -100 & 0xFFFFFFFFFFFFFFFF
syscall("openat", AT_FDCWD, 0, 0, 0)
syscall("openat", AT_FDCWD, 16, 0, 0)
syscall("openat", AT_FDCWD, 0xFFFFFFFFFFFFF000, 0, 0)
syscall("write", 1, 0x8000000000000000, 0xFFFFFFFFFFFFFFFF)
pages = mmap.mmap(-1, 2 * mmap.PAGESIZE)
address = ctypes.addressof(ctypes.c_char.from_buffer(pages))
libc = ctypes.CDLL(None)
libc.munmap(ctypes.c_void_p(address + mmap.PAGESIZE), ctypes.c_size_t(mmap.PAGESIZE))
last = address + mmap.PAGESIZE - 5
ctypes.memmove(last, b"/edge", 5)
syscall("openat", AT_FDCWD, last, 0, 0)
os._exit(0)
