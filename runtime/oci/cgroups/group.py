"""One container's control group, whatever the layout of the host.

Counterpart: runc's libcontainer/cgroups `Manager`. Order of a container's life: `create` and `join` before init
exists, so that nothing it does goes uncounted; `limit` once its root is ready, before the hooks; `remove` at delete.
"""

import os
import select

from runtime.oci.cgroups import probe
from runtime.oci.errors import OCIError, reason

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

SIGKILL = 9
"""As a number: importing signal, with its enums, costs 2 ms in every verb."""
YIELDS_WHILE_EMPTYING = 2000
"""cgroup v1 has no event for "the last task is gone": an exiting task is given the CPU this many times at most."""
NOT_IDLE = ("cpu.idle", "0")
"""What a group is anyway where the kernel (before 5.15) or the host cannot make it anything else."""


class Group:
    """The directories that make up one container's group."""

    __slots__ = ("paths",)

    def __init__(self, paths: dict[str, str]) -> None:
        self.paths = paths

    @property
    def v1(self) -> bool:
        """Whether limits go to v1 controllers."""
        return any(self.paths.keys() - {""})

    def create(self) -> None:
        """Make the directories, parents too."""
        for controller, path in self.paths.items():
            os.makedirs(path, exist_ok=True)
            if controller == "cpuset":
                _inherit_cpuset(path)

    def join(self, pid: int) -> None:
        """Move a process in."""
        for path in self.paths.values():
            _write(os.path.join(path, "cgroup.procs"), str(pid))

    def limit(self, resources: "dict[str, Any]") -> None:
        """Write linux.resources."""
        from runtime.oci.cgroups import v1, v2  # most verbs limit nothing

        if self.v1:
            for controller, name, value in v1.plan(resources):
                if controller not in self.paths:
                    if controller == "devices" or (name, value) == NOT_IDLE:
                        continue
                    raise OCIError(f"linux.resources: this host has no {controller} controller to write {name}")
                self._write_limit(os.path.join(self.paths[controller], name), value)
            return
        writes = v2.plan(resources)
        memory = resources.get("memory", {})
        if memory.get("checkBeforeUpdate"):
            v2.check_usage(memory, self._used_bytes())
        if writes:
            _enable_controllers(self.paths[""])
        for name, value in writes:
            self._write_limit(os.path.join(self.paths[""], name), value)
        if resources.get("devices"):
            from runtime.oci.cgroups import device_filter

            device_filter.attach(self.paths[""], resources["devices"])

    def _used_bytes(self) -> int:
        try:
            with open(os.path.join(self.paths[""], "memory.current")) as file:
                return int(file.read())
        except FileNotFoundError:
            return 0  # a group that has no memory controller yet

    def _write_limit(self, path: str, value: str) -> None:
        name = os.path.basename(path)
        try:
            _write(path, value)
        except OSError as error:
            if (name, value) == NOT_IDLE and isinstance(error, FileNotFoundError):
                return
            if name == "memory.limit_in_bytes" and error.errno == 16:
                raise OCIError("linux.resources.memory.limit: below what the container uses already") from None
            raise OCIError(f"linux.resources: cannot write {value!r} to {path}: {reason(error)}") from None

    def processes(self) -> list[int]:
        """Outer pids of everything in the group and below."""
        return sorted(pid for path in self._any_tree() for pid in _pids(path))

    def kill_all(self, number: int) -> None:
        """Signal every process in the group."""
        for pid in self.processes():
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                pass  # gone since the file was read

    def freeze(self, frozen: bool) -> None:
        """Stop or resume all processes at once, without their noticing (no signal is involved)."""
        if "freezer" in self.paths:
            _freeze_v1(self.paths["freezer"], "FROZEN" if frozen else "THAWED")
        elif "" in self.paths:
            _freeze_v2(self.paths[""], frozen)
        else:
            raise OCIError("this container has no cgroup to freeze")

    def remove(self) -> None:
        """Kill what is left and remove the directories; a group with processes cannot be removed."""
        for path in dict.fromkeys(self.paths.values()):
            for directory in reversed(_tree(path)):
                _remove_directory(directory)

    def _any_tree(self) -> list[str]:
        for controller in ("pids", "devices", "memory", "", *self.paths):
            if controller in self.paths:
                return _tree(self.paths[controller])
        return []


