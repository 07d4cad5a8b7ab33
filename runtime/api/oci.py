"""The words of the OCI runtime-spec: config.json and the State object (its config.md and runtime.md).

Three programs meet in them: the daemon writes config.json, the shim carries it, the OCI runtime reads it. The shapes
are TypedDicts and not dataclasses: the JSON *is* the interface, unknown fields must survive, and `runtime.oci` has to
start in a few milliseconds (dataclasses cost 15 of them, typing 5). So the shapes exist for the type checker only:
import them under TYPE_CHECKING. What exists at run time is the constants.
"""

CREATING, CREATED, RUNNING, PAUSED, STOPPED = "creating", "created", "running", "paused", "stopped"
"""The values of State.status; `paused` is runc's addition."""

DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Required, TypedDict

    class State(TypedDict, total=False):
        """What `state` prints and hooks get on stdin."""

        ociVersion: Required[str]
        id: Required[str]
        status: Required[str]
        pid: int
        bundle: Required[str]
        annotations: dict[str, str]

    class User(TypedDict, total=False):
        uid: int
        gid: int
        umask: int
        additionalGids: list[int]

    class Capabilities(TypedDict, total=False):
        bounding: list[str]
        effective: list[str]
        permitted: list[str]
        inheritable: list[str]
        ambient: list[str]

    class ResourceLimit(TypedDict):
        type: str
        soft: int
        hard: int

    class ConsoleSize(TypedDict):
        height: int
        width: int

    class Scheduler(TypedDict, total=False):
        """sched_setattr(2)."""

        policy: Required[str]
        nice: int
        priority: int
        flags: list[str]
        runtime: int
        deadline: int
        period: int

    IOPriority = TypedDict("IOPriority", {"class": str, "priority": int})
    """ioprio_set(2)."""

    class Process(TypedDict, total=False):
        """The user's process: what, as whom, with which rights."""

        terminal: bool
        consoleSize: ConsoleSize
        user: User
        args: Required[list[str]]
        env: list[str]
        cwd: Required[str]
        capabilities: Capabilities
        rlimits: list[ResourceLimit]
        noNewPrivileges: bool
        apparmorProfile: str
        selinuxLabel: str
        oomScoreAdj: int
        scheduler: Scheduler
        ioPriority: IOPriority

    class Root(TypedDict, total=False):
        path: Required[str]
        readonly: bool

    class Mount(TypedDict, total=False):
        destination: Required[str]
        type: str
        source: str
        options: list[str]

    class Hook(TypedDict, total=False):
        path: Required[str]
        args: list[str]
        env: list[str]
        timeout: int

    class Hooks(TypedDict, total=False):
        prestart: list[Hook]
        createRuntime: list[Hook]
        createContainer: list[Hook]
        startContainer: list[Hook]
        poststart: list[Hook]
        poststop: list[Hook]

    class Namespace(TypedDict, total=False):
        type: Required[str]
        path: str

    class IdMapping(TypedDict):
        containerID: int
        hostID: int
        size: int

    class Device(TypedDict, total=False):
        type: Required[str]
        path: Required[str]
        major: int
        minor: int
        fileMode: int
        uid: int
        gid: int

    class DeviceRule(TypedDict, total=False):
        allow: Required[bool]
        type: str
        major: int
        minor: int
        access: str

    class Resources(TypedDict, total=False):
        """Limits of the cgroup; see runtime/oci/schema.py for every field of the sections."""

        devices: list[DeviceRule]
        memory: dict[str, Any]
        cpu: dict[str, Any]
        pids: dict[str, int]
        blockIO: dict[str, Any]
        hugepageLimits: list[dict[str, Any]]
        network: dict[str, Any]
        rdma: dict[str, dict[str, int]]
        unified: dict[str, str]

    class SeccompArg(TypedDict, total=False):
        index: Required[int]
        value: Required[int]
        valueTwo: int
        op: Required[str]

    class SeccompSyscall(TypedDict, total=False):
        names: Required[list[str]]
        action: Required[str]
        errnoRet: int
        args: list[SeccompArg]

    class Seccomp(TypedDict, total=False):
        defaultAction: Required[str]
        defaultErrnoRet: int
        architectures: list[str]
        flags: list[str]
        syscalls: list[SeccompSyscall]

    class Linux(TypedDict, total=False):
        namespaces: list[Namespace]
        uidMappings: list[IdMapping]
        gidMappings: list[IdMapping]
        timeOffsets: dict[str, dict[str, int]]
        devices: list[Device]
        cgroupsPath: str
        resources: Resources
        rootfsPropagation: str
        seccomp: Seccomp
        sysctl: dict[str, str]
        maskedPaths: list[str]
        readonlyPaths: list[str]
        personality: dict[str, Any]

    class Config(TypedDict, total=False):
        """config.json."""

        ociVersion: Required[str]
        process: Process
        root: Root
        hostname: str
        domainname: str
        mounts: list[Mount]
        hooks: Hooks
        annotations: dict[str, str]
        linux: Linux
