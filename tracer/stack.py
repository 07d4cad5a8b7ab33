"""Where a private stack lives and how its programs are started: argv, sockets, folders, names, all decided beforehand.

A stack is one containerd and one daemon with a root directory, sockets, cgroup parent and bridge of their own, so
that any number can run side by side and beside the host's Docker, and so that everything which belongs to one can be
found again by name after its owner was killed. The plan is written to ``stack.json`` before anything starts:

    BASE/ID/stack.json       who owns the stack, and the names below      BASE: $XDG_RUNTIME_DIR/glassbottom,
    BASE/ID/docker.sock      the daemon's socket                                or /tmp/glassbottom-UID
    BASE/ID/containerd.sock  containerd's (and .ttrpc for its shims)
    BASE/ID/seen.sock        a link to it, made by an engine that has begun to watch: see tracer/engine/curtain.py
    BASE/ID/cr, cs           containerd's root and state
    BASE/ID/data, exec       the daemon's
    BASE/ID/bin              what is called by a name that is not its own: see `_fill_bin`
    BASE/ID/tmp              everybody's temporary files

Paths are short because a unix socket's has 107 bytes at most (unix(7)). Who starts the programs is not decided here:
the engine does it under ptrace, ``glassbottom stack up`` without.
"""

import json
import os
import shutil
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace

from tracer import hybrid_cgroups, procfs
from tracer.commands import Program

SOCKET_PATH_BYTES = 107
"""What sockaddr_un has room for, without the final NUL."""

STACK_FILE = "stack.json"
PARTS = (
    "bin",
    "cr",
    "cs",
    "s",
    "data",
    "exec",
    "tmp",
    "docker.sock",
    "containerd.sock",
    "containerd.sock.ttrpc",
    "seen.sock",
    "docker.pid",
)
"""Everything that a stack's programs make in its root; cleanup removes these and nothing else from a given --root."""


class StackError(Exception):
    """A stack cannot be planned or started; the message is a lowercase sentence."""


