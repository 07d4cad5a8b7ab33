"""What is remembered of a container between two commands: ROOT/ID/state.json.

Counterpart: runc's state.json (libcontainer/container_linux.go) and the "State" section of runtime-spec's runtime.md.
The file holds what does not change; the *status* is worked out afresh each time from what the kernel says, because the
process can die at any moment without telling anyone:

    no init yet, or not ready -> creating
    exec.fifo still there     -> created   (init waits in it, see exec_fifo.py)
    pid gone, reused, zombie  -> stopped   (reuse is noticed by the start time, /proc/PID/stat field 22)
    cgroup frozen             -> paused
    otherwise                 -> running

Written to a temporary name and renamed, so that a reader sees the old file or the new, never half of one.
"""

import os
import time

from runtime.oci import plain_json
from runtime.oci.errors import ContainerNotFoundError, OCIError
from runtime.oci.version import SPEC_VERSION

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

STATE_FILE = "state.json"
CONFIG_FILE = "config.json"
FIFO_FILE = "exec.fifo"
ID_CHARACTERS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_+-.")


class Container:
    """One container as its state file describes it."""

    __slots__ = (
        "annotations",
        "bundle",
        "cgroup_paths",
        "created",
        "id",
        "no_new_keyring",
        "pid",
        "ready",
        "root",
        "rootfs",
        "start_time",
    )

    def __init__(self, root: str, container_id: str) -> None:
        self.root = root
        self.id = container_id
        self.bundle = ""
        self.rootfs = ""
        self.pid = 0
        self.start_time = 0
        self.ready = False
        """Whether init has got as far as waiting for `start`."""
        self.created = ""
        self.annotations: dict[str, str] = {}
        self.cgroup_paths: dict[str, str] = {}
        """Controller -> directory on cgroup v1 ("" for the unified tree); only "" on v2."""
        self.no_new_keyring = False

    @property
    def directory(self) -> str:
        return os.path.join(self.root, self.id)

    @property
    def fifo_path(self) -> str:
        return os.path.join(self.directory, FIFO_FILE)

    def config(self) -> "dict[str, Any]":
        """The configuration as it was when the container was created, whatever the bundle says today."""
        with open(os.path.join(self.directory, CONFIG_FILE), "rb") as file:
            loaded: dict[str, Any] = plain_json.loads(file.read())
        return loaded

    def save(self) -> None:
        """Write state.json in one atomic step."""
        write_atomically(
            os.path.join(self.directory, STATE_FILE),
            {
                "id": self.id,
                "pid": self.pid,
                "startTime": self.start_time,
                "ready": self.ready,
                "bundle": self.bundle,
                "rootfs": self.rootfs,
                "created": self.created,
                "annotations": self.annotations,
                "cgroupPaths": self.cgroup_paths,
                "noNewKeyring": self.no_new_keyring,
            },
        )

    def status(self) -> str:
        """Ask the kernel: creating, created, running, paused or stopped."""
        if self.pid == 0:
            return "creating"
        if process_start_time(self.pid) != self.start_time:
            return "stopped"
        if not self.ready:
            return "creating"
        if os.path.exists(self.fifo_path):
            return "created"
        return "paused" if is_frozen(self.cgroup_paths) else "running"

    def spec_state(self, status: str) -> "dict[str, Any]":
        """The State object of the runtime-spec, as hooks get it on stdin."""
        state: dict[str, Any] = {"ociVersion": SPEC_VERSION, "id": self.id, "status": status}
        if status != "stopped":
            state["pid"] = self.pid
        state["bundle"] = self.bundle
        if self.annotations:
            state["annotations"] = self.annotations
        return state

    def remove_directory(self) -> None:
        """Forget the container."""
        remove_state_directory(self.directory)


def remove_state_directory(directory: str) -> None:
    """Remove a container's state directory; state.json goes first, so that a half-removed one is not listed.

    Looks again while something is left: a `create` whose caller was killed may still be writing there, by new names and
    renames, until it finds that its directory has gone.
    """
    while True:
        try:
            for name in sorted(os.listdir(directory), key=lambda name: name != STATE_FILE):
                _unlink(os.path.join(directory, name))
            os.rmdir(directory)
            return
        except FileNotFoundError:
            return
        except OSError as error:
            if error.errno != 39:  # ENOTEMPTY
                raise


def _unlink(path: str) -> None:
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass


def check_id(container_id: str) -> None:
    """An id becomes a directory name: refuse anything that could lead elsewhere."""
    if container_id in ("", ".", "..") or not ID_CHARACTERS.issuperset(container_id):
        raise OCIError(f'invalid container ID "{container_id}": letters, digits and _+-. only')


def load(root: str, container_id: str) -> Container:
    """Read a container's state file."""
    check_id(container_id)
    container = Container(root, container_id)
    path = os.path.join(container.directory, STATE_FILE)
    try:
        with open(path, "rb") as file:
            saved = plain_json.loads(file.read())
    except (FileNotFoundError, NotADirectoryError):
        raise ContainerNotFoundError(container_id) from None
    except ValueError as error:
        raise OCIError(f"{path}: {error}") from None
    container.pid = saved["pid"]
    container.start_time = saved["startTime"]
    container.ready = saved["ready"]
    container.bundle = saved["bundle"]
    container.rootfs = saved["rootfs"]
    container.created = saved["created"]
    container.annotations = saved["annotations"]
    container.cgroup_paths = saved["cgroupPaths"]
    container.no_new_keyring = saved["noNewKeyring"]
    return container


def load_all(root: str) -> list[Container]:
    """Every container under the state root, by name."""
    try:
        names = sorted(os.listdir(root))
    except FileNotFoundError:
        return []
    return [load(root, name) for name in names if os.path.exists(os.path.join(root, name, STATE_FILE))]


def write_atomically(path: str, content: object) -> None:
    """Write JSON so that the name always holds a whole file."""
    temporary = f"{path}.{os.getpid()}"
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with open(fd, "w", encoding="utf-8") as file:
        file.write(plain_json.dumps(content))
    os.rename(temporary, path)


def process_start_time(pid: int) -> int:
    """Start time of a live process in clock ticks since boot; 0 when it is gone or a zombie."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            # the command name is in parentheses and may itself hold spaces and parentheses
            fields = file.read().rpartition(b")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return 0 if fields[0] in (b"Z", b"X") else int(fields[19])


def is_frozen(cgroup_paths: dict[str, str]) -> bool:
    """Whether `pause` has frozen the container's cgroup."""
    for controller, file_name, frozen in (("freezer", "freezer.state", "FROZEN"), ("", "cgroup.freeze", "1")):
        if controller in cgroup_paths:
            try:
                with open(os.path.join(cgroup_paths[controller], file_name)) as file:
                    return file.read().strip() == frozen
            except FileNotFoundError:
                continue
    return False


def timestamp_now() -> str:
    """RFC 3339 with nanoseconds, as runc writes `created`."""
    now_ns = time.time_ns()
    seconds, nanoseconds = divmod(now_ns, 1_000_000_000)
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + f".{nanoseconds:09d}Z"
