"""`resume`: let a paused container go on, by the cgroup freezer."""

from runtime.oci import state
from runtime.oci.cgroups.group import Group
from runtime.oci.commands import arguments
from runtime.oci.errors import OCIError
from runtime.oci.flags import Arguments, Flag

ABOUT = "Let a paused container go on. No signal is involved: its processes cannot notice or refuse."
FLAGS: tuple[Flag, ...] = ()


@arguments.verb("resume", ABOUT, FLAGS, "CONTAINER-ID")
def main(root: str, found: Arguments) -> int:
    container = state.load(root, found.positionals[0])
    status = container.status()
    if status != "paused":
        raise OCIError(f"container not paused: it is {status}")
    Group(container.cgroup_paths).freeze(False)
    return 0
