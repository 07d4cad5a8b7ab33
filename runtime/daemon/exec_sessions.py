"""`docker exec`: one more process in a running container (moby: daemon/exec.go).

    client -> daemon   POST /containers/ID/exec {Cmd...}      the session exists, nothing runs
    client -> daemon   POST /exec/EXECID/start                101, then streams
    daemon             Tasks.Exec, Tasks.Start
    (event /tasks/exit with the exec's id)
    daemon             Tasks.DeleteProcess (output is flushed), the exit code is final, the stream ends
    client -> daemon   GET /exec/EXECID/json                  the exit code

The exit code is final before the stream ends, since the client asks for it as soon as the stream has.
"""

import base64
import secrets
from typing import Any

from runtime.daemon import capabilities, detach_keys, security_options, users
from runtime.daemon.background import Background
from runtime.daemon.container import Container
from runtime.daemon.containerd_client import GRPCError
from runtime.daemon.errors import ApiError, ConflictError, InvalidParameterError, NotFoundError, ServerError
from runtime.daemon.events import EventLog
from runtime.daemon.json_types import check_types
from runtime.daemon.links import Links
from runtime.daemon.rootfs_files import RootfsFiles
from runtime.daemon.spec import environment
from runtime.daemon.start_failures import start_exit_code
from runtime.daemon.stdcopy import STDOUT
from runtime.daemon.stdio import ProcessStreams
from runtime.daemon.task_client import TaskClient
from runtime.daemon.task_events import TaskEvents

_REQUEST_TYPES: dict[str, Any] = {
    **{key: [str] for key in ("Cmd", "Env")},
    **dict.fromkeys(("User", "WorkingDir", "DetachKeys"), str),
    **dict.fromkeys(("Tty", "Privileged", "Detach", "AttachStdin", "AttachStdout", "AttachStderr"), bool),
}
_CANNOT_START = 126
_KEPT_FINISHED = 32


class ExecSession:
    """One exec from create until its container stops."""

    def __init__(self, container: Container, request: dict[str, Any], linked_env: list[str]) -> None:
        self.id = secrets.token_hex(32)
        self.container = container
        self.request = request
        self.linked_env = linked_env
        self.command: list[str] = list(request["Cmd"])
        self.running = False
        self.started = False
        self.exit_code: int | None = None
        self.pid = 0
        self.streams = ProcessStreams(bool(request.get("AttachStdin")), bool(request.get("Tty")))

    def container_stopped(self) -> None:
        """The container's end is every exec's end."""
        if self.running:
            self.running = False
            self.exit_code = 137 if self.exit_code is None else self.exit_code
            self.streams.drain_and_close()


def check_request(request: dict[str, Any]) -> None:
    """Refuse what cannot be meant, whatever the container: dockerd looks at the request first."""
    check_types("ExecConfig", request, _REQUEST_TYPES)
    if not request.get("Cmd"):
        raise InvalidParameterError("No exec command specified")


