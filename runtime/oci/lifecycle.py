"""start and delete as functions, for the verbs of that name and for `run` (runtime-spec runtime.md "Lifecycle").

Apart from creation.py because `start` and `delete` run on every container's way and need neither ctypes nor a mount
table: what they import is most of the time they take.
"""

from runtime.oci import exec_fifo, state
from runtime.oci.cgroups import group as cgroup
from runtime.oci.errors import OCIError
from runtime.oci.log import log

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def start(container: state.Container) -> None:
    """Let init of a created container become the user's program."""
    status = container.status()
    if status != "created":
        sentences = {
            "stopped": "cannot start a container that has stopped",
            "running": "cannot start an already running container",
        }
        raise OCIError(sentences.get(status, f"cannot start a container in the {status} state"))
    exec_fifo.release(container.fifo_path, container.pid)
    run_late_hooks("poststart", container, container.config(), "running")


def delete(container: state.Container, *, force: bool) -> None:
    """Remove a stopped container; with force, make it stop first."""
    status = container.status()
    if status != "stopped":
        if not force:
            raise OCIError(f'cannot delete container "{container.id}" that is not stopped: it is {status}')
        kill_and_wait(container)
    cgroup.Group(container.cgroup_paths).remove()
    config = container.config()
    container.remove_directory()
    run_late_hooks("poststop", container, config, "stopped")


def kill_and_wait(container: state.Container) -> None:
    """SIGKILL to everything in the container, and wait until its first process is gone."""
    group = cgroup.Group(container.cgroup_paths)
    if state.is_frozen(container.cgroup_paths):
        group.kill_all(cgroup.SIGKILL)
        group.freeze(False)  # a v1 frozen task takes its SIGKILL only when thawed
    if container.pid:
        cgroup.kill_and_wait([container.pid])


def run_late_hooks(name: str, container: state.Container, config: "dict[str, Any]", status: str) -> None:
    """Hooks whose failure cannot undo anything any more: a warning."""
    if not config.get("hooks", {}).get(name):
        return
    from runtime.oci import hooks

    try:
        hooks.run(name, config, container.spec_state(status))
    except OCIError as error:
        log.warning(str(error))
