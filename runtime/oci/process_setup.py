"""The last steps before execve, the same for a container's init and for `exec`: who the process is and what it may do.

Counterpart: runc's `finalizeNamespace` (libcontainer/init_linux.go). Rights are given up one by one, and each step
needs a right that a later one takes away:

    scheduling        needs CAP_SYS_NICE
    bounding set      needs CAP_SETPCAP
    seccomp           needs CAP_SYS_ADMIN, unless no_new_privs is set
    groups, gid, uid  need CAP_SETGID, CAP_SETUID; leaving uid 0 would clear permitted: PR_SET_KEEPCAPS
    capability sets   last

Everything that Python needs is imported by now: after pivot_root there is no standard library to import from.
"""

import os

from runtime.oci import capabilities, environment, executable, lsm, scheduling
from runtime.oci import syscalls as sc
from runtime.oci.errors import OCIError, reason

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal
    from collections.abc import Callable
    from typing import Any
else:
    import _signal as signal  # signal.py wraps it in enums, whose module costs 5 ms

EXEC_FORMAT_FAILED = 255
PERSONALITIES = {"LINUX": 0, "LINUX32": 8}
"""personality(2): with LINUX32, uname(2) calls the machine i686, and a 32-bit program believes it."""


class Prepared:
    """What has to be worked out while the host's files are in reach; made by the runtime, used by its child."""

    __slots__ = (
        "label",
        "label_file",
        "own_executable",
        "personality",
        "proc_fd",
        "process",
        "scheduling",
        "seccomp_flags",
        "seccomp_program",
        "sets",
    )

    def __init__(self, process: "dict[str, Any]", linux: "dict[str, Any]") -> None:
        self.process = process
        self.scheduling = scheduling.plan(process)
        self.personality: dict[str, Any] | None = linux.get("personality")
        self.own_executable = executable.OwnExecutable()
        self.seccomp_program = b""
        self.seccomp_flags = 0
        if seccomp := linux.get("seccomp"):
            from runtime.oci.seccomp import compiler

            self.seccomp_program, self.seccomp_flags = compiler.program(seccomp)
        self.sets: capabilities.Sets | None = None
        self.label = lsm.attribute(process)
        self.label_file: tuple[int, str] | None = None
        self.proc_fd = lsm.hold_proc(self.label)

    def inside(self, warn: "Callable[[str], None]") -> None:
        """The part that only the child can do: its own capabilities (full again in a new user namespace), its label."""
        self.label_file = lsm.open_attribute(self.proc_fd, self.label)
        if "capabilities" in self.process:
            self.sets, left_out = capabilities.plan(self.process["capabilities"], sc.capget()[1])
            for message in left_out:
                warn(message)

    @property
    def no_new_privileges(self) -> bool:
        return bool(self.process.get("noNewPrivileges"))


class Identity:
    """Numbers and strings that make up the process, once the container's own files can be read."""

    __slots__ = ("argv", "env", "path")

    def __init__(self, path: str, argv: list[str], env: dict[str, str]) -> None:
        self.path = path
        self.argv = argv
        self.env = env


def close_host_fds(keep: "set[int]") -> None:
    """Close every fd from 3 up but some: whatever the caller leaked to us must not be reachable from inside.

    An fd of a host directory would be a door out of the container (CVE-2024-21626), through /proc/self/fd even
    without being inherited.
    """
    first = 3
    for fd in sorted(keep):
        if fd > first:
            sc.close_range(first, fd - 1)
        first = max(first, fd + 1)
    sc.close_range(first)


def join_session_keyring(name: str) -> None:
    """A session keyring of its own, so that the container does not see the caller's keys (keyctl(2))."""
    try:
        sc.keyctl(sc.KEYCTL_JOIN_SESSION_KEYRING, name)
    except OSError:
        pass  # a kernel without keys, or an outer seccomp filter (Docker's) that refuses: as runc, go on without