class ExecStore:
    """Creates, runs and finds exec sessions."""

    def __init__(
        self,
        tasks: TaskClient,
        task_events: TaskEvents,
        links: Links,
        events: EventLog,
        background: Background,
        fifo_root: str,
    ) -> None:
        self._tasks = tasks
        self._links = links
        self._task_events = task_events
        self._events = events
        self._background = background
        self._fifo_root = fifo_root
        self._sessions: dict[str, ExecSession] = {}

    def create(self, container: Container, request: dict[str, Any]) -> ExecSession:
        """Note what is to be run."""
        if not container.state.running or container.state.restarting:
            raise ConflictError(f"Container {container.id} is not running")
        if container.state.paused:
            raise ConflictError(f"Container {container.name} is paused, unpause the container before exec")
        if keys := request.get("DetachKeys"):
            try:
                detach_keys.parse(keys)
            except ValueError as error:
                raise ServerError(f"Invalid escape keys ({keys}) provided") from error
        session = ExecSession(container, request, self._links.environment(container))
        self._forget_old(container)
        container.execs[session.id] = self._sessions[session.id] = session
        self._event("exec_create", session)
        return session

    def find(self, id: str) -> ExecSession:
        """By ID, or the unique beginning of one."""
        found = [session for key, session in self._sessions.items() if key.startswith(id)]
        if len(found) != 1:
            raise NotFoundError(f"No such exec instance: {id}")
        return found[0]

    def _forget_old(self, container: Container) -> None:
        """Keep finished sessions for a while: clients ask for the exit code after the end."""
        done = [session for session in container.execs.values() if session.exit_code is not None]
        for session in done[:-_KEPT_FINISHED]:
            del container.execs[session.id], self._sessions[session.id]
        for session in [s for s in self._sessions.values() if s.container.removing]:
            del self._sessions[session.id]

    async def start(self, session: ExecSession) -> ApiError | None:
        """Run it. Returns why that failed, and tells it as output and as exit code 126: the 101 may be out already."""
        if session.started:
            raise ConflictError(f"Error: Exec command {session.id} has already run")
        container, streams = session.container, session.streams
        if not container.state.running:
            raise ConflictError(f"Container {container.id} is not running")
        session.started = session.running = True
        self._event("exec_start", session)
        stdio = streams.make_fifos(f"{self._fifo_root}/{container.id}", session.id)
        streams.on_input_closed = lambda: self._close_stdin(session)
        streams.open()
        self._task_events.expect_exec(session.id, lambda status, _: self._exited(session, status))
        try:
            await self._tasks.exec(container.id, session.id, self._process(session), stdio)
            session.pid = await self._tasks.start(container.id, session.id)
        except (GRPCError, ApiError) as error:
            self._task_events.forget_exec(session.id)
            message = error.message or "the exec could not be started"
            await self._failed(session, message)
            if isinstance(error, ApiError):
                return error
            return InvalidParameterError(message) if start_exit_code(message) in (126, 127) else ServerError(message)
        streams.process_created()
        return None

    async def _failed(self, session: ExecSession, message: str) -> None:
        session.running, session.exit_code = False, _CANNOT_START
        session.streams.say(STDOUT, f"{message}\r\n".encode())
        await self._tasks.delete_process(session.container.id, session.id)
        session.streams.drain_and_close()

    def _close_stdin(self, session: ExecSession) -> None:
        self._background.spawn(self._tasks.close_stdin(session.container.id, session.id))

    def _exited(self, session: ExecSession, status: int) -> None:
        self._background.spawn(self._finish(session, status))

    async def _finish(self, session: ExecSession, status: int) -> None:
        session.exit_code, session.running = status, False
        await self._tasks.delete_process(session.container.id, session.id)
        self._event("exec_die", session, exitCode=str(status))
        session.streams.drain_and_close()

    async def resize(self, session: ExecSession, height: int, width: int) -> None:
        """Tell the exec's terminal its size."""
        if not session.running:
            raise ConflictError(f"exec {session.id} is not running")
        if session.request.get("Tty"):
            await self._tasks.resize(session.container.id, height, width, session.id)

    def _process(self, session: ExecSession) -> dict[str, Any]:
        """`process` of the OCI spec: the container's, with the request's differences (moby: daemon/exec_linux.go)."""
        container, request = session.container, session.request
        host = container.host_config
        user_text = request.get("User") or container.config.get("User") or ""
        user = users.resolve(
            user_text, [] if request.get("User") else host["GroupAdd"] or [], RootfsFiles(container.rootfs)
        )
        privileged = bool(request.get("Privileged")) or host["Privileged"]
        kept = capabilities.resolve(host["CapAdd"] or [], host["CapDrop"] or [], privileged)
        held = kept if user.uid == 0 else []
        env = environment(container, session.linked_env)
        asked = request.get("Env") or []
        overridden = {entry.partition("=")[0] for entry in asked}
        process: dict[str, Any] = {
            "terminal": bool(request.get("Tty")),
            "user": {"uid": user.uid, "gid": user.gid, "additionalGids": list(user.additional_gids)},
            "args": session.command,
            "env": [entry for entry in env if entry.partition("=")[0] not in overridden] + list(asked),
            "cwd": request.get("WorkingDir") or container.config.get("WorkingDir") or "/",
            "capabilities": {"bounding": kept, "effective": held, "permitted": held},
            "oomScoreAdj": host["OomScoreAdj"],
        }
        if request.get("Tty") and not container.terminal:
            process["env"].append("TERM=xterm")
        security_options.confine(process, host, container.apparmor_profile)
        return process

    def _event(self, action: str, session: ExecSession, **attributes: str) -> None:
        command = "" if action == "exec_die" else f": {' '.join(session.command)} "
        self._events.container(f"{action}{command}", session.container, execID=session.id, **attributes)

    def inspect(self, session: ExecSession) -> dict[str, Any]:
        """GET /exec/ID/json."""
        request = session.request
        process: dict[str, Any] = {
            "tty": bool(request.get("Tty")),
            "entrypoint": session.command[0],
            "arguments": session.command[1:],
            "privileged": bool(request.get("Privileged")),
        }
        if request.get("User"):
            process["user"] = request["User"]
        return {
            "ID": session.id,
            "Running": session.running,
            "ExitCode": session.exit_code,
            "ProcessConfig": process,
            "OpenStdin": bool(request.get("AttachStdin")),
            "OpenStderr": bool(request.get("AttachStderr")),
            "OpenStdout": bool(request.get("AttachStdout")),
            "CanRemove": False,
            "ContainerID": session.container.id,
            "DetachKeys": base64.b64encode(detach_keys.parse(keys)).decode()
            if (keys := request.get("DetachKeys"))
            else "",
            "Pid": session.pid,
        }
