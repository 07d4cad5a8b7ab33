"""Hooks: programs of the caller's that run at fixed points of a container's life (runtime-spec config.md "Hooks").

    name             when                                         namespaces   root   status on stdin
    prestart         after the namespaces are made, before pivot  runtime's    old    creating   (deprecated)
    createRuntime    directly after the prestart hooks            runtime's    old    creating
    createContainer  after those, before pivot_root               container's  old    creating
    startContainer   after `start`, before the user's process     container's  new    created
    poststart        after the user's process runs                runtime's    old    running
    poststop         after delete                                 runtime's    old    stopped

Each gets the container's State as JSON on stdin. A failure up to startContainer ends the container; later ones are
warnings, for there is nothing left to stop. docker's network setup depends on prestart: libnetwork-setkey reads the pid
from the State and moves a veth into that process's network namespace.
"""

import os
import select

from runtime.oci import plain_json, processes
from runtime.oci.errors import OCIError, reason

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal
    from typing import Any
else:
    import _signal as signal  # signal.py wraps it in enums, whose module costs 5 ms


LONGEST_POLL_MS = (1 << 31) - 1


def run(name: str, config: "dict[str, Any]", state: "dict[str, Any]") -> None:
    """Run all hooks of one name in order; the first that fails ends it."""
    hooks = config.get("hooks", {}).get(name, [])
    if not hooks:
        return
    content = plain_json.dumps(state).encode()
    for index, hook in enumerate(hooks):
        _run_one(hook, content, f"{name} hook #{index}")


def _run_one(hook: "dict[str, Any]", content: bytes, label: str) -> None:
    argv = hook.get("args") or [hook["path"]]
    env = dict(variable.partition("=")[::2] for variable in hook["env"]) if "env" in hook else dict(os.environ)
    read_end, write_end = os.pipe()
    try:
        pid = os.posix_spawn(
            hook["path"],
            argv,
            env,
            # stdout goes where our errors go: a hook's chatter must not end up in a container's output
            file_actions=(
                (os.POSIX_SPAWN_DUP2, read_end, 0),
                (os.POSIX_SPAWN_DUP2, 2, 1),
                *((os.POSIX_SPAWN_CLOSE, fd) for fd in _inheritable_fds()),
            ),
            setsigdef=(signal.SIGPIPE,),  # Python ignores it, and that would be inherited
        )
    except OSError as error:
        os.close(write_end)
        raise OCIError(f"error running {label}: {hook['path']}: {reason(error)}") from None
    finally:
        os.close(read_end)
    try:
        os.write(write_end, content)
    except BrokenPipeError:
        pass  # a hook that does not care for the state
    finally:
        os.close(write_end)
    _reap(pid, hook, label)


def _inheritable_fds() -> list[int]:
    """What our caller leaked to us, or meant for the container's process: none of a hook's business."""
    fds = []
    try:
        names = os.listdir("/proc/self/fd")
    except OSError:
        return []  # a startContainer hook where the container has no /proc
    for name in names:
        try:
            if int(name) > 2 and os.get_inheritable(int(name)):
                fds.append(int(name))
        except (OSError, ValueError, OverflowError):
            continue  # the fd of listdir itself; or a /proc of the image's making, with any name and number
    return fds


def _reap(pid: int, hook: "dict[str, Any]", label: str) -> None:
    """Wait for a hook, and no longer than config.json allows it (the one clock in this runtime, and only if asked)."""
    if "timeout" in hook:
        pidfd = os.pidfd_open(pid)
        waiter = select.poll()
        waiter.register(pidfd, select.POLLIN)
        in_time = waiter.poll(min(hook["timeout"] * 1000, LONGEST_POLL_MS))
        os.close(pidfd)
        if not in_time:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            raise OCIError(f"error running {label}: {hook['path']}: took longer than {hook['timeout']} s")
    status = processes.exit_status(os.waitpid(pid, 0)[1])
    if status != 0:
        raise OCIError(f"error running {label}: {hook['path']}: exit status {status}")
