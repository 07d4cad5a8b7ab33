"""How each argument of the calls that matter is shown, one line a call and one word an argument.

fd dirfd          a descriptor with its file; AT_FDCWD
path text         a string; argv: several
out in            a buffer that the call filled, or was given (with the length in the next argument)
TABLE             bits of that table of `flags`; =TABLE one value of it
mode              octal; omitted where the call makes no file
num size hex ptr  plain numbers; `-` what the type says
a structure       by the name of its function in `structures`; `>name` only once the call has succeeded
"""

from tracer.decode import flags, requests, shown, structures
from tracer.decode.shown import Show

__all__ = ["SHAPES", "shower"]

SHAPES = {
    # files
    "read": "fd out size", "pread64": "fd out size num", "readv": "fd out num", "write": "fd in size",
    "pwrite64": "fd in size num", "writev": "fd in num", "open": "path open mode", "creat": "path mode",
    "openat": "dirfd path open mode", "openat2": "dirfd path open_how size", "close": "fd",
    "close_range": "num num CLOSE_RANGE", "lseek": "fd num =SEEK", "access": "path ACCESS",
    "faccessat": "dirfd path ACCESS", "faccessat2": "dirfd path ACCESS AT_ACCESS", "stat": "path ptr",
    "lstat": "path ptr",
    "newfstatat": "dirfd path ptr AT", "statx": "dirfd path AT STATX ptr", "fstat": "fd ptr", "mkdir": "path mode",
    "mkdirat": "dirfd path mode", "rmdir": "path", "unlink": "path", "unlinkat": "dirfd path AT",
    "mknod": "path filemode device", "mknodat": "dirfd path filemode device", "symlink": "path path",
    "symlinkat": "path dirfd path", "link": "path path", "linkat": "dirfd path dirfd path AT",
    "rename": "path path", "renameat": "dirfd path dirfd path", "renameat2": "dirfd path dirfd path RENAME",
    "readlink": "path out size", "readlinkat": "dirfd path out size",
    "chdir": "path", "fchdir": "fd",
    "getcwd": "path size", "chmod": "path mode", "fchmod": "fd mode", "fchmodat": "dirfd path mode",
    "chown": "path num num", "fchown": "fd num num", "lchown": "path num num", "fchownat": "dirfd path num num AT",
    "umask": "mode", "truncate": "path size", "ftruncate": "fd size", "flock": "fd FLOCK", "dup": "fd",
    "dup2": "fd num", "dup3": "fd num open_more", "pipe": ">integers", "pipe2": ">integers open_more",
    "fcntl": "fd =FCNTL fcntl", "ioctl": "fd =IOCTL ioctl", "getdents64": "fd ptr size",
    "sendfile": "fd fd ptr size", "memfd_create": "path MEMFD", "fsync": "fd", "statfs": "path ptr",
    "setxattr": "path text in size hex", "getxattr": "path text out size", "getrandom": "ptr size GETRANDOM",
    # mounts and roots
    "mount": "text text text MOUNT text", "umount2": "path UMOUNT", "pivot_root": "path path", "chroot": "path",
    "fsopen": "text FSOPEN", "fsconfig": "fd =FSCONFIG text text num", "fsmount": "fd FSMOUNT MOUNT_ATTRIBUTES",
    "open_tree": "dirfd path OPEN_TREE", "move_mount": "dirfd path dirfd path MOVE_MOUNT",
    "mount_setattr": "dirfd path AT mount_attr size",
    # processes, namespaces
    "execve": "path argv envp", "execveat": "dirfd path argv envp AT", "clone": "clone ptr ptr ptr hex",
    "clone3": "clone_args size", "unshare": "UNSHARE", "setns": "fd NAMESPACES", "exit": "num", "exit_group": "num",
    "wait4": "num >wait_status WAIT ptr", "waitid": "=WAITID num ptr WAIT ptr", "kill": "num =SIGNALS",
    "tgkill": "num num =SIGNALS", "pidfd_open": "num hex", "pidfd_send_signal": "fd =SIGNALS ptr hex",
    "rt_sigaction": "=SIGNALS sigaction ptr size", "rt_sigprocmask": "=SIGPROCMASK signal_set ptr size",
    "rt_sigsuspend": "signal_set size", "setpgid": "num num", "prctl": "=PRCTL prctl prctl prctl prctl",
    "arch_prctl": "=ARCH_PRCTL hex", "sched_getaffinity": "num size ptr", "setsid": "", "getpid": "",
    "set_tid_address": "ptr", "set_robust_list": "ptr size", "rseq": "ptr size hex hex",
    # identity, limits, confinement
    "setuid": "num", "setgid": "num", "setreuid": "num num", "setregid": "num num", "setresuid": "num num num",
    "setresgid": "num num num", "setgroups": "num integers", "getgroups": "num >integers",
    "sethostname": "in size", "setdomainname": "in size", "capset": "capability_header capability_data",
    "capget": "capability_header >capability_data", "seccomp": "=SECCOMP SECCOMP_FLAGS filter",
    "prlimit64": "num =RLIMITS rlimit >rlimit", "setrlimit": "=RLIMITS rlimit", "getrlimit": "=RLIMITS >rlimit",
    "bpf": "=BPF ptr size", "keyctl": "=KEYCTL hex hex hex hex",
    # memory, time, waiting
    "mmap": "ptr size PROTECTION MMAP mapped hex", "mprotect": "ptr size PROTECTION", "munmap": "ptr size",
    "brk": "ptr", "madvise": "ptr size =MADVISE", "futex": "ptr futex num ptr ptr hex", "nanosleep": "timespec ptr",
    "clock_nanosleep": "=CLOCKS hex timespec ptr", "clock_gettime": "=CLOCKS >timespec",
    "epoll_create1": "EPOLL_CREATE", "epoll_ctl": "fd =EPOLL_OPERATIONS fd epoll_events",
    "epoll_wait": "fd >epoll_events num num", "epoll_pwait": "fd >epoll_events num num signal_set size",
    "poll": "poll_fds num num", "ppoll": "poll_fds num timespec ptr size", "eventfd2": "num EVENTFD",
    "signalfd4": "num signal_set size SIGNALFD", "timerfd_create": "=CLOCKS TIMERFD", "inotify_init1": "INOTIFY",
    # sockets
    "socket": "=ADDRESS_FAMILIES socktype protocol", "socketpair": "=ADDRESS_FAMILIES socktype protocol >integers",
    "bind": "fd sockaddr num", "connect": "fd sockaddr num", "listen": "fd num", "accept": "fd >sockaddr ptr",
    "accept4": "fd >sockaddr ptr SOCKET_FLAGS", "getsockname": "fd >sockaddr ptr", "getpeername": "fd >sockaddr ptr",
    "sendto": "fd in size MESSAGES sockaddr num", "recvfrom": "fd out size MESSAGES >sockaddr ptr",
    "sendmsg": "fd message MESSAGES", "recvmsg": "fd message MESSAGES", "shutdown": "fd =SHUTDOWN",
    "setsockopt": "fd =SOCKET_LEVELS =SOCKET_OPTIONS in size",
    "getsockopt": "fd =SOCKET_LEVELS =SOCKET_OPTIONS ptr ptr",
}  # fmt: skip


