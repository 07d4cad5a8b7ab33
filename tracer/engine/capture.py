"""Which memory of the tracee is read for which call, and which of its arguments are descriptors.

One line a call, in a notation small enough to read at a glance; argument numbers count from 0:

    path1          the NUL-terminated string that argument 1 points to
    argv1          the strings of the NULL-terminated array at argument 1, joined by NUL
    in2:24         24 bytes at argument 2, given to the kernel; in2:@3 takes the length from argument 3,
    in2:@3*8       and *8 multiplies it
    out1:16        16 bytes at argument 1, filled by the kernel: read only after success
    outlen1:2      as many bytes at argument 1 as the int that argument 2 points to says (getsockname)
    result1*12     as many items of 12 bytes at argument 1 as the call returned
    read1 write1   a transferred buffer: as many bytes as the call returned, bounded by the kind of file
    readv1 writev1 the same, gathered from the iovecs at argument 1, counted by argument 2
    recvmsg1 sendmsg1  a msghdr at argument 1: its bytes as "1", address as "1.name", control data as "1.control",
                   the lengths of its iovecs as "1.iov", its own numbers as "1.header"
    recvmmsg1 sendmmsg1  the same for each of several, as "1.0", "1.0.header", "1.1", ...; "1.0.length" bytes went
    iov1           the lengths of the iovecs at argument 1, as "1.iov"
    count2         how many strings the array at argument 2 has, as "2.count"
    dirents1       the names in the directory entries at argument 1, NUL between them
    before2:4      4 bytes at argument 2 as they were before the call, as "2.before"; beforemsg1: those of a msghdr
    beforesets sets  the fd_sets of select(2), before and after
    ioctl prctl seccomp fcntl fsconfig futex keyctl bpf   what the argument points to depends on the command

A call's input is read when it returns, like its output, in one go; except where the call destroys it (execve) or
where the entry itself is recorded. A call that is not listed is recorded with its raw arguments.
"""

_PATHS = """
    access acct chdir chmod chown chroot creat getxattr lchown listxattr llistxattr lstat mkdir mknod open
    readlink rmdir stat statfs swapoff swapon truncate umount2 unlink uselib utime utimes
    memfd_create mq_unlink mq_open fsopen delete_module
"""
"""Calls whose argument 0 is a path, and nothing else is read."""

_PATHS_AT = """
    openat mkdirat mknodat fchownat futimesat newfstatat unlinkat fchmodat fchmodat2 faccessat faccessat2
    utimensat name_to_handle_at statx open_tree fspick inotify_add_watch
"""
"""Calls whose argument 1 is a path, mostly relative to the descriptor in argument 0."""

