"""The system calls that Python has no name for, under their kernel names and with their kernel argument order.

The only place that touches ctypes. Every function raises OSError with the kernel's errno and, where there is one, the
path; see the man page of the same name in section 2. Calls that `os` already has (mknod, kill, setgroups ...) are used
from there.

`clone` is made with PyDLL, which keeps the interpreter lock across the call: the child comes back as the only thread
of an interpreter that still owns its lock, which is what os.fork() arranges too.
"""

import ctypes
import os

_libc = ctypes.CDLL(None, use_errno=True)
_libc_with_gil = ctypes.PyDLL(None, use_errno=True)
_libc_with_gil.syscall.restype = ctypes.c_long
_libc.syscall.restype = ctypes.c_long

MACHINE = os.uname().machine
_NUMBERS = {
    "x86_64": {
        "clone": 56, "pivot_root": 155, "keyctl": 250, "seccomp": 317, "bpf": 321, "capget": 125, "capset": 126,
        "ioprio_set": 251, "sched_setattr": 314,
    },
    "aarch64": {
        "clone": 220, "pivot_root": 41, "keyctl": 219, "seccomp": 277, "bpf": 280, "capget": 90, "capset": 91,
        "ioprio_set": 30, "sched_setattr": 274,
    },
}  # fmt: skip
_GENERIC = {"open_tree": 428, "move_mount": 429, "close_range": 436, "openat2": 437, "mount_setattr": 442}
"""Calls newer than Linux 5.1 have one number on every architecture."""

CLONE_NEWTIME = 0x00000080
CLONE_PARENT = 0x00008000
CLONE_NEWNS = 0x00020000
CLONE_NEWCGROUP = 0x02000000
CLONE_NEWUTS = 0x04000000
CLONE_NEWIPC = 0x08000000
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000

MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_SYNCHRONOUS = 1, 2, 4, 8, 16
MS_REMOUNT, MS_MANDLOCK, MS_DIRSYNC, MS_NOSYMFOLLOW = 32, 64, 128, 256
MS_NOATIME, MS_NODIRATIME, MS_BIND, MS_MOVE, MS_REC = 1024, 2048, 4096, 8192, 16384
MS_UNBINDABLE, MS_PRIVATE, MS_SLAVE, MS_SHARED = 1 << 17, 1 << 18, 1 << 19, 1 << 20
MS_RELATIME, MS_I_VERSION, MS_STRICTATIME, MS_LAZYTIME = 1 << 21, 1 << 23, 1 << 24, 1 << 25
MNT_DETACH = 2

AT_RECURSIVE = 0x8000
AT_EMPTY_PATH = 0x1000
OPEN_TREE_CLONE, OPEN_TREE_CLOEXEC = 1, os.O_CLOEXEC
MOVE_MOUNT_F_EMPTY_PATH, MOVE_MOUNT_T_SYMLINKS = 0x04, 0x10
AT_FDCWD = -100
PROC_SUPER_MAGIC = 0x9FA0
MOUNT_ATTR_RDONLY = 1

RESOLVE_NO_XDEV, RESOLVE_NO_MAGICLINKS, RESOLVE_NO_SYMLINKS, RESOLVE_BENEATH, RESOLVE_IN_ROOT = 1, 2, 4, 8, 16

PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_SET_KEEPCAPS, PR_CAPBSET_READ, PR_CAPBSET_DROP = 1, 4, 8, 23, 24
PR_SET_CHILD_SUBREAPER, PR_SET_NO_NEW_PRIVS, PR_CAP_AMBIENT = 36, 38, 47
PR_CAP_AMBIENT_RAISE, PR_CAP_AMBIENT_CLEAR_ALL = 2, 4

SECCOMP_SET_MODE_FILTER, SECCOMP_GET_ACTION_AVAIL = 1, 2
KEYCTL_JOIN_SESSION_KEYRING = 1
AF_UNIX, SOCK_SEQPACKET, SOCK_CLOEXEC = 1, 5, 0o2000000


