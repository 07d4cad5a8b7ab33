"""`delete`: remove a container's state and cgroups."""

from runtime.oci import lifecycle, state
from runtime.oci.commands import arguments
from runtime.oci.errors import ContainerNotFoundError
from runtime.oci.flags import Arguments, Flag

ABOUT = """Remove what is left of a stopped container: its state directory and its cgroups.

One that is created or running is an error without --force, as the runtime-spec has it (runc takes a created one)."""
FLAGS = (Flag("--force -f", "", "kill the container first; an unknown one is no error"),)


@arguments.verb("delete", ABOUT, FLAGS, "CONTAINER-ID")
def main(root: str, found: Arguments) -> int:
    force = "force" in found.switches
    try:
        container = state.load(root, found.positionals[0])
    except ContainerNotFoundError:
        if force:
            # containerd's shim deletes once more to be sure; a create that was killed may have left a bare directory
            state.remove_state_directory(state.Container(root, found.positionals[0]).directory)
            return 0
        raise
    lifecycle.delete(container, force=force)
    return 0
