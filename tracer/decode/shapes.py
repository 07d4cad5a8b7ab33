"""How each argument of the calls that matter is shown, one line a call and one word an argument.

fd dirfd          a descriptor with its file; AT_FDCWD
path text         a string; argv: several; late: one that the call wrote
out in            a buffer that the call filled, or was given (with the length in the next argument)
TABLE             bits of that table of `flags`; =TABLE one value of it
mode              octal; omitted where the call makes no file
num size hex ptr  plain numbers; no: not looked at; `-` what the type says
a structure       by the name of its function in `structures`; `>name` only once the call has succeeded
label:word        that word, with a name before it, as strace writes the arguments of clone
"""

from collections.abc import Callable

from tracer.decode import (
    bpf,
    flags,
    flags_requests,
    requests,
    shown,
    shown_messages,
    shown_process,
    shown_requests,
    structures,
    structures_files,
)
from tracer.decode.shown import Show

__all__ = ["ORDER", "SHAPES", "shower"]

SHAPES = {
    # files
    "read": "fd out size", "pread64": "fd out size offset", "readv": "fd vector num",
    "preadv": "fd vector num offset no",
    "preadv2": "fd vector num offset no hex", "write": "fd in size", "pwrite64": "fd in size offset",
    "writev": "fd vector num", "pwritev": "fd vector num offset no", "pwritev2": "fd vector num offset no hex",
    "open": "path open mode", "creat": "path mode", "openat": "dirfd path open mode",
    "openat2": "dirfd path open_how size", "close": "fd", "close_range": "short short CLOSE_RANGE",
    "lseek": "fd offset =SEEK", "access": "path F_OK|ACCESS", "faccessat": "dirfd path F_OK|ACCESS",
    "faccessat2": "dirfd path F_OK|ACCESS AT_ACCESS", "stat": "path stat", "lstat": "path stat",
    "newfstatat": "dirfd path stat AT", "statx": "dirfd path statx_flags statx_mask >statx", "fstat": "fd stat",
    "mkdir": "path mode", "mkdirat": "dirfd path mode", "rmdir": "path", "unlink": "path",
    "unlinkat": "dirfd path AT_REMOVE", "mknod": "path filemode device", "mknodat": "dirfd path filemode device",
    "symlink": "path path", "symlinkat": "path dirfd path", "link": "path path",
    "linkat": "dirfd path dirfd path AT", "rename": "path path", "renameat": "dirfd path dirfd path",
    "renameat2": "dirfd path dirfd path RENAME", "readlink": "path out size", "readlinkat": "dirfd path out size",
    "chdir": "path", "fchdir": "fd", "getcwd": "late size", "chmod": "path mode", "fchmod": "fd mode",
    "fchmodat": "dirfd path mode", "fchmodat2": "dirfd path mode AT", "chown": "path owner owner",
    "fchown": "fd owner owner", "lchown": "path owner owner", "fchownat": "dirfd path owner owner AT", "umask": "mode",
    "truncate": "path offset", "ftruncate": "fd offset", "flock": "fd FLOCK", "dup": "fd", "dup2": "fd fd",
    "dup3": "fd fd open_more", "pipe": "descriptors", "pipe2": "descriptors open_more", "fcntl": "fd =FCNTL fcntl",
    "ioctl": "fd =IOCTL ioctl", "getdents64": "fd entries size", "sendfile": "fd fd moved size",
    "copy_file_range": "fd moved fd moved size hex", "splice": "fd moved fd moved size SPLICE",
    "tee": "fd fd size SPLICE", "memfd_create": "path MEMFD",
    "fsync": "fd", "fdatasync": "fd", "syncfs": "fd", "statfs": "path >statfs",
    "fstatfs": "fd >statfs", "utimensat": "dirfd path time_stamps AT", "fallocate": "fd FALLOCATE offset offset",
    "fadvise64": "fd offset size =FADVISE", "inotify_add_watch": "fd path INOTIFY_MASK", "inotify_rm_watch": "fd num",
    "setxattr": "path text in size XATTR", "lsetxattr": "path text in size XATTR", "fsetxattr": "fd text in size XATTR",
    "getxattr": "path text out size", "lgetxattr": "path text out size", "fgetxattr": "fd text out size",
    "removexattr": "path text", "lremovexattr": "path text", "fremovexattr": "fd text", "listxattr": "path names size",
    "llistxattr": "path names size", "flistxattr": "fd names size",
    "name_to_handle_at": "dirfd path file_handle >integers AT_HANDLE",
    "getrandom": "random size GETRANDOM", "quotactl": "quota_command path quota_id ptr", "sync": "",
    # mounts and roots
    "mount": "text text mount_type MOUNT mount_data", "umount2": "path UMOUNT", "pivot_root": "path path",
    "chroot": "path", "fsopen": "text FSOPEN", "fsconfig": "fd =FSCONFIG text text num",
    "fsmount": "fd FSMOUNT MOUNT_ATTRIBUTES", "fspick": "dirfd path hex", "open_tree": "dirfd path OPEN_TREE",
    "move_mount": "dirfd path dirfd path MOVE_MOUNT", "mount_setattr": "dirfd path AT mount_attr size",
    # processes, namespaces
    "execve": "path argv envp", "execveat": "dirfd path argv envp AT",
    "clone": "flags:clone child_stack:ptr parent_tid:clone_parent", "clone3": "clone3 size", "unshare": "UNSHARE",
    "setns": "fd NAMESPACES", "exit": "num", "exit_group": "num", "wait4": "num wait_status WAIT usage",
    "waitid": "=WAITID num siginfo WAIT usage", "kill": "num signal", "tkill": "num signal",
    "tgkill": "num num signal", "pidfd_open": "num hex", "pidfd_send_signal": "fd signal siginfo hex",
    "pidfd_getfd": "fd num hex", "rt_sigaction": "signal signal_action >signal_action size",
    "rt_sigprocmask": "=SIGPROCMASK new_mask >signal_set size", "rt_sigsuspend": "signal_set size",
    "rt_sigpending": ">signal_set size", "rt_sigtimedwait": "signal_set siginfo timespec size",
    "sigaltstack": "signal_stack >signal_stack",
    "setpgid": "num num", "getpgid": "num", "getsid": "num", "prctl": "=PRCTL prctl prctl prctl prctl",
    "arch_prctl": "=ARCH_PRCTL hex", "sched_getaffinity": "num size cpus", "sched_setaffinity": "num size cpus",
    "sched_getscheduler": "num", "sched_setscheduler": "num =SCHEDULERS integers",
    "sched_setparam": "num integers", "sched_getparam": "num >integers", "sched_setattr": "num scheduling num",
    "sched_getattr": "num scheduling num num", "ioprio_get": "=IO_WHO num", "ioprio_set": "=IO_WHO num io_priority",
    "getcpu": ">integers >integers ptr", "getpriority": "=PRIORITIES num",
    "setpriority": "=PRIORITIES num num", "setsid": "", "getpid": "", "set_tid_address": "ptr",
    "set_robust_list": "ptr size", "rseq": "ptr hex short_hex hex", "personality": "personality",
    # identity, limits, confinement
    "setuid": "owner", "setgid": "owner", "setreuid": "owner owner", "setregid": "owner owner",
    "setresuid": "owner owner owner", "setresgid": "owner owner owner", "getresuid": ">integers >integers >integers",
    "getresgid": ">integers >integers >integers", "setgroups": "num groups", "getgroups": "num >groups",
    "setfsuid": "owner", "setfsgid": "owner", "sethostname": "in size", "setdomainname": "in size",
    "capset": "capability_header capability_data", "capget": "asked_version >capability_data",
    "seccomp": "=SECCOMP seccomp_flags seccomp", "prlimit64": "num =RLIMITS rlimit >rlimit",
    "setrlimit": "=RLIMITS rlimit", "getrlimit": "=RLIMITS >rlimit", "getrusage": "=USAGE >usage",
    "bpf": "=BPF bpf size", "keyctl": "=KEYCTL keyctl keyctl keyctl keyctl", "add_key": "text text in size keyring",
    # memory, time, waiting
    "mmap": "ptr size PROT_NONE|PROTECTION MMAP mapped hex", "mprotect": "ptr size PROT_NONE|PROTECTION",
    "munmap": "ptr size", "mremap": "ptr size size MREMAP ptr", "msync": "ptr size MSYNC", "brk": "ptr",
    "mlock": "ptr size", "madvise": "ptr size =MADVISE", "uname": ">system_name", "sysinfo": ">system_information",
    "futex": "ptr futex futex_value futex_timeout futex_second futex_third", "nanosleep": "timespec ptr",
    "clock_nanosleep": "=CLOCKS TIMER timespec ptr", "clock_gettime": "=CLOCKS >timespec",
    "clock_getres": "=CLOCKS >timespec", "gettimeofday": ">timeval ptr",
    "epoll_create": "num", "epoll_create1": "EPOLL_CREATE", "epoll_ctl": "fd =EPOLL_OPERATIONS fd epoll",
    "epoll_wait": "fd epoll num num", "epoll_pwait": "fd epoll num num signal_set size",
    "poll": "poll_fds short num", "ppoll": "poll_fds short timespec signal_set size",
    "select": "num fd_set fd_set fd_set wait", "pselect6": "num fd_set fd_set fd_set wait ptr",
    "eventfd2": "num EVENTFD", "signalfd4": "num signal_set size SIGNALFD", "timerfd_create": "=CLOCKS TIMERFD",
    "timerfd_settime": "fd TIMERFD_TIME timer >timer", "timerfd_gettime": "fd >timer",
    "timer_settime": "num TIMER timer >timer", "timer_delete": "num",
    "setitimer": "=INTERVAL_TIMERS interval_timer >interval_timer", "getitimer": "=INTERVAL_TIMERS >interval_timer",
    "inotify_init1": "INOTIFY", "sched_yield": "", "pause": "", "rt_sigreturn": "frame_mask",
    # sockets
    "socket": "=ADDRESS_FAMILIES socktype protocol", "socketpair": "=ADDRESS_FAMILIES socktype protocol descriptors",
    "bind": "fd sockaddr num", "connect": "fd sockaddr num", "listen": "fd num", "accept": "fd address address_length",
    "accept4": "fd address address_length SOCKET_FLAGS", "getsockname": "fd address address_length",
    "getpeername": "fd address address_length", "sendto": "fd sent size MESSAGES sockaddr num",
    "recvfrom": "fd received size MESSAGES address address_length", "sendmsg": "fd message MESSAGES",
    "recvmsg": "fd message MESSAGES", "sendmmsg": "fd messages short MESSAGES",
    "recvmmsg": "fd messages short MESSAGES waited",
    "shutdown": "fd =SHUTDOWN",
    "setsockopt": "fd =SOCKET_LEVELS option option_value size",
    "getsockopt": "fd =SOCKET_LEVELS option option_value address_length",
}  # fmt: skip

