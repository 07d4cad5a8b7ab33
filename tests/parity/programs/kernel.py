"""Calls that Python has no function for, by number; a failing call returns -errno."""

import ctypes
import os

_libc = ctypes.CDLL(None, use_errno=True)
_NUMBERS = {
    "x86_64": {
        "sigaltstack": 131, "capget": 125, "capset": 126, "pivot_root": 155, "futex": 202, "waitid": 247, "keyctl": 250,
        "renameat2": 316, "seccomp": 317, "bpf": 321, "statx": 332, "rt_sigaction": 13, "rt_sigprocmask": 14,
        "sendmmsg": 307, "recvmmsg": 299, "set_robust_list": 273, "timer_create": 222, "utimensat": 280,
        "listxattr": 194, "llistxattr": 195, "flistxattr": 196,
        "sched_setparam": 142, "sched_getparam": 143, "ioprio_set": 251, "ioprio_get": 252,
        "sched_setattr": 314, "sched_getattr": 315,
        "getcpu": 309, "rt_sigpending": 127, "rt_sigtimedwait": 128, "name_to_handle_at": 303, "quotactl": 179,
    },
    "aarch64": {
        "sigaltstack": 132, "capget": 90, "capset": 91, "pivot_root": 41, "futex": 98, "waitid": 95, "keyctl": 219,
        "renameat2": 276, "seccomp": 277, "bpf": 280, "statx": 291, "rt_sigaction": 134, "rt_sigprocmask": 135,
        "sendmmsg": 269, "recvmmsg": 243, "set_robust_list": 99, "timer_create": 107, "utimensat": 88,
        "listxattr": 11, "llistxattr": 12, "flistxattr": 13,
        "sched_setparam": 118, "sched_getparam": 121, "ioprio_set": 30, "ioprio_get": 31,
        "sched_setattr": 274, "sched_getattr": 275,
        "getcpu": 168, "rt_sigpending": 136, "rt_sigtimedwait": 137, "name_to_handle_at": 264, "quotactl": 60,
    },
}[os.uname().machine] | {
    "pidfd_send_signal": 424, "open_tree": 428, "move_mount": 429, "fsopen": 430, "fsconfig": 431, "fsmount": 432,
    "clone3": 435, "close_range": 436, "openat2": 437, "pidfd_getfd": 438, "faccessat2": 439, "mount_setattr": 442,
    "landlock_create_ruleset": 444,
}  # fmt: skip


def syscall(name, *arguments):
    """Make the call; bytes and ctypes objects are passed by address."""
    function = _libc.syscall
    function.restype = ctypes.c_long
    passed = [ctypes.c_void_p(one) if isinstance(one, int) or one is None else one for one in arguments]
    result = function(ctypes.c_long(_NUMBERS[name]), *passed)
    return -ctypes.get_errno() if result == -1 else result


def prctl(*arguments):
    """prctl(2), all five arguments."""
    padded = [*arguments, 0, 0, 0, 0][:5]
    return _libc.prctl(*[ctypes.c_ulong(one) if isinstance(one, int) else one for one in padded])


def libc(name, *arguments):
    """A function of the C library."""
    return getattr(_libc, name)(*arguments)
