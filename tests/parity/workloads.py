"""The programs that are run twice, once under strace and once under the engine.

Each does the same every time, as far as its threads go: one program of system calls of each kind, busybox at the
shell, the tracees of the engine's own tests, and a container made, started and deleted by each OCI runtime.
"""

import copy
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.oci_bundle import Box
from tests.parity.normal import Rules

HERE = Path(__file__).resolve().parent
PROGRAMS = HERE / "programs"
TRACEES = HERE.parent / "tracees"
FIXED_ADDRESSES = ("setarch", "-R")
"""How much is unmapped to align an arena depends on where it begins: setarch(8) turns randomisation off."""
ALLOWED = """
    access arch_prctl brk capget capset chdir clone clone3 close close_range dup dup2 dup3 epoll_create1 epoll_ctl
    epoll_pwait execve execveat exit exit_group faccessat faccessat2 fchdir fchown fcntl fstat fstatfs futex getcwd
    getdents64 getegid geteuid getgid getpid getppid getrandom gettid getuid ioctl lseek madvise mmap mprotect munmap
    nanosleep newfstatat open openat pipe2 poll prctl pread64 prlimit64 pselect6 read readlink readlinkat rseq
    rt_sigaction rt_sigprocmask rt_sigreturn sched_getaffinity sched_yield sendmsg sendto set_robust_list
    set_tid_address setgid setgroups setresgid setresuid setuid sigaltstack statfs tgkill umask uname wait4 waitid
    write writev
"""


@dataclass(frozen=True)
class Workload:
    """A program, and what its two runs may differ in."""

    name: str
    argv: Callable[[Path], Sequence[str]]
    """Its command line, given an empty directory."""
    by_line: bool = True
    """Whether two runs make the same calls in the same order; else only what is said of them is compared."""
    rules: Rules = field(default_factory=Rules)
    needs: tuple[str, ...] = ()
    """Programs that must be installed."""
    as_root: bool = False
    ends: str = "exited with 0"
    """What both logs say of its end: one that dies halfway makes the same calls in both."""
    runtime: str = ""
    """The OCI runtime whose container this is."""


def _program(
    path: Path,
    replaced: Mapping[str, str] | None = None,
    *,
    as_root: bool = False,
    by_line: bool = True,
    ends: str = "exited with 0",
    argument: str = "",
) -> Workload:
    return Workload(
        path.stem,
        lambda directory: [*FIXED_ADDRESSES, sys.executable, "-S", str(path), str(directory / argument)],
        by_line,
        rules=Rules(replaced or {}),
        as_root=as_root,
        ends=ends,
    )


def _shell(name: str, script: str, *, by_line: bool = True, ends: str = "exited with 0") -> Workload:
    return Workload(
        name, lambda directory: [*FIXED_ADDRESSES, "busybox", "sh", "-c", script, "sh", str(directory)],
        by_line=by_line, needs=("busybox",), ends=ends,
    )  # fmt: skip


_TIMERS = {r"it_value=\{[^}]*\}": "it_value=..."}
_TEMPORARY = {r"\b(runc|crun)\.\w{6}\b": r"\1.XXXXXX"}
"""The name under which a runtime mounts itself, for the time of one command."""
_INODES = {r"/#\d+": "/#N"}

WORKLOADS = [
    _program(PROGRAMS / "file_calls.py", _INODES),
    _program(PROGRAMS / "process_calls.py", _TIMERS, ends="exited with 3"),
    _program(PROGRAMS / "socket_calls.py"),
    _program(PROGRAMS / "rare_calls.py", as_root=True),
    _program(PROGRAMS / "container_calls.py", as_root=True),
    *(
        _program(TRACEES / f"{name}.py")
        for name in "fork_then_exec vfork_then_exec fd_passing signals".split()
    ),
    _program(TRACEES / "clone3.py", ends="exited with 7"),
    _program(TRACEES / "double_fork.py", ends="exited with 5"),
    _program(TRACEES / "sockets.py", argument="socket"),
    _program(TRACEES / "thread_exec.py", by_line=False),
    _program(TRACEES / "pid_namespace.py", as_root=True),
    _shell("pipeline", "echo hi | cat; ls / >/dev/null; true & wait; exec true", by_line=False),
    _shell(
        "files at the shell",
        'cd "$1"; mkdir a; echo one > a/b; cp a/b c; ln -s c d; mv c e; cat d; chmod 600 e; ls -a > f; find .;'
        " rm -r a; test -e a || kill -TERM $$",
        ends="killed by SIGTERM",
    ),
    *(
        Workload(
            f"{runtime} {verb}", lambda directory: [], by_line=False, needs=(runtime,) if runtime[0] != "g" else (),
            as_root=True, runtime=runtime, rules=Rules(_TEMPORARY),
        )
        for runtime in ("glassbottom-oci", "runc", "crun")
        for verb in ("run", "create-start-delete")
    ),
]  # fmt: skip


def container(workload: Workload, directory: Path) -> tuple[Box, list[str]]:
    """A bundle of the workload's runtime with a seccomp filter, and the command line that takes it through its life."""
    box = Box(workload.runtime, directory)
    box.config = copy.deepcopy(box.config)
    box.config["linux"]["seccomp"] = {
        "defaultAction": "SCMP_ACT_ERRNO",
        "architectures": ["SCMP_ARCH_X86_64"],
        "syscalls": [{"names": ALLOWED.split(), "action": "SCMP_ACT_ALLOW"}],
    }
    box.config["process"]["rlimits"] = [{"type": "RLIMIT_NOFILE", "soft": 100, "hard": 200}]
    box.write_config("true")
    if workload.name.endswith(" run"):
        return box, [*box.argv, "run", "--bundle", str(directory), box.id]
    call = " ".join(box.argv)
    # The container's process has ended before it is deleted: what it does is no question of time then.
    steps = f"""{call} create --bundle {directory} --pid-file {directory}/pid {box.id}; {call} start {box.id}
        while grep -q 'State:.[^Z]' /proc/$(cat {directory}/pid)/status 2>/dev/null; do sleep 0.05; done
        {call} delete --force {box.id}"""
    return box, ["busybox", "sh", "-c", steps]