_CLONE_BY_PLACE = {
    "x86_64": "child_tidptr:clone_child tls:clone_tls",
    "aarch64": "tls:clone_tls child_tidptr:clone_child",
}
"""CLONE_BACKWARDS of the kernel: aarch64 has the thread pointer before the child's number."""
ORDER = {"clone": ("stack", "flags", "parent_tid", "tls", "child_tid")}
"""Calls whose arguments strace writes in another order than they are passed."""


_WORDS: dict[str, Show] = {
    "fd": shown.fd, "dirfd": shown.dirfd, "path": shown.path, "text": shown.path, "argv": shown.argv,
    "late": shown.late_path, "envp": shown.environment, "out": shown.output, "in": shown.given,
    "random": shown.random_bytes, "entries": shown.entries, "open": shown.opening, "open_more": shown.open_more,
    "open_how": shown.open_how,
    "mode": shown.mode, "filemode": shown.file_mode, "device": shown.device, "num": shown.number,
    "short": shown.short, "offset": shown.whole_number, "size": shown.unsigned, "hex": shown.hexadecimal,
    "short_hex": shown.short_hexadecimal, "owner": shown.owner, "ptr": shown.pointer, "no": shown.omitted,
    "mount_type": shown.mount_type, "mount_data": shown.mount_data, "mapped": shown.mapped, "moved": shown.moved,
    "descriptors": shown.descriptors, "stat": shown.stat, "statx_flags": shown.statx_flags,
    "statx_mask": shown.statx_mask,
    "clone": shown_process.clone_flags, "clone_parent": shown_process.clone_parent,
    "clone_tls": shown_process.clone_tls, "clone_child": shown_process.clone_child,
    "clone3": shown_process.clone3_arguments, "signal": shown_process.signal,
    "frame_mask": shown_process.frame_mask, "new_mask": shown_process.new_mask,
    "asked_version": shown_process.asked_version,
    "wait_status": shown_process.wait_status, "usage": shown_process.usage,
    "siginfo": shown_process.signal_information, "futex": shown_process.futex_operation,
    "futex_value": shown_process.futex_value, "futex_timeout": shown_process.futex_timeout,
    "futex_second": shown_process.futex_second, "futex_third": shown_process.futex_third,
    "poll_fds": shown_process.poll_fds, "fd_set": shown_process.descriptor_set, "cpus": shown_process.cpu_set,
    "wait": shown_process.select_timeout,
    "epoll": shown_process.epoll_events,
    "socktype": shown_messages.socket_type, "protocol": shown_messages.socket_protocol,
    "sent": shown_messages.sent, "received": shown_messages.received, "address": shown_messages.received_address,
    "address_length": shown_messages.address_length, "vector": shown_messages.vector,
    "message": shown_messages.message_header, "messages": shown_messages.messages,
    "waited": shown_process.waited, "option": shown_messages.option,
    "option_value": shown_messages.option_value,
    "scheduling": shown_requests.scheduling, "io_priority": shown_requests.io_priority,
    "quota_command": shown_requests.quota_command, "quota_id": shown_requests.quota_id,
    "file_handle": shown_requests.file_handle, "names": shown_requests.attribute_names,
    "prctl": requests.prctl_argument, "fcntl": requests.fcntl_argument, "ioctl": requests.ioctl_argument,
    "keyctl": requests.keyctl_argument, "keyring": requests.keyring, "bpf": bpf.bpf_attribute,
    "seccomp": requests.seccomp_argument, "seccomp_flags": requests.seccomp_flags,
    "personality": requests.personality_argument,
}  # fmt: skip