@dataclass(frozen=True)
class StackPlan:
    """Everything about one stack that has to be known before its first process."""

    id: str
    registry: str
    """The folder that holds stack.json: BASE/ID, always, so that cleanup knows where to look."""
    root: str
    """Where everything else is: the same folder, unless --root said otherwise."""
    made_root: bool
    """Whether the root was made for this stack; a folder that was there before is not removed."""
    socket: str
    containerd_socket: str
    cgroup_parent: str
    bridge: str
    owner_pid: int
    owner_started: int
    """Start time of the owner: with the pid, who may still be using the stack."""
    client: str = ""
    daemon: str = ""
    containerd: str = ""
    shim: str = ""
    runtime: str = ""
    """The real part that sits in each seat, by name or path; empty for ours."""
    launcher: str = ""
    """The program that is called instead of the runtime, and calls it; empty where none is needed."""

    @property
    def docker_host(self) -> str:
        return f"unix://{self.socket}"

    @property
    def containerd_argv(self) -> tuple[str, ...]:
        """The real one's flags, which ours takes too."""
        program = (self.containerd, "--config", "/dev/null") if self.containerd else _module("runtime.containerd")
        folders = ("--root", f"{self.root}/cr", "--state", f"{self.root}/cs")
        return (*program, *folders, "--address", self.containerd_socket)

    def daemon_argv(self, containerd: str) -> tuple[str, ...]:
        """The flags of dockerd, which ours takes too, and a few that name what dockerd would name itself."""
        folders = ("--data-root", f"{self.root}/data", "--exec-root", f"{self.root}/exec")
        common = (
            *("-H", self.docker_host, "--containerd", containerd, *folders),
            *("--pidfile", f"{self.root}/docker.pid", "--cgroup-parent", self.cgroup_parent),
            *("--shutdown-timeout", "1"),  # what does not end when asked is killed by cleanup anyway
        )
        if self.daemon:
            # Left to itself, dockerd makes docker0 and firewall rules in the host's network, and leaves them there.
            # In a network of its own they end with it; nobody outside is reached from there, so no rules are needed.
            alone = (shutil.which("unshare") or "unshare", "--net", "--", self.daemon)
            return (*alone, *common, "--iptables=false", "--ip6tables=false", *self._runtime_flags("glassbottom"))
        shim = ("--shim", self.shim) if self.shim else ()
        return (*_module("runtime.daemon"), *common, "--bridge", self.bridge, *shim, *self._runtime_flags(""))

    def _runtime_flags(self, ours: str) -> tuple[str, ...]:
        """Which OCI runtime there is beside those that the daemon knows by itself, and that it is the one to use."""
        if self.runtime:
            name, path = os.path.basename(self.runtime), self.launcher or self.runtime
            if self.daemon and name == "runc":
                name = "runc-in-seat"  # dockerd keeps "runc" for the one in PATH, and refuses to be told another
        elif ours:
            name, path = ours, _installed("glassbottom-oci")
        else:
            return ()
        return ("--add-runtime", f"{name}={path}", "--default-runtime", name)

    def client_argv(self, docker_words: Sequence[str]) -> tuple[str, ...]:
        """``run -it hostbox sh`` as a command line of the client in its seat."""
        program = (self.client,) if self.client else _module("runtime.client")
        return (*program, "-H", self.docker_host, *docker_words)

    @property
    def renames_shim(self) -> bool:
        """Whether our shim goes by the name of runc's: dockerd 20.10 asks for no other, and takes no flag for it."""
        return bool(self.daemon and not self.shim)

    @property
    def environment(self) -> tuple[str, ...]:
        """The stack's environment: ours, with the programs of this installation first in PATH.

        XDG_RUNTIME_DIR and TMPDIR point into the root, so that console sockets and temporary files are found by
        cleanup. DOCKER_HOST is left out: this stack's client is told where to go.
        """
        here = os.path.dirname(sys.executable)
        path = f"{here}:{os.environ.get('PATH') or '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'}"
        if self.renames_shim:
            path = f"{self.root}/bin:{path}"
        temporary = f"{self.root}/tmp"
        changed = {"PATH": path, "TMPDIR": temporary, "XDG_RUNTIME_DIR": temporary}
        kept = {name: value for name, value in os.environ.items() if name not in {"DOCKER_HOST", "DOCKER_CONTEXT"}}
        return tuple(f"{name}={value}" for name, value in {**kept, **changed}.items())

    @property
    def client_environment(self) -> tuple[str, ...]:
        """The client's environment is the user's: ``-e NAME`` copies from it."""
        here = os.path.dirname(sys.executable)
        kept = {name: value for name, value in os.environ.items() if name not in {"DOCKER_HOST", "DOCKER_CONTEXT"}}
        return tuple(f"{n}={v}" for n, v in {**kept, "PATH": f"{here}:{os.environ.get('PATH', '')}"}.items())

    def background(self, *, curtain: bool = False) -> tuple[Program, ...]:
        """containerd, then the daemon, which asks containerd for its version before it answers anybody.

        With a curtain the daemon is told another path, where containerd can be found once both are watched.
        """
        environment = self.environment
        seen = f"{self.root}/seen.sock" if curtain else ""
        daemon = self.daemon_argv(seen or self.containerd_socket)
        return (
            Program(self.containerd_argv, environment, self.root, self.containerd_socket, "containerd", seen),
            Program(daemon, environment, self.root, self.socket, "daemon"),
        )

    def preparations(self) -> tuple[Program, ...]:
        """What must have run before the client can: a real dockerd has no image yet."""
        if not self.daemon:
            return ()
        argv = (*_module("tracer.hostbox_loader"), self.socket)
        return (Program(argv, self.environment, self.root, "", "image"),)

    def foreground(self, docker_words: Sequence[str], cwd: str) -> Program:
        """The client on the user's terminal."""
        return Program(self.client_argv(docker_words), self.client_environment, cwd, "", "client")

    @property
    def seats(self) -> dict[str, str]:
        """Which program sits where, for the recording's header."""
        ours = {name: f"python -m runtime.{name}" for name in ("client", "daemon", "containerd", "shim")}
        real = {name: os.path.basename(getattr(self, name)) for name in (*ours, "runtime")}
        return {name: real[name] or ours.get(name, "python -m runtime.oci") for name in real}

    def describe(self) -> str:
        """One sentence a line: where to knock, and what it is called."""
        return (
            f"stack {self.id} in {self.root}\n"
            f"  daemon      {self.docker_host}\n"
            f"  containerd  {self.containerd_socket}\n"
            f"  cgroups     {self.cgroup_parent}\n"
        )


