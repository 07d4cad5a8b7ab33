"""What a recording is made of: everything observed, in the order the engine saw it.

An event's sequence number is its place in the recording (the first event after the header is 0); events do not
carry it. Three levels build on each other: what the kernel reported (`Process*`, `Syscall*`, `SignalDelivered`),
what decoding made of it (`MessageSeen`, `ActionSeen`), and where that puts us in the story (`StageEntered`,
`StopReached`, `HoldReleased`).

Times are nanoseconds since the recording began (CLOCK_MONOTONIC). They are distorted by tracing: they order and
group events, and are never shown as performance.

Identity of a process is its outer pid plus its start time (pids are reused), plus the count of its execs.
`tid` is the ptrace target, `pid` the thread group on the host, `nspids` the ids inside nested pid namespaces.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Scalar = str | int | bool | None
"""What a decoded field may hold: plain values, so that a recording needs no code to be read."""

RESULT = -1
"""In `files` of a call: not an argument, but the descriptor that it returned."""

ForkKind = Literal["fork", "vfork", "clone", "thread", "launched", "attached"]
"""How a task came to be: the call that made it, or the engine that launched or attached it."""


@dataclass(frozen=True, slots=True)
class ProcessForked:
    """A task (process or thread) exists from here on."""

    time_ns: int
    parent_tid: int
    """The task that made it; 0 where the engine launched or attached it."""
    tid: int
    pid: int
    """The thread group: equal to `tid` for a process, different for a thread."""
    how: ForkKind
    nspids: tuple[int, ...] = ()
    """`NSpid:` of /proc/PID/status, outermost first; empty where it could not be read in time."""
    start_time: int = 0
    """Clock ticks since boot, field 22 of proc_pid_stat(5); with the pid it names the process for good."""
    call: int = -1
    """Sequence number of the fork/clone call's entry or exit where it is known, else -1."""


@dataclass(frozen=True, slots=True)
class ProcessExecuted:
    """execve(2) succeeded: same process, another program."""

    time_ns: int
    tid: int
    """The task after the exec: always the thread group leader."""
    former_tid: int
    """The thread that called execve; differs from `tid` where it was not the leader."""
    path: str
    """What /proc/PID/exe names."""
    argv: tuple[str, ...]
    environment: tuple[str, ...]
    """`NAME=value` pairs, secrets masked."""
    cwd: str
    generation: int
    """How many execs this process has done, this one included; 0: what it ran already when it was attached to."""
    nspids: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class ProcessExited:
    """A task is gone."""

    time_ns: int
    tid: int
    pid: int
    exit_code: int | None
    """The argument of _exit(2), or None where a signal ended it."""
    signal: int | None
    """The signal that ended it, or None."""


@dataclass(frozen=True, slots=True)
class SyscallEntered:
    """A call has begun and has not returned when this was written: it blocks, or the task is held in it."""

    time_ns: int
    tid: int
    number: int
    arguments: tuple[int, ...]
    data: Mapping[str, bytes | None] = field(default_factory=dict)
    """Memory read from the tracee, by argument: "1" is what argument 1 points to, "1.name" and "1.control" the
    parts of a msghdr. Iovecs are gathered into one value, their lengths are "1.iov". "1.files": what the descriptors
    in an array or a control message refer to, NUL between them. "2.before": what stood there before the call.
    None: it could not be read. Shorter than the call's own length: truncated. Argument numbers count from 0."""
    files: Mapping[int, str] = field(default_factory=dict)
    """What each descriptor argument refers to, by argument number, and the result (`RESULT`): as /proc/PID/fd prints
    it, for unix sockets `unix:[INODE->PEER,"PATH"]` with the peer and the path where they are known, for netlink
    `netlink:[ROUTE:INODE]` with the protocol where it is."""


