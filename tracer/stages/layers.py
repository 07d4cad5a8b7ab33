"""Which seat a process sits in: client, daemon, containerd, shim, runtime or container.

A program is recognised by its argv, ours and the real ones alike, so that a stage's pattern need not know who plays
the part. What is not recognised inherits: a fork stays in its parent's seat, and a helper that a seat runs (docker's
plugins, dockerd's iptables) belongs to that seat.

    containerd --fork--> (containerd) --exec containerd-shim-...--> shim --exec runc create--> runtime
                                       runtime's init --pivot_root, execve--> container, and so for all its children

The last hand-over cannot be read off an argv (the user may run anything, `runc` included). A runtime process that has
exchanged its root (pivot_root, chroot) or joined a container's mount namespace (`runc exec`) is *sealed in*: whatever
it executes next is the container's. From there on nothing leaves: docker in docker stays in the container's seat.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from os.path import basename

from tracer.events import ActionSeen, Event, ProcessExecuted, ProcessForked


class Layer(StrEnum):
    """The six seats, from the keypress down."""

    CLIENT = "client"
    DAEMON = "daemon"
    CONTAINERD = "containerd"
    SHIM = "shim"
    RUNTIME = "runtime"
    CONTAINER = "container"


@dataclass(frozen=True, slots=True)
class Seat:
    """What an argv says: the seat, the program in it, and what the program is asked to do."""

    layer: Layer
    program: str
    verb: str
    """`run` of docker, `create` of an OCI runtime, `start`, `delete` or `serve` of a shim; else empty."""


_OURS = {
    "runtime.client": Layer.CLIENT,
    "runtime.daemon": Layer.DAEMON,
    "runtime.containerd": Layer.CONTAINERD,
    "runtime.shim": Layer.SHIM,
    "runtime.oci": Layer.RUNTIME,
}
_PROGRAMS = {
    "docker": Layer.CLIENT,
    "dockerd": Layer.DAEMON,
    "containerd": Layer.CONTAINERD,
    "runc": Layer.RUNTIME,
    "crun": Layer.RUNTIME,
    "glassbottom-oci": Layer.RUNTIME,
}
_SHIM_PREFIX = "containerd-shim"

_WITH_VALUE = frozenset(
    (
        # docker's, runc's, crun's and the shims' options before the verb that take the next word as their value
        *("-H", "--host", "-c", "--context", "--config", "-l", "--log-level", "--tlscacert", "--tlscert", "--tlskey"),
        *("--root", "--log", "--log-format", "--criu", "--rootless", "--cgroup-manager"),
        *("-namespace", "-address", "-publish-binary", "-id", "-bundle", "-socket", "-runtime-root"),
        *("--namespace", "--address", "--publish-binary", "--id", "--bundle", "--socket"),
    )
)
_PYTHON_WITH_VALUE = frozenset(("-X", "-W", "--check-hash-based-pycs"))


def recognise(path: str, argv: Sequence[str]) -> Seat | None:
    """The seat that this program takes, or None for a program that has none of its own."""
    return _recognise(path, tuple(argv))


@lru_cache(maxsize=256)
def _recognise(path: str, argv: tuple[str, ...]) -> Seat | None:
    if not argv:
        return None
    program, rest = basename(argv[0]), argv[1:]
    if program.startswith("python"):
        program, rest = _python_program(rest)
    layer = _layer_of(program)
    if layer is None and basename(path) != program:
        program = basename(path)
        layer = _layer_of(program)
    if layer is None:
        return None
    verb = _verb(rest)
    if layer is Layer.SHIM:
        verb = verb or "serve"
    return Seat(layer, program, verb)


def _layer_of(program: str) -> Layer | None:
    if program.startswith(_SHIM_PREFIX):
        return Layer.SHIM
    return _PROGRAMS.get(program) or _OURS.get(program)


def _python_program(arguments: tuple[str, ...]) -> tuple[str, tuple[str, ...]]:
    """What an interpreter was told to run: a module's name, or a script's (`.../runtime/shim/__main__.py`)."""
    index = 0
    while index < len(arguments):
        word = arguments[index]
        if word == "-m" and index + 1 < len(arguments):
            return arguments[index + 1].removesuffix(".__main__"), arguments[index + 2 :]
        if word == "-c":
            return "", ()
        if not word.startswith("-"):
            parts = word.split("/")
            if parts[-1] == "__main__.py" and len(parts) >= 3:
                return ".".join(parts[-3:-1]), arguments[index + 1 :]
            return parts[-1], arguments[index + 1 :]
        index += 2 if word in _PYTHON_WITH_VALUE else 1
    return "", ()


def _verb(arguments: tuple[str, ...]) -> str:
    """The first word that is neither an option nor an option's value."""
    skip = False
    for word in arguments:
        if skip:
            skip = False
        elif word.startswith("-"):
            skip = word in _WITH_VALUE
        else:
            return word
    return ""


