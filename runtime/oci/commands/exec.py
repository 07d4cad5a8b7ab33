"""`exec`: run another process inside a running container."""

import os

from runtime.oci import exec_process, process_object, processes, state
from runtime.oci.commands import arguments
from runtime.oci.commands import run as foreground
from runtime.oci.errors import OCIError, UsageError
from runtime.oci.flags import Arguments, Flag

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

ABOUT = """Run another process inside a running container, described by a process.json or by the command line (then it
takes environment, working directory, user and capabilities from the container's own process)."""

FLAGS = (
    Flag("--process -p", "FILE", "the process object of the runtime-spec, as JSON"),
    Flag("--detach -d", "", "return once the process runs"),
    Flag("--tty -t", "", "give it a terminal"),
    Flag("--console-socket", "SOCKET", "unix socket to send the terminal's master end to"),
    Flag("--pid-file", "FILE", "write the pid of the process to FILE"),
    Flag("--cwd", "DIR", "working directory"),
    Flag("--env -e", "NAME=VALUE", "one more environment variable", repeats=True),
    Flag("--user -u", "UID[:GID]", "user and group, as numbers"),
    Flag("--additional-gids -g", "GID", "one more group", repeats=True),
    Flag("--cap -c", "CAP", "one more capability", repeats=True),
    Flag("--no-new-privs", "", "set no_new_privs"),
    Flag("--apparmor", "PROFILE", "AppArmor profile"),
    Flag("--process-label", "LABEL", "SELinux label"),
    Flag("--preserve-fds", "N", "pass N more descriptors, from 3 up"),
    Flag("--ignore-paused", "", "do not refuse when the container is paused"),
)


@arguments.verb("exec", ABOUT, FLAGS, "CONTAINER-ID [COMMAND...]")
def main(root: str, found: Arguments) -> int:
    container = state.load(root, found.positionals[0])
    status = container.status()
    if status == "paused" and "ignore-paused" not in found.switches:
        raise OCIError("cannot exec in a paused container (use --ignore-paused to override)")
    if status in ("stopped", "creating"):
        raise OCIError("cannot exec a container that has stopped")
    process = process_of(container, found)
    options = exec_process.ExecOptions()
    options.pid_file = found.value("pid-file")
    options.preserve_fds = arguments.preserve_fds(found.value("preserve-fds"))
    detach = "detach" in found.switches
    relay = None
    if process.get("terminal"):
        from runtime.oci import console

        if found.value("console-socket"):
            options.console_fd = console.connect(found.value("console-socket"))
        elif detach:
            raise OCIError("cannot allocate tty if runtime will detach without setting console socket")
        else:
            from runtime.oci import terminal

            relay = terminal.Relay()
            options.console_fd = relay.console_fd
    pid = exec_process.start(container, process, options)
    if relay:
        relay.receive()
    if detach:
        return 0
    if relay:
        return relay.run(pid)
    foreground.forward_signals(pid)
    return processes.exit_status(os.waitpid(pid, 0)[1])


def process_of(container: state.Container, found: Arguments) -> "dict[str, Any]":
    """The process object: from a file, or the container's own with what the flags change."""
    path = found.value("process")
    if path:
        process = process_object.load(path)
        own = container.config()["process"]
        # as with runc, what the container's own process is scheduled by holds where the file says nothing else
        process = {name: own[name] for name in ("scheduler", "ioPriority") if name in own} | process
    else:
        if len(found.positionals) < 2:
            raise UsageError("process args cannot be empty")
        process = container.config()["process"]
        process.pop("consoleSize", None)
        process["args"] = found.positionals[1:]
        process["terminal"] = False
        _change(process, found)
        process_object.check(process)
    if "tty" in found.switches:
        process["terminal"] = True
    return process


def _change(process: "dict[str, Any]", found: Arguments) -> None:
    if found.value("cwd"):
        process["cwd"] = os.path.normpath(found.value("cwd"))
    process["env"] = process.get("env", []) + found.lists.get("env", [])
    if found.value("user"):
        uid, _, gid = found.value("user").partition(":")
        if not uid.isdigit() or (gid and not gid.isdigit()):
            raise UsageError(f'--user: "{found.value("user")}" is not UID or UID:GID')
        process["user"] = process.get("user", {}) | {"uid": int(uid)} | ({"gid": int(gid)} if gid else {})
    groups = found.lists.get("additional-gids", [])
    if not all(group.isdigit() for group in groups):
        raise UsageError("--additional-gids: groups are given as numbers")
    if groups:
        user = process.setdefault("user", {})
        user["additionalGids"] = user.get("additionalGids", []) + [int(group) for group in groups]
    if found.lists.get("cap"):
        sets = process.setdefault("capabilities", {})
        for name in ("bounding", "effective", "permitted"):
            sets[name] = sets.get(name, []) + found.lists["cap"]
    if "no-new-privs" in found.switches:
        process["noNewPrivileges"] = True
    if found.value("apparmor"):
        process["apparmorProfile"] = found.value("apparmor")
    if found.value("process-label"):
        process["selinuxLabel"] = found.value("process-label")