def base_folder() -> str:
    """Where stacks are registered: this user's own folder, in RAM where there is one."""
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    try:
        if runtime and os.stat(runtime).st_uid == os.geteuid() and os.access(runtime, os.W_OK | os.X_OK):
            candidate = os.path.join(runtime, "glassbottom")
            if len(candidate) <= 48:
                return candidate
    except OSError:
        pass
    return fallback_folder()


def fallback_folder() -> str:
    """Where stacks are registered without XDG_RUNTIME_DIR; cleanup looks in both."""
    return f"/tmp/glassbottom-{procfs.outer_uid()}"


def plan_stack(
    root: str | None = None,
    *,
    socket: str | None = None,
    client: str = "",
    daemon: str = "",
    containerd: str = "",
    shim: str = "",
    runtime: str = "",
) -> StackPlan:
    """Decide everything about a new stack, and write it down before anything else happens.

    `root` is a folder to use instead of a fresh one (made if it is not there), `socket` where the daemon is to listen
    instead of ROOT/docker.sock; the others put a real part in a seat, by name or path.
    """
    base = base_folder()
    stack_id = os.urandom(4).hex()
    registry = f"{base}/{stack_id}"
    chosen = os.path.abspath(root) if root else registry
    runtime = _find(runtime, "runtime")
    launcher = f"{chosen}/bin/{os.path.basename(runtime)}" if hybrid_cgroups.refused_by(runtime) else ""
    plan = StackPlan(
        id=stack_id,
        registry=registry,
        root=chosen,
        made_root=not os.path.isdir(chosen),
        socket=os.path.abspath(socket) if socket else f"{chosen}/docker.sock",
        containerd_socket=f"{chosen}/containerd.sock",
        cgroup_parent=f"/glassbottom-{stack_id}",
        bridge=f"gb-{stack_id}",
        owner_pid=os.getpid(),
        owner_started=procfs.start_time(os.getpid()),
        client=_find(client, "client"),
        daemon=_find(daemon, "daemon"),
        containerd=_find(containerd, "containerd"),
        shim=_shim_name(shim),
        runtime=runtime,
        launcher=launcher,
    )
    _check_names(plan)
    made_base = not os.path.isdir(base)
    try:
        _make_private(base)
        register(plan)
    except StackError:
        if made_base:
            with suppress(OSError):  # it holds other stacks by now, or could not be made
                os.rmdir(base)
        raise
    return plan


def register(plan: StackPlan) -> None:
    """Make the stack's folders with its description in them from the first moment: a rename makes both at once."""
    draft = f"{os.path.dirname(plan.registry)}/.new-{plan.id}-{plan.owner_pid}"
    try:
        os.mkdir(draft, 0o711)
        _write(plan, draft)
        os.rename(draft, plan.registry)
    except OSError as error:
        raise StackError(f"cannot make {plan.registry}: {error.strerror}") from error
    try:
        if plan.root != plan.registry:
            os.makedirs(plan.root, mode=0o711, exist_ok=True)
        os.mkdir(f"{plan.root}/tmp", 0o1777)
        _fill_bin(plan)
    except OSError as error:
        shutil.rmtree(plan.registry)
        raise StackError(f"cannot use {plan.root} as a stack's root: {error.strerror}") from error


def _fill_bin(plan: StackPlan) -> None:
    """Make the folder that comes first in the stack's PATH, with what is called by a name that is not its own."""
    os.mkdir(f"{plan.root}/bin", 0o711)
    if plan.launcher:
        hybrid_cgroups.write_launcher(plan.launcher, plan.runtime)
    if plan.renames_shim:
        os.symlink(_installed("containerd-shim-glassbottom-v1"), f"{plan.root}/bin/containerd-shim-runc-v2")