@dataclass(frozen=True, slots=True)
class SyscallExited:
    """A call has returned. The only record of most calls: `entered_ns` says when it began."""

    time_ns: int
    tid: int
    number: int
    arguments: tuple[int, ...]
    result: int
    """As the kernel returns it: -errno on failure."""
    entered_ns: int
    data: Mapping[str, bytes | None] = field(default_factory=dict)
    files: Mapping[int, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SignalDelivered:
    """A signal reaches a task (signal-delivery-stop of ptrace(2))."""

    time_ns: int
    tid: int
    signal: int
    code: int
    """`si_code` of sigaction(2): SI_USER, CLD_EXITED, ..."""
    sender_pid: int
    data: Mapping[str, bytes | None] = field(default_factory=dict)
    """`siginfo`: the whole siginfo_t as the kernel gave it."""


Direction = Literal["request", "response", "event", "data"]
Side = Literal["sent", "received"]


@dataclass(frozen=True, slots=True)
class MessageSeen:
    """A whole message of some protocol was written or read by a process."""

    time_ns: int
    tid: int
    pid: int
    connection: str
    """Names the connection for both of its ends: `unix:LOW-HIGH` by socket inodes, `fifo:PATH`, `netlink:INODE`."""
    protocol: str
    """`http`, `stdio` (multiplexed or raw container output), `grpc`, `ttrpc`, `containerd-event`, `netlink`, ..."""
    direction: Direction
    side: Side
    title: str
    """One line: `POST /v1.41/containers/create`, `201 Created`, `Tasks/Create`, `/tasks/start`."""
    fields: Mapping[str, Scalar]
    """Decoded head and, for protobuf, body fields, flat, dotted names: `status`, `path`, `HostConfig.Memory`."""
    body: str
    """The body as text (JSON where it is JSON or was protobuf); bounded, secrets masked."""
    calls: tuple[int, ...]
    """Sequence numbers of the calls that carried it, first to last."""


@dataclass(frozen=True, slots=True)
class ActionSeen:
    """One or more calls amount to something with a name, whatever libc or runtime spelled them."""

    time_ns: int
    tid: int
    pid: int
    action: str
    """`NamespaceEntered`, `MountAttached`, `RootPivoted`, `CapabilitiesDropped`, ..."""
    fields: Mapping[str, Scalar]
    calls: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class StageEntered:
    """The story has come to a stage."""

    time_ns: int
    tid: int
    pid: int
    stage: str
    evidence: int
    """Sequence number of the event that the stage's pattern matched."""


StopReason = Literal["stage", "event", "interrupt"]


@dataclass(frozen=True, slots=True)
class StopReached:
    """Everything traced is held from here until `HoldReleased`."""

    time_ns: int
    tid: int
    """The task whose event caused the hold; 0 for an interrupt that found nobody running."""
    reason: StopReason
    stage: str | None = None


@dataclass(frozen=True, slots=True)
class HoldReleased:
    """The tracees run again."""

    time_ns: int


@dataclass(frozen=True, slots=True)
class NoteMade:
    """The engine says something about the recording itself: what was folded, truncated, lost or not watched."""

    time_ns: int
    topic: str
    """`ready`, `background-started`, `lost`, `filtered`, `redacted`, `limit`, ..."""
    text: str
    fields: Mapping[str, Scalar] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RecordingEnded:
    """The last event of a complete recording. A recording without it is truncated."""

    time_ns: int
    exit_code: int | None
    """The foreground program's exit code (128+N for signal N); None where it never ran."""
    reason: str


Event = (
    ProcessForked
    | ProcessExecuted
    | ProcessExited
    | SyscallEntered
    | SyscallExited
    | SignalDelivered
    | MessageSeen
    | ActionSeen
    | StageEntered
    | StopReached
    | HoldReleased
    | NoteMade
    | RecordingEnded
)


@dataclass(frozen=True, slots=True)
class SyscallSignature:
    """A system call's name and its arguments, in kernel order."""

    name: str
    arguments: tuple[tuple[str, str], ...]
    """(name, type) pairs, types as python-ptrace's tables and ours name them: `fd`, `const char *`, `int`, ..."""


@dataclass(frozen=True, slots=True)
class RecordingHeader:
    """The first line: all that is needed to read the rest on another machine."""

    version: int
    created: str
    """RFC 3339, UTC."""
    kernel: str
    architecture: str
    command: tuple[str, ...]
    """The client's command line, secrets masked."""
    seats: Mapping[str, str]
    """Layer -> program in that seat: `daemon` -> `python -m runtime.daemon`."""
    stages: tuple[Mapping[str, object], ...]
    """The stages that were looked for, as the lesson's TOML gives them, so that one not seen can be shown."""
    syscalls: Mapping[int, SyscallSignature]
    mode: str = "full"
    """`full`: every call of every traced task. For the others see `commands.Launch.speed`."""
    lesson: str = ""
    """The lesson's id, where the run belongs to one."""
    typed: tuple[str, ...] = ()
    """`docker run ...` as the user typed it, secrets masked; empty where there was nobody who did."""
    recorded_first: tuple[str, ...] = ()
    """The real parts because of whose deadlines the run was recorded straight through, to be stepped afterwards; empty
    where every part waits, and could be held."""