_WORDS: dict[str, Show] = {
    "fd": shown.fd, "dirfd": shown.dirfd, "path": shown.path, "text": shown.path, "argv": shown.argv,
    "envp": shown.environment, "out": shown.output, "in": shown.given, "open": shown.opening,
    "open_more": shown.open_more, "mode": shown.mode, "filemode": shown.file_mode, "device": shown.device,
    "num": shown.number, "size": shown.unsigned, "hex": shown.hexadecimal, "ptr": shown.pointer,
    "clone": shown.clone_flags, "socktype": shown.socket_type, "protocol": shown.socket_protocol,
    "message": shown.message_header, "sigaction": shown.signal_action, "filter": shown.bpf_filter,
    "mapped": shown.mapped, "futex": shown.futex_operation, "poll_fds": shown.poll_fds,
    "prctl": requests.prctl_argument, "fcntl": requests.fcntl_argument, "ioctl": requests.ioctl_argument,
}  # fmt: skip


def shower(word: str, kind: str, name: str) -> Show:
    """The function for a word; for no word the one that the type suggests."""
    if word in ("", "-"):
        return _by_type(kind, name)
    if word in _WORDS:
        return _WORDS[word]
    if word.startswith("="):
        return shown.value_of(getattr(flags, word[1:]))
    if word.isupper():
        return shown.bits_of(getattr(flags, word))
    return shown.structure(getattr(structures, word.removeprefix(">")), late=word.startswith(">"))


def _by_type(kind: str, name: str) -> Show:
    if name in _DESCRIPTORS:
        return shown.dirfd if name.endswith(("dfd", "dirfd")) else shown.fd
    if kind in ("const char *", "char *") and ("name" in name or "path" in name):
        return shown.path
    if "*" in kind or kind == "unsigned long":
        return shown.pointer
    if kind in ("int", "long", "pid_t", "loff_t", "off_t"):
        return shown.number
    return shown.unsigned


_DESCRIPTORS = frozenset(
    (
        "fd",
        "sockfd",
        "fildes",
        "oldfd",
        "epfd",
        "pidfd",
        "fd_in",
        "fd_out",
        "in_fd",
        "out_fd",
        "dfd",
        "dirfd",
        "olddfd",
        "newdfd",
        "olddirfd",
        "newdirfd",
    )
)
