"""`pause`: stop all processes of a container, by the cgroup freezer."""

from runtime.oci import state
from runtime.oci.cgroups.group import Group
from runtime.oci.commands import arguments
from runtime.oci.errors import OCIError
from runtime.oci.flags import Arguments, Flag

ABOUT = "Stop all processes of a container. No signal is involved: its processes cannot notice or refuse."
FLAGS: tuple[Flag, ...] = ()


@arguments.verb("pause", ABOUT, FLAGS, "CONTAINER-ID")
def main(root: str, found: Arguments) -> int:
    container = state.load(root, found.positionals[0])
    status = container.status()
    if status not in ("running", "created"):
        raise OCIError(f"container not running: it is {status}")
    Group(container.cgroup_paths).freeze(True)
    return 0