class LayerFold:
    """Who sits where, at the event that was fed last. Feed it process events and `ActionSeen`."""

    def __init__(self) -> None:
        self._pid_of: dict[int, int] = {}
        self._layers: dict[int, Layer] = {}
        self._seats: dict[int, Seat] = {}
        self._sealed: set[int] = set()
        self._inits: set[int] = set()

    def feed(self, event: Event) -> None:
        """Take one event; others than process events and actions change nothing."""
        if isinstance(event, ProcessForked):
            self._forked(event)
        elif isinstance(event, ProcessExecuted):
            self._executed(event)
        elif isinstance(event, ActionSeen):
            self._acted(event)

    def pid_of(self, tid: int) -> int:
        """The thread group of a task; the task itself where its making was not seen."""
        return self._pid_of.get(tid, tid)

    def layer_of(self, pid: int) -> Layer | None:
        """The seat of a process (or of a thread's process), None for one that belongs to no seat."""
        return self._layers.get(self._pid_of.get(pid, pid))

    def seat_of(self, pid: int) -> Seat | None:
        """The program and verb that this process executed itself, None where it only forked."""
        return self._seats.get(self._pid_of.get(pid, pid))

    def is_sealed(self, pid: int) -> bool:
        """True for a runtime process whose next execve starts the user's program."""
        return self._pid_of.get(pid, pid) in self._sealed

    def is_init(self, pid: int) -> bool:
        """True for the process that became the user's program by execve; false for what that has forked."""
        return self._pid_of.get(pid, pid) in self._inits

    def _forked(self, event: ProcessForked) -> None:
        self._pid_of[event.tid] = event.pid
        if event.how == "thread":
            return
        # Pids are reused: what an earlier process of this number was must not stick.
        self._seats.pop(event.pid, None)
        self._sealed.discard(event.pid)
        self._inits.discard(event.pid)
        parent = self._layers.get(self._pid_of.get(event.parent_tid, event.parent_tid))
        if parent is None:
            self._layers.pop(event.pid, None)
        else:
            self._layers[event.pid] = parent

    def _executed(self, event: ProcessExecuted) -> None:
        pid = event.tid
        self._pid_of[pid] = pid
        if self._layers.get(pid) is Layer.CONTAINER:
            return
        if pid in self._sealed:
            self._layers[pid] = Layer.CONTAINER
            self._inits.add(pid)
            self._seats.pop(pid, None)
            return
        seat = recognise(event.path, event.argv)
        if seat is None:
            self._seats.pop(pid, None)
        else:
            self._seats[pid] = seat
            self._layers[pid] = seat.layer

    def _acted(self, event: ActionSeen) -> None:
        if self._layers.get(event.pid) is not Layer.RUNTIME:
            return
        how, mounts = event.fields.get("how"), event.fields.get("mount")
        joined_mounts = event.action == "NamespaceEntered" and how == "setns" and mounts is True
        if event.action in ("RootPivoted", "RootChanged") or joined_mounts:
            self._sealed.add(event.pid)
