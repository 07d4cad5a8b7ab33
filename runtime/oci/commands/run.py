"""`run`: create, start, and unless detached wait and delete."""

import os
import signal

from runtime.oci import creation, lifecycle, processes
from runtime.oci.commands import arguments, create
from runtime.oci.errors import OCIError
from runtime.oci.flags import Arguments, Flag

ABOUT = """Create and start a container in one go. In the foreground its exit status is ours, signals go to it, and it
is deleted afterwards; with a terminal, ours is switched to raw mode and its bytes are relayed."""

FLAGS = (
    *create.FLAGS,
    Flag("--detach -d", "", "return once the process runs"),
    Flag("--keep", "", "do not delete the container when it ends"),
    Flag("--no-subreaper", "", "ignored: the first process is our own child anyway"),
)


@arguments.verb("run", ABOUT, FLAGS, "CONTAINER-ID")
def main(root: str, found: Arguments) -> int:
    options = create.options(found)
    detach = "detach" in found.switches
    relay = None
    if not detach and not options.console_socket and _wants_terminal(options.bundle):
        from runtime.oci import terminal

        relay = terminal.Relay()
        options.console_fd = relay.console_fd
    container = creation.create(root, found.positionals[0], options)
    try:
        if relay:
            relay.receive()
        elif not detach:
            forward_signals(container.pid)  # before start: the process may be signalled from its first moment
        lifecycle.start(container)
    except (OCIError, OSError):
        lifecycle.delete(container, force=True)
        raise
    if detach:
        return 0
    try:
        status = relay.run(container.pid) if relay else processes.exit_status(os.waitpid(container.pid, 0)[1])
    finally:
        if "keep" not in found.switches:
            lifecycle.delete(container, force=True)
    return status


def _wants_terminal(bundle: str) -> bool:
    from runtime.oci import bundle as bundles

    return bool(bundles.load(os.path.realpath(bundle or "."))["process"].get("terminal"))


def forward_signals(pid: int) -> None:
    """All that can be caught, but not the ones about our own children and input."""

    def forward(number: int, _frame: object) -> None:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            pass  # it ended as the signal arrived

    for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP, signal.SIGCHLD, signal.SIGURG}:
        try:
            signal.signal(number, forward)
        except (OSError, ValueError):
            continue  # reserved by the C library
