"""`kill`: a signal for the container's first process, or for all of them."""

import os
import signal

from runtime.oci import state
from runtime.oci.commands import arguments
from runtime.oci.errors import OCIError, UsageError
from runtime.oci.flags import Arguments, Flag

ABOUT = """Send a signal (a name with or without SIG, or a number; default SIGTERM) to the container's first process.

The first process of a pid namespace ignores every signal it has no handler for, SIGKILL from outside excepted."""
FLAGS = (Flag("--all -a", "", "signal every process in the container"),)


def signal_number(text: str) -> int:
    """A signal by name or number."""
    if text.isdigit():
        number = int(text)
    else:
        name = text.upper()
        name = name if name.startswith("SIG") else f"SIG{name}"
        number = int(getattr(signal, name, 0)) if not name.startswith("SIG_") else 0
    if not 0 < number < signal.NSIG:
        raise UsageError(f'unknown signal "{text}"')
    return number


@arguments.verb("kill", ABOUT, FLAGS, "CONTAINER-ID [SIGNAL]")
def main(root: str, found: Arguments) -> int:
    number = signal_number(found.positionals[1] if len(found.positionals) > 1 else "SIGTERM")
    container = state.load(root, found.positionals[0])
    everyone = "all" in found.switches
    status = container.status()
    if status == "stopped" and not everyone:
        raise OCIError("container not running")
    if everyone or (number == signal.SIGKILL and shares_pid_namespace(container)):
        _kill_everyone(container, number)
    else:
        os.kill(container.pid, number)
    if number == signal.SIGKILL and status == "paused":
        from runtime.oci.cgroups.group import Group

        Group(container.cgroup_paths).freeze(False)  # a task frozen by cgroup v1 dies only when thawed
    return 0


def shares_pid_namespace(container: state.Container) -> bool:
    """Without a pid namespace of its own, killing the first process leaves the others alive."""
    entries = container.config().get("linux", {}).get("namespaces", [])
    return not any(entry["type"] == "pid" and not entry.get("path") for entry in entries)


def _kill_everyone(container: state.Container, number: int) -> None:
    from runtime.oci.cgroups.group import Group

    group = Group(container.cgroup_paths)
    if group.paths:
        group.kill_all(number)
    else:
        os.kill(container.pid, number)