def reset_signals() -> None:
    """Undo what Python changed: an ignored SIGPIPE would be inherited, and `yes | head` would not end."""
    for number in (signal.SIGPIPE, signal.SIGXFSZ, signal.SIGINT):
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def become_user(prepared: Prepared, warn: "Callable[[str], None]") -> Identity:
    """Take on user, groups, capabilities and working directory; find the program. Leaves seccomp for the very end."""
    process = prepared.process
    user = process.get("user", {})
    if prepared.no_new_privileges:
        sc.prctl(sc.PR_SET_NO_NEW_PRIVS, 1)
    scheduling.apply(prepared.scheduling)
    if prepared.personality:
        sc.personality(PERSONALITIES[prepared.personality["domain"]])
    if prepared.sets:
        capabilities.drop_bounding(prepared.sets.bounding)
    sc.prctl(sc.PR_SET_KEEPCAPS, 1)
    _set_groups(user.get("additionalGids", []), warn)
    gid, uid = user.get("gid", 0), user.get("uid", 0)
    _own_standard_streams(uid)
    try:
        os.setresgid(gid, gid, gid)
        os.setresuid(uid, uid, uid)
    except OSError as error:
        raise OCIError(
            f"process.user: cannot become {uid}:{gid}: {reason(error)} (is it mapped in the namespace?)"
        ) from None
    if "umask" in user:
        os.umask(user["umask"])
    else:
        os.umask(0o022)
    _set_capabilities(prepared)
    env = environment.of(process, uid)
    _enter_working_directory(process["cwd"])
    path = executable.find(process["args"][0], env.get("PATH", ""))
    prepared.own_executable.refuse(path)
    return Identity(path, process["args"], env)


def _set_groups(groups: list[int], warn: "Callable[[str], None]") -> None:
    try:
        os.setgroups(list(dict.fromkeys(groups)))
    except OSError as error:
        # a user namespace of a single id: setgroups is denied in it, and the groups are not mapped
        if os.path.exists("/proc/self/setgroups"):
            with open("/proc/self/setgroups") as file:
                if file.read().strip() == "deny":
                    if groups:
                        warn(f"process.user.additionalGids: {groups} given up: setgroups is denied here")
                    return
        raise OCIError(f"process.user.additionalGids: setgroups: {reason(error)}") from None


def _own_standard_streams(uid: int) -> None:
    """The process may reopen its own streams (/dev/stdout): give them to its user, but never a shared /dev/null."""
    if uid == 0:
        return
    null = os.makedev(1, 3)
    for fd in (0, 1, 2):
        try:
            status = os.fstat(fd)
            if status.st_uid != uid and status.st_rdev != null:
                os.fchown(fd, uid, -1)
        except OSError:
            continue  # closed, or on a file system that does not allow it; runc goes on too


def _set_capabilities(prepared: Prepared) -> None:
    sets = prepared.sets
    if sets is None:
        return
    # a filter without no_new_privs is loaded by CAP_SYS_ADMIN, so that one stays until just before execve
    extra = capabilities.SYS_ADMIN if loads_with_privilege(prepared) else 0
    capabilities.apply(sets, extra)
    capabilities.raise_ambient(sets.ambient)


def loads_with_privilege(prepared: Prepared) -> bool:
    """Whether the seccomp filter needs CAP_SYS_ADMIN."""
    return bool(prepared.seccomp_program) and not prepared.no_new_privileges


def _enter_working_directory(cwd: str) -> None:
    try:
        os.chdir(cwd)
        # a cwd outside the root (through a leaked fd) shows as ENOENT here
        os.getcwd()
    except OSError as error:
        raise OCIError(f'process.cwd: chdir to "{cwd}": {reason(error)}') from None


def execute(prepared: Prepared, identity: Identity) -> None:
    """Load the filter and become the user's program. Between the filter and execve only capset is called."""
    lsm.apply(prepared.label_file)
    if prepared.seccomp_program:
        sc.seccomp(sc.SECCOMP_SET_MODE_FILTER, prepared.seccomp_flags, prepared.seccomp_program)
        if prepared.sets and loads_with_privilege(prepared):
            capabilities.apply(prepared.sets)
    os.execve(identity.path, identity.argv, identity.env)