def of_config(config: "dict[str, Any]", container_id: str) -> Group:
    """The group that config.json asks for on this host."""
    cgroups_path = config.get("linux", {}).get("cgroupsPath", "")
    return Group(probe.paths(probe.probe(), cgroups_path, container_id))


def _write(path: str, value: str) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(fd, value.encode())
    finally:
        os.close(fd)


def _read(path: str) -> str:
    with open(path) as file:
        return file.read().strip()


def _tree(path: str) -> list[str]:
    """A group and all below it, parents first."""
    if not os.path.isdir(path):
        return []
    below = sorted(entry.path for entry in os.scandir(path) if entry.is_dir(follow_symlinks=False))
    return [path, *(inner for directory in below for inner in _tree(directory))]


def _pids(path: str) -> list[int]:
    try:
        return [int(line) for line in _read(os.path.join(path, "cgroup.procs")).split()]
    except OSError:
        return []  # removed meanwhile, or a threaded group, which has no list


def _inherit_cpuset(path: str) -> None:
    """A new v1 cpuset is empty, and an empty one takes no process: copy from above, top down."""
    parent = os.path.dirname(path)
    for name in ("cpuset.cpus", "cpuset.mems"):
        if not os.path.exists(os.path.join(path, name)):
            return  # above the mount point
        if not _read(os.path.join(path, name)):
            if not _read(os.path.join(parent, name)):
                _inherit_cpuset(parent)
            _write(os.path.join(path, name), _read(os.path.join(parent, name)))


def _enable_controllers(path: str) -> None:
    """On v2 a group has the files of a controller only if every group above passes it on (cgroup.subtree_control)."""
    above = []
    parent = os.path.dirname(path)
    while os.path.exists(os.path.join(parent, "cgroup.subtree_control")):
        above.append(parent)
        parent = os.path.dirname(parent)
    for directory in reversed(above):
        for controller in _read(os.path.join(directory, "cgroup.controllers")).split():
            try:
                _write(os.path.join(directory, "cgroup.subtree_control"), f"+{controller}")
            except OSError:
                continue  # held back by an administrator, or a group with processes: the limit itself will say so


def _freeze_v1(path: str, wanted: str) -> None:
    _write(os.path.join(path, "freezer.state"), wanted)
    # FREEZING until each task has come to a safe point; writing again looks after the ones forked meanwhile
    while _read(os.path.join(path, "freezer.state")) != wanted:
        os.sched_yield()
        _write(os.path.join(path, "freezer.state"), wanted)


def _freeze_v2(path: str, frozen: bool) -> None:
    with open(os.path.join(path, "cgroup.events"), "rb", buffering=0) as events:
        watch = select.poll()
        watch.register(events, select.POLLPRI)
        _write(os.path.join(path, "cgroup.freeze"), str(int(frozen)))
        while f"frozen {int(frozen)}" not in os.pread(events.fileno(), 4096, 0).decode():
            watch.poll()


def _remove_directory(path: str) -> None:
    for _ in range(YIELDS_WHILE_EMPTYING):
        try:
            os.rmdir(path)
            return
        except FileNotFoundError:
            return
        except OSError as error:
            if error.errno != 16:  # EBUSY
                raise
        kill_and_wait(_pids(path))
        os.sched_yield()
    raise OCIError(f"{path}: device or resource busy: processes in the cgroup do not end")


def kill_and_wait(pids: list[int]) -> None:
    """SIGKILL processes and wait, by pidfd, until each is gone."""
    for pid in pids:
        try:
            pidfd = os.pidfd_open(pid)
            os.kill(pid, SIGKILL)
        except ProcessLookupError:
            continue
        waiter = select.poll()
        waiter.register(pidfd, select.POLLIN)
        waiter.poll()
        os.close(pidfd)
