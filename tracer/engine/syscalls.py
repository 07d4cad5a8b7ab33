"""Number -> name -> argument names and types, for the kernel's ABI on this machine.

The base is python-ptrace's tables (kernel 5.8); added are the calls since then, the prototypes that those tables
lack (among them every call that container runtimes are made of: clone3, openat2, the mount API, pidfd_*), and the
corrections. A number that nobody knows is `syscall_NNN` with six raw arguments: shown, never guessed.

Left out: 32-bit tasks on a 64-bit kernel. Their numbers mean other calls; the engine notes them instead.
"""

import os
from collections.abc import Mapping

from tracer.engine import bindings
from tracer.events import SyscallSignature

UNKNOWN_ARGUMENTS = tuple((f"argument{place}", "unsigned long") for place in range(6))

# From 424 on, all architectures share their numbers (arch/*/tools/syscall.tbl and scripts/syscall.tbl of the kernel).
_NAMES_SINCE_424 = """
    pidfd_send_signal io_uring_setup io_uring_enter io_uring_register open_tree move_mount fsopen fsconfig
    fsmount fspick pidfd_open clone3 close_range openat2 pidfd_getfd faccessat2 process_madvise epoll_pwait2
    mount_setattr quotactl_fd landlock_create_ruleset landlock_add_rule landlock_restrict_self memfd_secret
    process_mrelease futex_waitv set_mempolicy_home_node cachestat fchmodat2 map_shadow_stack futex_wake
    futex_wait futex_requeue statmount listmount lsm_get_self_attr lsm_set_self_attr lsm_list_modules mseal
    setxattrat getxattrat listxattrat removexattrat open_tree_attr file_getattr file_setattr
"""

_CORRECTED_NAMES = {"x86_64": {283: "timerfd_create"}, "aarch64": {}}

# name: "type argument, type argument, ..." in kernel order (man pages, section 2; include/linux/syscalls.h).
_PROTOTYPES = {
    "arch_prctl": "int op, unsigned long addr",
    "cachestat": "unsigned int fd, struct cachestat_range * range, struct cachestat * cstat, unsigned int flags",
    "clone3": "struct clone_args * cl_args, size_t size",
    "close_range": "unsigned int first, unsigned int last, unsigned int flags",
    "epoll_pwait2": "int epfd, struct epoll_event * events, int maxevents, const struct timespec * timeout, "
    "const sigset_t * sigmask, size_t sigsetsize",
    "execveat": "int dirfd, const char * pathname, char *const * argv, char *const * envp, int flags",
    "faccessat2": "int dirfd, const char * pathname, int mode, int flags",
    "fchmodat2": "int dirfd, const char * pathname, umode_t mode, unsigned int flags",
    "file_getattr": "int dirfd, const char * pathname, struct file_attr * attr, size_t size, unsigned int flags",
    "file_setattr": "int dirfd, const char * pathname, struct file_attr * attr, size_t size, unsigned int flags",
    "fsconfig": "int fd, unsigned int cmd, const char * key, const void * value, int aux",
    "fsmount": "int fs_fd, unsigned int flags, unsigned int attr_flags",
    "fsopen": "const char * fsname, unsigned int flags",
    "fspick": "int dirfd, const char * pathname, unsigned int flags",
    "futex_requeue": "struct futex_waitv * waiters, unsigned int flags, int nr_wake, int nr_requeue",
    "futex_wait": "void * uaddr, unsigned long val, unsigned long mask, unsigned int flags, "
    "const struct timespec * timeout, clockid_t clockid",
    "futex_waitv": "struct futex_waitv * waiters, unsigned int nr_futexes, unsigned int flags, "
    "const struct timespec * timeout, clockid_t clockid",
    "futex_wake": "void * uaddr, unsigned long mask, int nr, unsigned int flags",
    "getxattrat": "int dirfd, const char * pathname, unsigned int flags, const char * name, struct xattr_args * args, "
    "size_t size",
    "io_pgetevents": "aio_context_t ctx_id, long min_nr, long nr, struct io_event * events, struct timespec * timeout, "
    "const struct __aio_sigset * sig",
    "io_uring_enter": "unsigned int fd, unsigned int to_submit, unsigned int min_complete, unsigned int flags, "
    "const void * argp, size_t argsz",
    "io_uring_register": "unsigned int fd, unsigned int opcode, void * arg, unsigned int nr_args",
    "io_uring_setup": "unsigned int entries, struct io_uring_params * params",
    "iopl": "unsigned int level",
    "landlock_add_rule": "int ruleset_fd, int rule_type, const void * rule_attr, unsigned int flags",
    "landlock_create_ruleset": "const struct landlock_ruleset_attr * attr, size_t size, unsigned int flags",
    "landlock_restrict_self": "int ruleset_fd, unsigned int flags",
    "listmount": "const struct mnt_id_req * req, unsigned long * mnt_ids, size_t nr_mnt_ids, unsigned int flags",
    "listxattrat": "int dirfd, const char * pathname, unsigned int flags, char * list, size_t size",
    "lsm_get_self_attr": "unsigned int attr, struct lsm_ctx * ctx, unsigned int * size, unsigned int flags",
    "lsm_list_modules": "unsigned long * ids, unsigned int * size, unsigned int flags",
    "lsm_set_self_attr": "unsigned int attr, struct lsm_ctx * ctx, unsigned int size, unsigned int flags",
    "map_shadow_stack": "unsigned long addr, unsigned long size, unsigned int flags",
    "memfd_secret": "unsigned int flags",
    "modify_ldt": "int func, void * ptr, unsigned long bytecount",
    "mount_setattr": "int dirfd, const char * pathname, unsigned int flags, struct mount_attr * attr, size_t size",
    "move_mount": "int from_dirfd, const char * from_pathname, int to_dirfd, const char * to_pathname, "
    "unsigned int flags",
    "mseal": "unsigned long addr, size_t len, unsigned long flags",
    "open_tree": "int dirfd, const char * pathname, unsigned int flags",
    "open_tree_attr": "int dirfd, const char * pathname, unsigned int flags, struct mount_attr * attr, size_t size",
    "openat2": "int dirfd, const char * pathname, struct open_how * how, size_t size",
    "pidfd_getfd": "int pidfd, int targetfd, unsigned int flags",
    "pidfd_open": "pid_t pid, unsigned int flags",
    "pidfd_send_signal": "int pidfd, int sig, siginfo_t * info, unsigned int flags",
    "pkey_alloc": "unsigned int flags, unsigned int access_rights",
    "pkey_free": "int pkey",
    "pkey_mprotect": "void * addr, size_t len, int prot, int pkey",
    "preadv2": "int fd, const struct iovec * iov, int iovcnt, unsigned long pos_l, unsigned long pos_h, int flags",
    "process_madvise": "int pidfd, const struct iovec * vec, size_t vlen, int advice, unsigned int flags",
    "process_mrelease": "int pidfd, unsigned int flags",
    "pwritev2": "int fd, const struct iovec * iov, int iovcnt, unsigned long pos_l, unsigned long pos_h, int flags",
    "quotactl_fd": "unsigned int fd, unsigned int cmd, int id, void * addr",
    "removexattrat": "int dirfd, const char * pathname, unsigned int flags, const char * name",
    "renameat2": "int olddirfd, const char * oldpath, int newdirfd, const char * newpath, unsigned int flags",
    "rseq": "struct rseq * rseq, unsigned int rseq_len, int flags, unsigned int sig",
    "rt_sigreturn": "sigset_t * mask",  # on the stack, where no argument points: see Calls.before_sigreturn
    "set_mempolicy_home_node": "unsigned long start, unsigned long len, unsigned long home_node, unsigned long flags",
    "setxattrat": "int dirfd, const char * pathname, unsigned int flags, const char * name, struct xattr_args * args, "
    "size_t size",
    "statmount": "const struct mnt_id_req * req, struct statmount * buf, size_t bufsize, unsigned int flags",
    "timerfd_create": "int clockid, int flags",
    "umount2": "const char * target, int flags",
}
_PROTOTYPES_BY_MACHINE = {
    # CLONE_BACKWARDS: where the thread pointer and the child's tid change places.
    "x86_64": {"clone": "unsigned long flags, void * stack, int * parent_tid, int * child_tid, unsigned long tls"},
    "aarch64": {"clone": "unsigned long flags, void * stack, int * parent_tid, unsigned long tls, int * child_tid"},
}


