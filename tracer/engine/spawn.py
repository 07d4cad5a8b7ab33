"""Start a program so that it is traced from its first instruction.

    engine                                  child
      | fork ------------------------------>  |  waits in read(2) on the gate
      | PTRACE_SEIZE, PTRACE_INTERRUPT        |
      | <------------------- stopped -------  |
      | PTRACE_SYSCALL: calls are reported    |
      | writes a byte to the gate --------->  |  new session, terminal, stdio, cwd
      |                                       |  execve: the first call that is recorded

The gate is there because PTRACE_SYSCALL must be on before execve begins, or its entry is missed; SEIZE instead of
TRACEME because only a seized task can be interrupted, and be left in a group stop.

Background programs get a session of their own, /dev/null and a log file, so neither Ctrl-C nor the terminal reaches
them. The foreground program gets the terminal as its controlling terminal where there is one (then it is in its own
session too); otherwise it stays in the engine's session and process group with the engine's own stdio, so that Ctrl-C
goes to it as if it had been started by the shell. So do signals that were ignored or blocked when the engine was
started (nohup(1), a background job): execve(2) passes them on, as through strace(1).
"""

import fcntl
import os
import signal
import termios
from dataclasses import dataclass

from tracer.commands import Program
from tracer.engine import bindings
from tracer.engine.seccomp_filter import Filter

CANNOT_EXECUTE = 127
_PYTHONS = frozenset({signal.SIGPIPE, signal.SIGXFSZ})
"""Ignored by every Python from its start: whether they were before can no longer be told."""
_ENGINES = frozenset({signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGIO, signal.SIGALRM})
"""What the engine handles."""


@dataclass(frozen=True, slots=True)
class Signals:
    """What execve(2) passes on: which signals are ignored, and which are blocked."""

    ignored: frozenset[int] = frozenset()
    blocked: frozenset[int] = frozenset()


def inherited_signals() -> Signals:
    """What this process was started with, by nohup(1) for one. Nothing is blocked afterwards, or commands would be."""
    blocked = signal.pthread_sigmask(signal.SIG_SETMASK, ())
    return Signals(_ignored() - _PYTHONS, frozenset(blocked))


def _ignored() -> frozenset[int]:
    return frozenset(each for each in signal.valid_signals() if signal.getsignal(each) is signal.SIG_IGN)


@dataclass(frozen=True, slots=True)
class Streams:
    """What the program's descriptors 0, 1 and 2 become; -1 leaves the engine's own."""

    input: int = -1
    output: int = -1
    terminal: int = -1
    """A terminal that becomes the controlling one and all three."""
    new_session: bool = False
    signals: Signals = Signals()
    """What is ignored and blocked in it."""


class SpawnError(Exception):
    """The program cannot be started; the message says why."""


def find_program(program: Program) -> str:
    """The file that argv[0] names, by the program's own PATH. Raises SpawnError."""
    name = program.argv[0] if program.argv else ""
    if not name:
        raise SpawnError("no program given")
    if "/" in name:
        candidates = [os.path.join(program.cwd, name)]
    else:
        paths = [pair.partition("=")[2] for pair in program.environment if pair.startswith("PATH=")]
        candidates = [os.path.join(folder or ".", name) for folder in (paths or [os.defpath])[-1].split(":")]
    for path in candidates:
        if os.path.isfile(path) and os.access(path, os.X_OK):
            return path
    exists = any(os.path.exists(path) for path in candidates)
    raise SpawnError(f"{name}: {'permission denied' if exists else 'no such program'}")


def spawn(program: Program, streams: Streams, request: int, filtered: Filter | None = None) -> int:
    """Fork, and seize the child before it does anything; its pid. `request` is how it goes on from there."""
    path = find_program(program)
    gate_read, gate_write = os.pipe()
    pid = os.fork()
    if pid == 0:
        _become(program, path, streams, filtered, gate_read, gate_write)
    os.close(gate_read)
    try:
        bindings.checked_ptrace(bindings.PTRACE_SEIZE, pid, 0, bindings.OPTIONS)
        bindings.checked_ptrace(bindings.PTRACE_INTERRUPT, pid)
        os.waitpid(pid, bindings.WALL)
        bindings.checked_ptrace(request, pid)
        os.write(gate_write, b"g")
    except OSError as error:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, bindings.WALL)
        raise SpawnError(f"cannot trace {path}: {os.strerror(error.errno or 0)}") from error
    finally:
        os.close(gate_write)
    return pid


def open_log(path: str) -> int:
    """A background program's log. Raises OSError."""
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_CLOEXEC, 0o600)


def _become(
    program: Program, path: str, streams: Streams, filtered: Filter | None, gate_read: int, gate_write: int
) -> None:
    """The child: from fork to execve. Never returns."""
    try:
        os.close(gate_write)
        if os.read(gate_read, 1) != b"g":
            os._exit(CANNOT_EXECUTE)  # the engine died before it could trace us
        # What the engine ignores or handles must not be inherited as ignored; what it was told to ignore must.
        for each in _ignored() | _ENGINES:
            signal.signal(each, signal.SIG_IGN if each in streams.signals.ignored else signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, streams.signals.blocked)
        if streams.new_session or streams.terminal >= 0:
            os.setsid()
        if streams.terminal >= 0:
            # After setsid, or it would stay the terminal of the session that we have just left.
            fcntl.ioctl(streams.terminal, termios.TIOCSCTTY, 0)
        for fd, source in enumerate(
            (streams.input, streams.output, streams.output) if streams.terminal < 0 else (streams.terminal,) * 3
        ):
            if source >= 0:
                os.dup2(source, fd)
        os.chdir(program.cwd)
        if filtered is not None:
            filtered.install()
        os.execve(path, program.argv, dict(pair.partition("=")[::2] for pair in program.environment))
    except OSError as error:
        # Nobody reads this where stderr is the log; the engine sees execve's result itself and says it.
        os.write(2, f"glassbottom: {path}: {os.strerror(error.errno or 0)}\n".encode())
    finally:
        os._exit(CANNOT_EXECUTE)
