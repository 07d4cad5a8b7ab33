"""`create`: a container whose first process waits to be told `start`."""

from runtime.oci import creation
from runtime.oci.commands import arguments
from runtime.oci.flags import Arguments, Flag

ABOUT = """Create a container from a bundle. Its first process exists afterwards, in its namespaces and its root, and
waits in exec.fifo until `start`; a caller can meanwhile set up what it needs, such as the network."""

FLAGS = (
    Flag("--bundle -b", "DIR", "the bundle (default: the working directory)"),
    Flag("--console-socket", "SOCKET", "unix socket to send the terminal's master end to"),
    Flag("--pid-file", "FILE", "write the pid of the first process to FILE"),
    Flag("--no-pivot", "", "MS_MOVE and chroot instead of pivot_root, for a root in ramfs"),
    Flag("--no-new-keyring", "", "keep the caller's session keyring"),
    Flag("--preserve-fds", "N", "pass N more descriptors, from 3 up"),
)


def options(found: Arguments) -> creation.CreateOptions:
    """The flags that create and run share."""
    chosen = creation.CreateOptions()
    chosen.bundle = found.value("bundle")
    chosen.console_socket = found.value("console-socket")
    chosen.pid_file = found.value("pid-file")
    chosen.no_pivot = "no-pivot" in found.switches
    chosen.no_new_keyring = "no-new-keyring" in found.switches
    chosen.preserve_fds = arguments.preserve_fds(found.value("preserve-fds"))
    return chosen


@arguments.verb("create", ABOUT, FLAGS, "CONTAINER-ID")
def main(root: str, found: Arguments) -> int:
    creation.create(root, found.positionals[0], options(found))
    return 0
