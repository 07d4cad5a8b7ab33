"""`state`: what is known of a container, as the runtime-spec's State object and runc's additions."""

import json
import sys

from runtime.oci import state
from runtime.oci.commands import arguments
from runtime.oci.flags import Arguments, Flag

ABOUT = "Print the state of a container as JSON. The status is worked out now, from the process and the cgroup."
FLAGS: tuple[Flag, ...] = ()


@arguments.verb("state", ABOUT, FLAGS, "CONTAINER-ID")
def main(root: str, found: Arguments) -> int:
    container = state.load(root, found.positionals[0])
    status = container.status()
    # runc prints pid 0 for a stopped container, where the spec leaves the field out: its callers expect a number
    shown = {"pid": 0} | container.spec_state(status) | {"rootfs": container.rootfs, "created": container.created}
    order = ("ociVersion", "id", "pid", "status", "bundle", "rootfs", "created", "annotations")
    sys.stdout.write(json.dumps({key: shown[key] for key in order if key in shown}, indent=2) + "\n")
    return 0
