"""Installs a seccomp filter of its own, as a container does, that denies uname(2); then it and a child try it."""

import ctypes
import errno
import os
import struct

PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 38, 22, 2
RET_ALLOW, RET_ERRNO = 0x7FFF0000, 0x00050000
uname = {"x86_64": 63, "aarch64": 160}[os.uname().machine]
# load the call's number; if it is uname: errno EPERM; else: allow
lines = [(0x20, 0, 0, 0), (0x15, 0, 1, uname), (0x06, 0, 0, RET_ERRNO | errno.EPERM), (0x06, 0, 0, RET_ALLOW)]
program = b"".join(struct.pack("<HBBI", *line) for line in lines)
buffer = ctypes.create_string_buffer(program, len(program))
head = ctypes.create_string_buffer(struct.pack("<H6xQ", len(lines), ctypes.addressof(buffer)), 16)


def refused():
    """Whether uname(2) fails with EPERM."""
    try:
        os.uname()
    except PermissionError:
        return True
    return False


assert not refused()
libc = ctypes.CDLL(None)
assert libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
assert libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, head) == 0
assert refused()
if os.fork() == 0:
    os._exit(0 if refused() else 1)
_, status = os.wait()
os._exit(os.waitstatus_to_exitcode(status))
