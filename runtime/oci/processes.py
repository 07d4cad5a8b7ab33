"""Starting a helper program and waiting for it, without subprocess (which costs 20 ms to import)."""

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence


def exit_status(wait_status: int) -> int:
    """A wait status as a shell shows it: 128+N for a death by signal N."""
    code = os.waitstatus_to_exitcode(wait_status)
    return code if code >= 0 else 128 - code


def in_pid_namespace_of(pid: int) -> list[int]:
    """The processes that share a process's pid namespace: for a container without a cgroup of its own."""
    wanted = os.readlink(f"/proc/{pid}/ns/pid")
    found = []
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                if os.readlink(f"/proc/{name}/ns/pid") == wanted:
                    found.append(int(name))
            except OSError:
                continue  # ended meanwhile, or not ours to look at
    return sorted(found)


def run(argv: "Sequence[str]", env: "dict[str, str] | None" = None) -> int:
    """Run a program found in $PATH to its end; 127 when there is none."""
    try:
        pid = os.posix_spawnp(argv[0], list(argv), os.environ if env is None else env)
    except FileNotFoundError:
        return 127
    return exit_status(os.waitpid(pid, 0)[1])
