"""`exec`: one more process in a running container.

Counterpart: runc's `setnsProcess` and libcontainer/setns_init_linux.go. Everything is joined, nothing made: the
namespaces of the container's first process and its cgroup. The mount namespace brings root and cwd along.
The process counts as started when its execve succeeded: the channel is close-on-exec, and its end of file says so.
"""

import os
import sys

from runtime.oci import namespaces, null_device, parent, process_setup, state, sync
from runtime.oci import syscalls as sc
from runtime.oci.cgroups.group import Group
from runtime.oci.cgroups.mounting import in_user_namespace
from runtime.oci.errors import OCIError, describe
from runtime.oci.log import log

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class ExecOptions:
    """The flags of exec that are not part of the process object."""

    __slots__ = ("console_fd", "pid_file", "preserve_fds")

    def __init__(self) -> None:
        self.console_fd = -1
        self.pid_file = ""
        self.preserve_fds = 0


def start(container: state.Container, process: "dict[str, Any]", options: ExecOptions) -> int:
    """Start the process and return its pid; it is our own child."""
    config = container.config()
    prepared = process_setup.Prepared(process, config.get("linux", {}))
    plan = namespaces.Plan(set(), namespaces.of_process(container.pid))
    lenient = in_user_namespace() or os.geteuid() != 0
    keyring = "" if container.no_new_keyring else f"_ses.{container.id}"
    birth = parent.Birth()
    try:
        birth.fork(plan, {}, lambda channel: run_inside(prepared, options, keyring, channel))
        group = Group(container.cgroup_paths)
        if group.paths:
            group.join(birth.intermediate_pid)
        birth.enter_namespaces(plan, {})
        birth.set_limits(process, log.warning, lenient=lenient)
        birth.channel.say(sync.SET_UP)
        birth.channel.hear(sync.READY)
        birth.channel.hear_end_of_file()
    except (OCIError, OSError) as error:
        birth.abandon()
        raise OCIError(f"unable to start container process: {describe(error)}") from None
    except BaseException:
        birth.abandon()
        raise
    finally:
        if options.console_fd >= 0:
            os.close(options.console_fd)
    if options.pid_file:
        parent.write_pid_file(options.pid_file, birth.pid)
    return birth.pid


def run_inside(
    prepared: process_setup.Prepared,
    options: ExecOptions,
    keyring: str,
    channel: sync.Channel,
) -> None:
    """Never returns. Already in the container, root and all: nothing may be imported from here on."""
    try:
        # first of all: the container's processes can see us now, and our executable is the host's (executable.py)
        sc.prctl(sc.PR_SET_DUMPABLE, 0)
        os.setsid()
        channel.hear(sync.SET_UP)
        keep = {channel.fd, options.console_fd, prepared.proc_fd} - {-1} | set(range(3, 3 + options.preserve_fds))
        process_setup.close_host_fds(keep)
        if keyring:
            process_setup.join_session_keyring(keyring)
        prepared.inside(channel.warn)
        if options.console_fd >= 0:
            process = prepared.process
            uid = process.get("user", {}).get("uid", 0)
            console = sys.modules["runtime.oci.console"]
            console.set_up(options.console_fd, process.get("consoleSize", {}), uid, bind_console=False)
        else:
            null_device.reopen_null()
        process_setup.reset_signals()
        identity = process_setup.become_user(prepared, channel.warn)
        channel.say(sync.READY)
        process_setup.execute(prepared, identity)
    except Exception as error:  # noqa: BLE001 (this is a process's main: whatever it is, the parent shall know)
        channel.fail(error)
    os._exit(process_setup.EXEC_FORMAT_FAILED)
