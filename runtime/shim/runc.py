"""Calls the OCI runtime: `runc create`, `runc start` and the rest, as child processes whose end the reaper reports.

Real counterpart: github.com/containerd/go-runc. The argv is exactly what that package writes, so runc, crun and
glassbottom-oci fit alike:

    RUNTIME --root ROOT --log BUNDLE/log.json --log-format json VERB ...      cwd: the bundle

`create` and `exec` give the container its stdio: whatever the runtime has as fd 0, 1 and 2 is what the container gets.
For the other verbs, and where the container will have a terminal instead, fd 1 and 2 are a memfd: it takes what the
runtime says without anybody having to read along, and is read after the end.

Left out on purpose: checkpoint, restore and events (dockerd and ctr do not call them), PR_SET_PDEATHSIG (a runtime
whose shim is killed runs on to its end and leaves a state that `delete --force` understands).
"""

import json
import os
import signal
import sys
from typing import NamedTuple

from runtime.shim.bundle import RuntimeOptions, read_note
from runtime.shim.errors import UNKNOWN, TaskError
from runtime.shim.reaper import Reaper


class Stdio(NamedTuple):
    """The three descriptors that a program starts with."""

    stdin: int
    stdout: int
    stderr: int


def find_binary(name: str) -> str:
    """Return the path of a runtime: a path as it is, a name from beside this Python and then from PATH."""
    if "/" in name:
        return name
    candidates = [os.path.dirname(sys.executable), *os.environ.get("PATH", os.defpath).split(":")]
    if name != DEFAULT_BINARY:
        candidates.pop(0)
    for directory in candidates:
        path = os.path.join(directory, name)
        if os.access(path, os.X_OK) and os.path.isfile(path):
            return path
    raise TaskError(UNKNOWN, f'exec: "{name}": executable file not found in $PATH')


DEFAULT_BINARY = "glassbottom-oci"


class RuntimeKilledError(TaskError):
    """The runtime itself was killed: it may have done what it was called for in part, wholly or not at all."""