def _number(name: str) -> int:
    if name in _GENERIC:
        return _GENERIC[name]
    try:
        return _NUMBERS[MACHINE][name]
    except KeyError:
        raise OSError(38, f"{name}: no system call number known for {MACHINE}") from None


def _raise(path: str = "") -> None:
    errno = ctypes.get_errno()
    if path:
        raise OSError(errno, os.strerror(errno), path)
    raise OSError(errno, os.strerror(errno))


def _syscall(name: str, *arguments: object, path: str = "") -> int:
    result = int(_libc.syscall(ctypes.c_long(_number(name)), *arguments))
    if result < 0:
        _raise(path)
    return result


def _text(value: str) -> bytes | None:
    return os.fsencode(value) if value else None


def mount(source: str, target: str, filesystem_type: str, flags: int, data: str = "") -> None:
    if _libc.mount(_text(source), _text(target), _text(filesystem_type), ctypes.c_ulong(flags), _text(data)) < 0:
        _raise(target)


def umount2(target: str, flags: int) -> None:
    if _libc.umount2(_text(target), flags) < 0:
        _raise(target)


def pivot_root(new_root: str, put_old: str) -> None:
    _syscall("pivot_root", _text(new_root), _text(put_old), path=new_root)


def mount_setattr(dirfd: int, path: str, flags: int, attr_set: int, attr_clr: int) -> None:
    attributes = (ctypes.c_uint64 * 4)(attr_set, attr_clr, 0, 0)
    _syscall(
        "mount_setattr", dirfd, os.fsencode(path), flags, ctypes.byref(attributes), ctypes.sizeof(attributes), path=path
    )


def open_tree(dirfd: int, path: str, flags: int) -> int:
    return _syscall("open_tree", dirfd, os.fsencode(path), ctypes.c_uint(flags), path=path)


def move_mount(from_dirfd: int, from_path: str, to_dirfd: int, to_path: str, flags: int) -> None:
    _syscall(
        "move_mount",
        from_dirfd,
        os.fsencode(from_path),
        to_dirfd,
        os.fsencode(to_path),
        ctypes.c_uint(flags),
        path=to_path,
    )


def statfs_type(path: str) -> int:
    """f_type of statfs(2), the file system's magic number, which os.statvfs leaves out."""
    buffer = (ctypes.c_long * 64)()
    if _libc.statfs(os.fsencode(path), buffer) < 0:
        _raise(path)
    return int(buffer[0])


def openat2(dirfd: int, path: str, flags: int, mode: int = 0, resolve: int = 0) -> int:
    how = (ctypes.c_uint64 * 3)(flags | os.O_CLOEXEC, mode, resolve)
    return _syscall("openat2", dirfd, os.fsencode(path), ctypes.byref(how), ctypes.sizeof(how), path=path)


def close_range(first: int, last: int = 0xFFFFFFFF, flags: int = 0) -> None:
    _syscall("close_range", ctypes.c_uint(first), ctypes.c_uint(last), ctypes.c_uint(flags))


CLOSE_RANGE_CLOEXEC = 4


def unshare(flags: int) -> None:
    if _libc.unshare(ctypes.c_int(flags)) < 0:
        _raise()


def setns(fd: int, nstype: int) -> None:
    if _libc.setns(fd, ctypes.c_int(nstype)) < 0:
        _raise()


def clone(flags: int) -> int:
    """Fork with flags: 0 in the child, its pid in the parent."""
    ctypes.pythonapi.PyOS_BeforeFork()
    pid = int(_libc_with_gil.syscall(ctypes.c_long(_number("clone")), ctypes.c_ulong(flags), 0, 0, 0, 0))
    if pid == 0:
        ctypes.pythonapi.PyOS_AfterFork_Child()
    else:
        ctypes.pythonapi.PyOS_AfterFork_Parent()
        if pid < 0:
            _raise()
    return pid


def sethostname(name: str) -> None:
    encoded = os.fsencode(name)
    if _libc.sethostname(encoded, len(encoded)) < 0:
        _raise(name)


def setdomainname(name: str) -> None:
    encoded = os.fsencode(name)
    if _libc.setdomainname(encoded, len(encoded)) < 0:
        _raise(name)