def words(name: str, machine: str) -> list[str]:
    """The words of a call's arguments on a machine; none for a call that is not listed, or whose order is not known."""
    return (SHAPES.get(name, "") + (" " + _CLONE_BY_PLACE.get(machine, "") if name == "clone" else "")).split()


def shower(word: str, kind: str, name: str) -> Show:
    """The function for a word; for no word the one that the type suggests."""
    label, colon, rest = word.partition(":")
    if colon:
        return shown_process.labelled(label, shower(rest, kind, name))
    if word in ("", "-"):
        return _by_type(kind, name)
    if word in _WORDS:
        return _WORDS[word]
    if word.startswith("="):
        return shown.value_of(_table(word[1:]))
    zero, bar, table = word.rpartition("|")
    if table.isupper():
        return shown.bits_of(_table(table), zero if bar else "0")
    return shown.structure(_structure(word.removeprefix(">")), late=word.startswith(">"))


def _table(name: str) -> flags.Table:
    found: flags.Table = getattr(flags, name, None) or getattr(flags_requests, name)
    return found


def _structure(name: str) -> Callable[[bytes], str]:
    found: Callable[[bytes], str] = getattr(structures, name, None) or getattr(structures_files, name)
    return found


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
    """
    fd sockfd fildes oldfd epfd pidfd fd_in fd_out in_fd out_fd dfd dirfd olddfd newdfd olddirfd newdirfd
    """.split()
)
