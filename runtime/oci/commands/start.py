"""`start`: let a created container run."""

from runtime.oci import lifecycle, state
from runtime.oci.commands import arguments
from runtime.oci.flags import Arguments, Flag

ABOUT = "Run the user's process of a created container: open the other end of its exec.fifo."
FLAGS: tuple[Flag, ...] = ()


@arguments.verb("start", ABOUT, FLAGS, "CONTAINER-ID")
def main(root: str, found: Arguments) -> int:
    lifecycle.start(state.load(root, found.positionals[0]))
    return 0