def adopt(plan: StackPlan, pid: int) -> StackPlan:
    """Hand the stack to another owner, without whom it counts as abandoned."""
    adopted = replace(plan, owner_pid=pid, owner_started=procfs.start_time(pid))
    _write(adopted, plan.registry)
    return adopted


def load(registry: str) -> StackPlan:
    """Read a stack's description back."""
    path = f"{registry}/{STACK_FILE}"
    try:
        with open(path, encoding="utf-8") as file:
            return StackPlan(**json.load(file))
    except (OSError, ValueError, TypeError) as error:
        raise StackError(f"{path} does not describe a stack: {error}") from error


def registered() -> list[StackPlan]:
    """Every stack of this user that has not been cleaned up, whether its owner lives or not."""
    found = []
    for base in dict.fromkeys((base_folder(), fallback_folder())):
        for name in sorted(os.listdir(base)) if os.path.isdir(base) else []:
            try:
                found.append(load(f"{base}/{name}"))
            except StackError:
                continue  # .new-*: its maker died between two system calls, or lives and is about to rename it
    return found


def owner_lives(plan: StackPlan) -> bool:
    """Whether the process that made the stack still runs."""
    return procfs.is_alive(plan.owner_pid, plan.owner_started)


def _write(plan: StackPlan, folder: str) -> None:
    draft = f"{folder}/.{STACK_FILE}"
    with open(draft, "w", encoding="utf-8") as file:
        json.dump(asdict(plan), file, indent=2)
    os.rename(draft, f"{folder}/{STACK_FILE}")


def _installed(program: str) -> str:
    """A program of this installation."""
    return os.path.join(os.path.dirname(sys.executable), program)


def _module(name: str) -> tuple[str, ...]:
    return (sys.executable, "-m", name)


def _find(name: str, seat: str) -> str:
    """The absolute path of a real program for a seat; empty stays empty."""
    if not name:
        return ""
    path = shutil.which(name)
    if path is None:
        raise StackError(f"cannot put {name!r} in the {seat} seat: there is no such program in PATH")
    return os.path.abspath(path)


def _shim_name(name: str) -> str:
    """What containerd calls a shim: ``runc`` is ``io.containerd.runc.v2``, and its program containerd-shim-runc-v2.

    containerd looks for it only when a container starts, which is too late to say that there is none.
    """
    if not name or "/" in name:
        return _find(name, "shim")
    full = name if "." in name else f"io.containerd.{name}.v2"
    program = "-".join(["containerd-shim", *full.split(".")[-2:]])
    here = os.path.dirname(sys.executable)  # first in the stack's PATH, too
    if shutil.which(program, path=f"{here}:{os.environ.get('PATH', os.defpath)}") is None:
        raise StackError(f"cannot put {name!r} in the shim seat: there is no {program} in PATH")
    return full


def _make_private(base: str) -> None:
    """A folder that only this user can write to: others could put a stack there for us to clean up."""
    try:
        os.makedirs(base, mode=0o711, exist_ok=True)
        found = os.lstat(base)
    except OSError as error:
        raise StackError(f"cannot make {base}: {error.strerror}") from error
    if found.st_uid != os.geteuid() or found.st_mode & 0o022 or os.path.islink(base):
        raise StackError(f"{base} is not a folder that only this user can write to; remove it, or set XDG_RUNTIME_DIR")


def _check_names(plan: StackPlan) -> None:
    """Refuse what cannot be a socket's name, and whatever is there already: in the end it would be removed."""
    for path in (plan.socket, f"{plan.containerd_socket}.ttrpc"):
        if len(os.fsencode(path)) > SOCKET_PATH_BYTES:
            raise StackError(f"{path} is longer than the {SOCKET_PATH_BYTES} bytes of a socket's path; choose another")
    for path in (plan.socket, *(f"{plan.root}/{part}" for part in PARTS)):
        if os.path.lexists(path):
            raise StackError(f"{path} is in use: there is something already; choose another, or remove it")
    folder = os.path.dirname(plan.socket)
    if folder != plan.root and not os.path.isdir(folder):
        raise StackError(f"{folder} is not there: the daemon's socket needs a folder to be in")