def prctl(option: int, argument: int = 0, third: int = 0) -> int:
    result = int(_libc.prctl(option, *(ctypes.c_ulong(value) for value in (argument, third, 0, 0))))
    if result < 0:
        _raise()
    return result


def personality(persona: int) -> None:
    if _libc.personality(ctypes.c_ulong(persona)) < 0:
        _raise()


def sched_setattr(pid: int, attributes: bytes, flags: int) -> None:
    """Set policy, nice value and priority: attributes is a struct sched_attr."""
    _syscall("sched_setattr", pid, attributes, ctypes.c_uint(flags))


IOPRIO_WHO_PROCESS = 1


def ioprio_set(which: int, who: int, ioprio: int) -> None:
    _syscall("ioprio_set", which, who, ioprio)


_CAPABILITY_VERSION_3 = 0x20080522


def capset(effective: int, permitted: int, inheritable: int) -> None:
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    low = [mask & 0xFFFFFFFF for mask in (effective, permitted, inheritable)]
    high = [mask >> 32 for mask in (effective, permitted, inheritable)]
    _syscall("capset", ctypes.byref(header), ctypes.byref((ctypes.c_uint32 * 6)(*low, *high)))


def capget() -> tuple[int, int, int]:
    """The calling thread's effective, permitted and inheritable sets as bit masks."""
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    data = (ctypes.c_uint32 * 6)()
    _syscall("capget", ctypes.byref(header), ctypes.byref(data))
    return data[0] | data[3] << 32, data[1] | data[4] << 32, data[2] | data[5] << 32


def keyctl(operation: int, name: str) -> int:
    return _syscall("keyctl", operation, _text(name))


class _SockFprog(ctypes.Structure):
    _fields_ = (("len", ctypes.c_ushort), ("filter", ctypes.c_char_p))


def seccomp(operation: int, flags: int, program: bytes) -> int:
    """Load a filter: program is an array of struct sock_filter (8 bytes each)."""
    fprog = _SockFprog(len(program) // 8, program)
    return _syscall("seccomp", ctypes.c_uint(operation), ctypes.c_uint(flags), ctypes.byref(fprog))


def seccomp_action_available(action: int) -> bool:
    value = ctypes.c_uint32(action)
    try:
        _syscall("seccomp", ctypes.c_uint(SECCOMP_GET_ACTION_AVAIL), ctypes.c_uint(0), ctypes.byref(value))
    except OSError:
        return False
    return True


BPF_PROG_LOAD, BPF_PROG_ATTACH = 5, 8


def bpf(command: int, *attributes: int) -> int:
    """Call with the leading members of union bpf_attr given as 64-bit words."""
    attr = (ctypes.c_uint64 * 16)(*attributes)
    return _syscall("bpf", ctypes.c_int(command), ctypes.byref(attr), ctypes.c_uint(ctypes.sizeof(attr)))


def bpf_prog_load(prog_type: int, instructions: bytes, license: bytes = b"GPL") -> int:
    code, licence = ctypes.create_string_buffer(instructions), ctypes.create_string_buffer(license)
    words = (prog_type | (len(instructions) // 8) << 32, ctypes.addressof(code), ctypes.addressof(licence))
    return bpf(BPF_PROG_LOAD, *words)


def bpf_prog_attach(target_fd: int, program_fd: int, attach_type: int, flags: int) -> None:
    bpf(BPF_PROG_ATTACH, target_fd | program_fd << 32, attach_type | flags << 32)


def socketpair() -> tuple[int, int]:
    """A connected pair of packet sockets as plain fds (the socket module would cost 6 ms of start-up)."""
    pair = (ctypes.c_int * 2)()
    if _libc.socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ctypes.byref(pair)) < 0:
        _raise()
    return pair[0], pair[1]


AF_INET, SOCK_DGRAM = 2, 2


def socket(domain: int, type: int) -> int:
    fd = int(_libc.socket(domain, type | SOCK_CLOEXEC, 0))
    if fd < 0:
        _raise()
    return fd