def machine() -> str:
    """`x86_64` or `aarch64`. Raises OSError for any other: this engine has no table for it."""
    name = os.uname().machine
    if name not in bindings.AUDIT_ARCH:
        raise OSError(f"cannot trace on {name}: the engine knows x86_64 and aarch64")
    return name


def signatures(machine: str) -> dict[int, SyscallSignature]:
    """Every call of the 64-bit ABI of `machine`, by number."""
    names = {number: name for number, name in bindings.syscall_names(machine).items() if number < 512}
    names |= dict(enumerate(_NAMES_SINCE_424.split(), 424))
    names |= _CORRECTED_NAMES[machine]
    # 335-423 of x86_64 lie between two numbering schemes and are unused; uretprobe is the exception (6.11).
    if machine == "x86_64":
        names[335] = "uretprobe"
    prototypes = bindings.syscall_prototypes()
    ours = {name: _parse(prototype) for name, prototype in (_PROTOTYPES | _PROTOTYPES_BY_MACHINE[machine]).items()}
    return {
        number: SyscallSignature(name, ours[name] if name in ours else _taken(prototypes, name))
        for number, name in sorted(names.items())
    }


def _taken(prototypes: Mapping[str, tuple[str, tuple[tuple[str, str], ...]]], name: str) -> tuple[tuple[str, str], ...]:
    """python-ptrace's prototype as (argument name, type) pairs; six raw arguments where it has none."""
    found = prototypes.get(name)
    if found is None:
        return UNKNOWN_ARGUMENTS
    return tuple((argument, kind) for kind, argument in found[1])


def _parse(prototype: str) -> tuple[tuple[str, str], ...]:
    """`int fd, void * addr` as (("fd", "int"), ("addr", "void *"))."""
    pairs = [part.strip().rpartition(" ") for part in prototype.split(",") if part.strip()]
    return tuple((name, kind) for kind, _, name in pairs)
