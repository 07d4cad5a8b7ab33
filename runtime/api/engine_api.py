"""The words of the Docker Engine API: JSON shapes that client and daemon exchange (API reference v1.41).

Only the fields that `docker run` and its neighbours use are named; a daemon ignores others, a client prints what it
gets. Every field may be absent (`total=False`): docker-py sends a small part of what the docker CLI sends.

    client -> daemon   POST /containers/create   CreateRequest      -> CreateReply
    client -> daemon   POST /containers/ID/wait                     -> WaitReply, when it happens
    daemon -> client   any refusal                                  -> ErrorReply with 4xx or 5xx
"""

from typing import Any, TypedDict


class ErrorReply(TypedDict):
    """The body of every refusal."""

    message: str


class PortBinding(TypedDict, total=False):
    """One published port; empty strings mean any address, any port."""

    HostIp: str
    HostPort: str


class MountRequest(TypedDict, total=False):
    """One `--mount`."""

    Type: str
    Source: str
    Target: str
    ReadOnly: bool
    BindOptions: dict[str, Any]
    VolumeOptions: dict[str, Any]
    TmpfsOptions: dict[str, Any]


class RestartPolicy(TypedDict, total=False):
    """`--restart on-failure:3`."""

    Name: str
    MaximumRetryCount: int


class Ulimit(TypedDict):
    """`--ulimit nofile=1024:2048`."""

    Name: str
    Soft: int
    Hard: int


class DeviceRequest(TypedDict, total=False):
    """`--device /dev/fuse:/dev/fuse:rwm`."""

    PathOnHost: str
    PathInContainer: str
    CgroupPermissions: str


class HostConfig(TypedDict, total=False):
    """What depends on the host: resources, namespaces, mounts, security."""

    Binds: list[str] | None
    Mounts: list[MountRequest] | None
    Tmpfs: dict[str, str] | None
    NetworkMode: str
    PortBindings: dict[str, list[PortBinding]] | None
    PublishAllPorts: bool
    RestartPolicy: RestartPolicy
    AutoRemove: bool
    CapAdd: list[str] | None
    CapDrop: list[str] | None
    CgroupnsMode: str
    CgroupParent: str
    Dns: list[str] | None
    DnsOptions: list[str] | None
    DnsSearch: list[str] | None
    ExtraHosts: list[str] | None
    GroupAdd: list[str] | None
    Init: bool | None
    IpcMode: str
    PidMode: str
    UTSMode: str
    UsernsMode: str
    OomScoreAdj: int
    Privileged: bool
    ReadonlyRootfs: bool
    SecurityOpt: list[str] | None
    ShmSize: int
    Sysctls: dict[str, str] | None
    Runtime: str
    Memory: int
    MemorySwap: int
    MemoryReservation: int
    MemorySwappiness: int | None
    OomKillDisable: bool | None
    NanoCpus: int
    CpuShares: int
    CpuPeriod: int
    CpuQuota: int
    CpusetCpus: str
    CpusetMems: str
    PidsLimit: int | None
    BlkioWeight: int
    Ulimits: list[Ulimit] | None
    Devices: list[DeviceRequest] | None
    DeviceCgroupRules: list[str] | None
    ConsoleSize: list[int]
    LogConfig: dict[str, Any]
    MaskedPaths: list[str]
    ReadonlyPaths: list[str]
    VolumesFrom: list[str] | None


class ContainerConfig(TypedDict, total=False):
    """What does not: the process, its surroundings, the image."""

    Hostname: str
    Domainname: str
    User: str
    AttachStdin: bool
    AttachStdout: bool
    AttachStderr: bool
    Tty: bool
    OpenStdin: bool
    StdinOnce: bool
    Env: list[str] | None
    Cmd: list[str] | None
    Entrypoint: list[str] | None
    Image: str
    Volumes: dict[str, Any] | None
    WorkingDir: str
    Labels: dict[str, str] | None
    ExposedPorts: dict[str, Any] | None
    StopSignal: str
    StopTimeout: int


class CreateRequest(ContainerConfig, total=False):
    """The body of POST /containers/create: a config with two parts more."""

    HostConfig: HostConfig
    NetworkingConfig: dict[str, Any]


class CreateReply(TypedDict):
    """What create answers."""

    Id: str
    Warnings: list[str]


class WaitError(TypedDict):
    """Why a wait ended without an exit."""

    Message: str


class WaitReply(TypedDict):
    """What wait answers, after its headers have been out for as long as the container ran."""

    Error: WaitError | None
    StatusCode: int


class EventActor(TypedDict):
    """Whom an event is about."""

    ID: str
    Attributes: dict[str, str]


class EventMessage(TypedDict, total=False):
    """One line of GET /events. `status`, `id` and `from` are there for containers and images only."""

    status: str
    id: str
    Type: str
    Action: str
    Actor: EventActor
    scope: str
    time: int
    timeNano: int
