"""A container as the daemon knows it: what was asked, what was decided, how it is now (moby: container/container.go).

`Container` is the one mutable thing of the daemon; everything that changes it holds its lock. What must survive the
daemon is in `to_json`; streams, waiters and locks belong to this process only.
"""

import asyncio
from dataclasses import asdict, dataclass, field
from typing import Any

from runtime.daemon import log_options
from runtime.daemon.logs import JsonFileLog
from runtime.daemon.mount_points import MountPoint
from runtime.daemon.rootfs_files import SnapshotMount
from runtime.daemon.stdio import ProcessStreams
from runtime.daemon.timestamps import ZERO, rfc3339


@dataclass
class Endpoint:
    """A container's place in one network, as it is while the container runs."""

    network: str
    network_id: str = ""
    endpoint_id: str = ""
    gateway: str = ""
    address: str = ""
    prefix_length: int = 0
    mac_address: str = ""
    host_interface: str = ""
    """The veth's end on the host; what must be removed if the daemon is killed."""
    aliases: list[str] = field(default_factory=list)
    interface: str = ""
    """What the veth's other end is called inside; empty where there is none."""


@dataclass(frozen=True)
class Link:
    """One `--link` of a container."""

    child_id: str
    child_name: str
    """What the other was called when the link was made: its name now is its own affair."""
    alias: str


@dataclass(frozen=True)
class PublishedPort:
    """An address and port of the host's that leads to a port of a container's."""

    protocol: str
    """tcp or udp."""
    container_port: int
    host_ip: str
    host_port: int


@dataclass
class State:
    """How a container is, as `docker inspect` shows it."""

    running: bool = False
    paused: bool = False
    restarting: bool = False
    oom_killed: bool = False
    pid: int = 0
    exit_code: int = 0
    error: str = ""
    started_at: str = ZERO
    finished_at: str = ZERO

    @property
    def status(self) -> str:
        """The one word for it."""
        if self.paused:
            return "paused"
        if self.restarting:
            return "restarting"
        if self.running:
            return "running"
        return "created" if self.started_at == ZERO else "exited"