class OciRuntime:
    """The OCI runtime of one bundle. Every call raises TaskError with the reason that the runtime gave."""

    def __init__(self, reaper: Reaper, options: RuntimeOptions, bundle: str) -> None:
        self._reaper = reaper
        self._options = options
        self._bundle = bundle
        self._log = f"{bundle}/log.json"

    async def create(self, container_id: str, pid_file: str, stdio: Stdio | None, console_socket: str | None) -> None:
        """Make the container; its init waits for `start` when this returns."""
        args = ["create", "--bundle", self._bundle, "--pid-file", pid_file]
        if console_socket:
            args += ["--console-socket", console_socket]
        if self._options.no_pivot_root:
            args.append("--no-pivot")
        if self._options.no_new_keyring:
            args.append("--no-new-keyring")
        await self._call([*args, container_id], "create", stdio)

    async def start(self, container_id: str) -> None:
        """Let init go on to the user's program."""
        await self._call(["start", container_id], "start")

    async def exec(
        self, container_id: str, process_file: str, pid_file: str, stdio: Stdio | None, console_socket: str | None
    ) -> None:
        """Run another process in the container."""
        args = ["exec", "--process", process_file]
        if console_socket:
            args += ["--console-socket", console_socket]
        await self._call([*args, "--detach", "--pid-file", pid_file, container_id], "exec", stdio)

    def read_pid(self, pid_file: str, verb: str) -> int:
        """The pid that `create` or `exec` wrote; a program that is no OCI runtime at all may end well without one."""
        text = read_note(pid_file)
        if not text.isdigit():
            raise TaskError(UNKNOWN, f"OCI runtime {verb} failed: {self._options.binary} wrote no pid file")
        return int(text)

    async def kill(self, container_id: str, number: int, *, everybody: bool) -> None:
        """Signal init, or every process of the container."""
        args = ["kill", *(["--all"] if everybody else []), container_id, str(number)]
        try:
            await self._call(args, "kill")
        except RuntimeKilledError:
            if number != signal.SIGKILL:
                raise  # it may have been sent, and any other may not be sent twice
            await self._call(args, "kill")

    async def delete(self, container_id: str, *, force: bool = False) -> None:
        """Remove the container's state and cgroups; what a killed call has left of them, too."""
        try:
            await self._call(["delete", *(["--force"] if force else []), container_id], "delete")
        except RuntimeKilledError:
            await self._call(["delete", "--force", container_id], "delete")

    async def pause(self, container_id: str) -> None:
        """Freeze every process of the container."""
        await self._call(["pause", container_id], "pause")

    async def resume(self, container_id: str) -> None:
        """Thaw the container."""
        await self._call(["resume", container_id], "resume")

    async def ps(self, container_id: str) -> list[int]:
        """Return the host's pids of the container's processes."""
        output = await self._call(["ps", "--format", "json", container_id], "ps")
        try:
            # runc writes `null` for nobody
            return [int(pid) for pid in json.loads(output) or []]
        except (ValueError, TypeError):
            raise TaskError(UNKNOWN, f"OCI runtime ps failed: not a list of pids: {output[:80]!r}") from None

    async def update(self, container_id: str, resources: bytes) -> None:
        """Change the limits; `resources` is the JSON of a LinuxResources."""
        stdin = os.memfd_create("resources", os.MFD_CLOEXEC)
        try:
            os.write(stdin, resources)
            os.lseek(stdin, 0, os.SEEK_SET)
            await self._call(["update", "--resources", "-", container_id], "update", stdin=stdin)
        finally:
            os.close(stdin)

    async def _call(self, args: list[str], verb: str, stdio: Stdio | None = None, stdin: int = -1) -> str:
        """Run one verb and return what it wrote to stdout; raise what it logged if it failed."""
        options = self._options
        argv = [options.binary, "--root", options.root, "--log", self._log, "--log-format", "json"]
        if options.systemd_cgroup:
            argv.append("--systemd-cgroup")
        output = os.memfd_create(f"{verb}-output", os.MFD_CLOEXEC)
        null = os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC)
        try:
            if stdio is None:
                stdio = Stdio(stdin if stdin >= 0 else null, output, output)
            try:
                pid = spawn_program(find_binary(options.binary), [*argv, *args], stdio)
            except OSError as reason:
                raise TaskError(
                    UNKNOWN, f"OCI runtime {verb} failed: {options.binary}: {(reason.strerror or '').lower()}"
                ) from None
            except TaskError as reason:
                raise TaskError(UNKNOWN, f"OCI runtime {verb} failed: {reason.message}") from None
            status = await self._reaper.claim(pid)
            text = os.pread(output, os.fstat(output).st_size, 0).decode(errors="replace")
        finally:
            os.close(output)
            os.close(null)
        if status != 0:
            kind = RuntimeKilledError if status > 128 else TaskError
            raise kind(UNKNOWN, f"OCI runtime {verb} failed: {self._last_error(status, text)}")
        return text

    def _last_error(self, status: int, output: str) -> str:
        """Return the reason that the runtime gave: the last error of its log, which the docker CLI goes by."""
        try:
            with open(self._log, encoding="utf-8", errors="replace") as log:
                lines = log.read().splitlines()
        except OSError:
            lines = []
        for line in reversed(lines):
            try:
                entry = json.loads(line)
            except ValueError:
                continue
            if isinstance(entry, dict) and entry.get("level") == "error" and entry.get("msg"):
                return str(entry["msg"])
        said = output.strip().rsplit("\n", 1)[-1]
        return f"{os.path.basename(self._options.binary)} exited with status {status}" + (f": {said}" if said else "")


def spawn_program(path: str, argv: list[str], stdio: Stdio) -> int:
    """Start a program with these three descriptors and no other, and return its pid.

    posix_spawn is vfork and exec in one: the shim's memory is not copied. Signals that Python ignores are set back,
    or SIGPIPE would stay ignored in every container.
    """
    actions = [(os.POSIX_SPAWN_DUP2, fd, number) for number, fd in enumerate(stdio)]
    return os.posix_spawn(
        path, argv, os.environ, file_actions=actions, setsigdef=[signal.SIGPIPE, signal.SIGXFSZ], setsigmask=[]
    )