CALLS = {
    # files
    "read": "read1", "pread64": "read1", "readv": "readv1 iov1", "preadv": "readv1 iov1", "preadv2": "readv1 iov1",
    "write": "write1", "pwrite64": "write1", "writev": "writev1 iov1", "pwritev": "writev1 iov1",
    "pwritev2": "writev1 iov1",
    "openat2": "path1 in2:@3", "rename": "path0 path1", "link": "path0 path1", "symlink": "path0 path1",
    "renameat": "path1 path3", "renameat2": "path1 path3", "linkat": "path1 path3", "symlinkat": "path0 path2",
    "readlink": "path0 result1*1", "readlinkat": "path1 result2*1", "getcwd": "result0*1",
    "setxattr": "path0 path1 in2:@3", "lsetxattr": "path0 path1 in2:@3", "fsetxattr": "path1 in2:@3",
    "removexattr": "path0 path1", "lremovexattr": "path0 path1", "fremovexattr": "path1",
    "sendfile": "before2:8 out2:8", "splice": "before1:8 before3:8", "copy_file_range": "before1:8 before3:8",
    "getxattr": "path0 path1 result2*1", "lgetxattr": "path0 path1 result2*1", "fgetxattr": "path1 result2*1",
    "listxattr": "path0 result1*1", "llistxattr": "path0 result1*1", "flistxattr": "result1*1",
    "pipe": "out0:8", "pipe2": "out0:8", "ioctl": "ioctl", "fcntl": "fcntl",
    "poll": "in0:@1*8", "ppoll": "in0:@1*8 in2:16 in3:8", "epoll_ctl": "in3:12",
    "epoll_wait": "result1*12", "epoll_pwait": "result1*12", "epoll_pwait2": "result1*12",
    "statfs": "path0 out1:120", "fstatfs": "out1:120", "getdents64": "dirents1",
    "stat": "path0 out1:144", "lstat": "path0 out1:144", "fstat": "out1:144", "newfstatat": "path1 out2:144",
    "statx": "path1 out4:256", "utimensat": "path1 in2:32", "name_to_handle_at": "path1 before2:4 in2:136 out3:4",
    "select": "beforesets sets before4:16 out4:16", "pselect6": "beforesets sets before4:16 out4:16",
    # programs, processes, signals, time
    "execve": "path0 argv1 count2", "execveat": "path1 argv2 count3", "clone3": "in0:@1",
    "wait4": "out1:4 out3:144", "waitid": "out2:128", "kill": "", "pidfd_send_signal": "in2:48",
    "rt_sigaction": "in1:32 out2:32", "rt_sigprocmask": "before1:8 out2:8", "sigaltstack": "in0:24 out1:24",
    "rt_sigpending": "out0:8", "rt_sigtimedwait": "in0:8 out1:128 in2:16",
    "rt_sigsuspend": "in0:8", "rt_sigreturn": "in0:8",
    "signalfd4": "in1:8", "signalfd": "in1:8", "timerfd_settime": "in2:32 out3:32", "timerfd_gettime": "out1:32",
    "timer_settime": "in2:32 out3:32",
    "setitimer": "in1:32 out2:32", "getitimer": "out1:32", "clock_getres": "out1:16", "gettimeofday": "out0:16",
    "sysinfo": "out0:112", "getrusage": "out1:144", "futex": "futex", "getcpu": "out0:4 out1:4",
    "nanosleep": "in0:16", "clock_nanosleep": "in2:16", "clock_gettime": "out1:16",
    "prctl": "prctl", "prlimit64": "in2:16 out3:16", "setrlimit": "in1:16", "getrlimit": "out1:16",
    "sched_setaffinity": "in2:@1", "sched_getaffinity": "result2*1", "sched_setscheduler": "in2:4",
    "sched_setattr": "in1:56", "sched_getattr": "out1:56", "sched_setparam": "in1:4",
    "sched_getparam": "out1:4", "getrandom": "result0*1", "uname": "out0:390",
    # sockets
    "bind": "in1:@2", "connect": "in1:@2", "accept": "before2:4 outlen1:2 out2:4",
    "accept4": "before2:4 outlen1:2 out2:4",
    "getsockname": "before2:4 outlen1:2 out2:4", "getpeername": "before2:4 outlen1:2 out2:4",
    "sendto": "write1 in4:@5", "recvfrom": "before5:4 read1 outlen4:5 out5:4",
    "sendmsg": "sendmsg1", "recvmsg": "beforemsg1 recvmsg1", "sendmmsg": "sendmmsg1",
    "recvmmsg": "recvmmsg1 before4:16", "socketpair": "out3:8",
    "setsockopt": "in3:@4", "getsockopt": "before4:4 outlen3:4 out4:4",
    # mounts
    "mount": "path0 path1 path2 path4", "pivot_root": "path0 path1", "move_mount": "path1 path3",
    "fsconfig": "fsconfig", "mount_setattr": "path1 in3:@4", "open_tree_attr": "path1 in3:@4",
    "quotactl": "path1",
    # identity, limits, confinement
    "sethostname": "in0:@1", "setdomainname": "in0:@1", "setgroups": "in1:@0*4", "getgroups": "result1*4",
    "getresuid": "out0:4 out1:4 out2:4", "getresgid": "out0:4 out1:4 out2:4",
    "capset": "in0:8 in1:24", "capget": "before0:8 out1:24", "seccomp": "seccomp", "bpf": "bpf",
    "keyctl": "keyctl", "add_key": "path0 path1 in2:@3", "request_key": "path0 path1 path2",
    "landlock_create_ruleset": "in0:@1", "landlock_add_rule": "in2:16",
    "init_module": "", "finit_module": "path1",
}  # fmt: skip

_FD_NAMES = """
    fd dfd dirfd sockfd fildes oldfd newfd epfd fd_in fd_out out_fd in_fd fdin fdout ufd olddfd newdfd olddirfd
    newdirfd from_dirfd to_dirfd fs_fd pidfd fanotify_fd mount_fd group_fd kernel_fd initrd_fd ruleset_fd
"""
"""Argument names that mean a descriptor. `poll`'s and `select`'s sets are memory, not arguments."""

STREAM_LIMIT = 262144
"""Captured of one transfer on a socket, pipe, FIFO or terminal: protocols are decoded from these, and lose their place
where bytes are missing. asyncio reads at most this much at once, and a unix socket's send buffer is smaller."""
FILE_READ_LIMIT = 256
"""Captured of one read of a regular file: enough to recognise it."""
FILE_WRITE_LIMIT = 4096
"""Captured of one write to a regular file: uid_map, cgroup limits and the like are whole."""
STRUCT_LIMIT = 65536
"""Captured of one structure whose length the tracee gives (a BPF program is at most 4096 * 8)."""


def notation(name: str, machine: str) -> str:
    """The line of a call in the table above; empty where nothing is read."""
    if name in CALLS:
        # A struct epoll_event is packed on x86_64 alone.
        return CALLS[name].replace("12", "16") if name.startswith("epoll") and machine != "x86_64" else CALLS[name]
    if name in _PATHS.split():
        return "path0"
    return "path1" if name in _PATHS_AT.split() else ""


def fd_arguments(arguments: tuple[tuple[str, str], ...]) -> tuple[int, ...]:
    """The places of a signature's arguments that are descriptors."""
    return tuple(place for place, (name, kind) in enumerate(arguments) if name in _FD_NAMES.split() and "*" not in kind)