@dataclass(eq=False)
class Container:
    """One container from create to remove."""

    id: str
    name: str
    created_ns: int
    image_id: str
    image_name: str
    """The image as it was asked for."""
    path: str
    args: list[str]
    config: dict[str, Any]
    """ContainerConfig, completed by the image's."""
    host_config: dict[str, Any]
    networking: dict[str, Any]
    """The networks it is to be in, in order: name -> EndpointSettings as they were asked for."""
    mount_points: list[MountPoint]
    rootfs: list[SnapshotMount]
    """The mounts of its snapshot, for the shim to make."""
    snapshotter: str
    directory: str
    """Where the daemon keeps what belongs to it: record, log, hosts file..."""
    state: State = field(default_factory=State)
    restart_count: int = 0
    stopped_by_hand: bool = False
    endpoints: list[Endpoint] = field(default_factory=list)
    ports: list[PublishedPort] = field(default_factory=list)
    """What is published now; what is wanted is in `host_config`."""
    interfaces: dict[str, int] = field(default_factory=dict)
    """By prefix, how many it has had in this run: the next has the next number, though one has gone meanwhile."""
    links: list[Link] = field(default_factory=list)
    linked_hosts: list[str] = field(default_factory=list)
    """The lines about them in /etc/hosts, as of now."""
    shm_path: str = ""
    """Where its /dev/shm is on the host, for others to share; empty where none may."""
    apparmor_profile: str = ""

    def __post_init__(self) -> None:
        self.lock = asyncio.Lock()
        self.log = JsonFileLog(f"{self.directory}/{self.id}-json.log")
        self.removing = False
        self.execs: dict[str, Any] = {}
        self.new_streams()
        loop = asyncio.get_running_loop()
        self.task_exited: asyncio.Future[tuple[int, int]] = loop.create_future()
        """Status and instant of the exit that containerd reports for the current run."""
        self.stopped = asyncio.Event()
        """Set while it does not run."""
        self.stopped.set()
        self._next_exit: set[asyncio.Future[int]] = set()
        self._removed: set[asyncio.Future[int]] = set()

    def new_streams(self) -> None:
        """Streams for the next run. Clients may attach to them before it starts, and the CLI always does."""
        self.streams = ProcessStreams(bool(self.config.get("OpenStdin")), self.terminal)

    def begin_log(self) -> None:
        """Log what comes out of the current streams, unless `--log-driver none` was given. Raises ServerError."""
        asked = self.host_config["LogConfig"]
        if asked["Type"] == "none":
            return
        names = {
            "Name": self.name,
            "ID": self.id[:12],
            "FullID": self.id,
            "ImageName": self.image_name,
            "ImageID": self.image_id.removeprefix("sha256:")[:12],
            "ImageFullID": self.image_id,
            "Command": " ".join([self.path, *self.args]),
            "DaemonName": "docker",
        }
        self.log.begin(log_options.parse(asked["Config"], self.config["Labels"], self.config["Env"], names))
        self.streams.add_sink(self.log)

    @property
    def terminal(self) -> bool:
        """Whether the process has a pty."""
        return bool(self.config.get("Tty"))

    @property
    def hostname(self) -> str:
        """What the container calls itself."""
        return str(self.config.get("Hostname") or "")

    @property
    def auto_remove(self) -> bool:
        """Whether `--rm` was given."""
        return bool(self.host_config.get("AutoRemove"))

    # Waiting ---------------------------------------------------------------------------------------------

    def next_exit(self) -> asyncio.Future[int]:
        """Done with the exit code when the current or next run has ended."""
        return self._waiter(self._next_exit)

    def removed(self) -> asyncio.Future[int]:
        """Done with the exit code when it is gone."""
        return self._waiter(self._removed)

    def _waiter(self, waiters: set[asyncio.Future[int]]) -> asyncio.Future[int]:
        waiter: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        waiters.add(waiter)
        waiter.add_done_callback(waiters.discard)
        return waiter

    def tell_exit(self) -> None:
        """Wake those who wait for the run to end."""
        _resolve(self._next_exit, self.state.exit_code)

    def tell_removed(self) -> None:
        """Wake those who wait for it to be gone, whatever else they waited for."""
        _resolve(self._next_exit, self.state.exit_code)
        _resolve(self._removed, self.state.exit_code)

    # On disk ---------------------------------------------------------------------------------------------

    def to_json(self) -> dict[str, Any]:
        """What a restarted daemon must know."""
        return {
            "id": self.id,
            "name": self.name,
            "created_ns": self.created_ns,
            "image_id": self.image_id,
            "image_name": self.image_name,
            "path": self.path,
            "args": self.args,
            "config": self.config,
            "host_config": self.host_config,
            "networking": self.networking,
            "mount_points": [point.to_json() for point in self.mount_points],
            "rootfs": [[mount.type, mount.source, list(mount.options)] for mount in self.rootfs],
            "snapshotter": self.snapshotter,
            "state": asdict(self.state),
            "restart_count": self.restart_count,
            "stopped_by_hand": self.stopped_by_hand,
            "endpoints": [asdict(endpoint) for endpoint in self.endpoints],
            "ports": [asdict(port) for port in self.ports],
            "interfaces": self.interfaces,
            "links": [asdict(link) for link in self.links],
            "linked_hosts": self.linked_hosts,
            "shm_path": self.shm_path,
            "apparmor_profile": self.apparmor_profile,
        }

    @classmethod
    def from_json(cls, document: dict[str, Any], directory: str) -> "Container":
        """The inverse of `to_json`."""
        return cls(
            **{
                **document,
                "mount_points": [MountPoint(**point) for point in document["mount_points"]],
                "rootfs": [SnapshotMount(kind, source, tuple(options)) for kind, source, options in document["rootfs"]],
                "state": State(**document["state"]),
                "endpoints": [Endpoint(**endpoint) for endpoint in document["endpoints"]],
                "ports": [PublishedPort(**port) for port in document.get("ports", [])],
                "links": [Link(**link) for link in document.get("links", [])],
                "interfaces": _interfaces(document),
                "directory": directory,
            }
        )

    def next_interface(self, prefix: str) -> str:
        """The name of its next interface: libnetwork counts for each prefix."""
        number = self.interfaces.get(prefix, 0)
        self.interfaces[prefix] = number + 1
        return f"{prefix}{number}"

    @property
    def created(self) -> str:
        """When it was created."""
        return rfc3339(self.created_ns)


def _interfaces(document: dict[str, Any]) -> dict[str, int]:
    """By prefix; an older daemon had one count for all of them, which none of its interfaces' numbers reach."""
    recorded: dict[str, int] | int = document.get("interfaces", {})
    if not isinstance(recorded, int):
        return recorded
    return {endpoint["interface"].rstrip("0123456789"): recorded for endpoint in document["endpoints"]}


def _resolve(waiters: set[asyncio.Future[int]], code: int) -> None:
    for waiter in list(waiters):
        if not waiter.done():
            waiter.set_result(code)
