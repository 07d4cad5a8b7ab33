# ruff: noqa: E501  # tables and one-line events read better unbroken
"""Builds a small, plausible recording of `docker run -it`: what the screen is shown in tests, without root or ptrace.

It goes through the same codec as the engine's, so it is a recording like any other; it only never happened.
"""

import json
from collections.abc import Iterator
from pathlib import Path

from tracer import events as e
from tracer.codec import encode_event, encode_header

NUMBERS = {
    "read": 0, "write": 1, "close": 3, "fstat": 5, "mmap": 9, "mprotect": 10, "munmap": 11, "brk": 12,
    "rt_sigaction": 13, "rt_sigreturn": 15, "pread64": 17, "socket": 41, "connect": 42, "accept4": 288, "sendto": 44, "recvfrom": 45,
    "listen": 50, "clone": 56, "fork": 57, "execve": 59, "exit_group": 231, "wait4": 61, "openat": 257, "mount": 165,
    "pivot_root": 155, "unshare": 272, "sethostname": 170, "capset": 126, "prctl": 157, "access": 21,
    "newfstatat": 262, "set_robust_list": 273, "getdents64": 217, "futex": 202, "epoll_wait": 232, "chdir": 80,
}  # fmt: skip
ARGUMENTS = {
    "read": (("fd", "fd"), ("buf", "void *"), ("count", "size_t")),
    "write": (("fd", "fd"), ("buf", "const void *"), ("count", "size_t")),
    "openat": (("dfd", "int"), ("filename", "const char *"), ("flags", "int"), ("mode", "umode_t")),
    "execve": (("filename", "const char *"), ("argv", "const char **"), ("envp", "const char **")),
    "mount": (("source", "const char *"), ("target", "const char *"), ("type", "const char *"), ("flags", "unsigned long"), ("data", "void *")),
    "pivot_root": (("new_root", "const char *"), ("put_old", "const char *")),
    "unshare": (("flags", "int"),),
    "sethostname": (("name", "const char *"), ("len", "int")),
}  # fmt: skip

STAGES = (
    ("client-parses", "client", "The client reads its command line", "runtime/client/cli.py:parse", {"process": "executed"}),
    ("client-asks-create", "client", "The client asks for a container", "runtime/client/engine_client.py:create", {"message": "http"}),
    ("daemon-answers-create", "daemon", "The daemon answers with an id", "runtime/daemon/routes/containers.py:create", {"message": "http"}),
    ("client-asks-start", "client", "The client asks to start it", "runtime/client/engine_client.py:start", {"message": "http"}),
    ("daemon-asks-task", "daemon", "The daemon asks containerd for a task", "runtime/daemon/containerd_client.py:create_task", {"message": "grpc"}),
    ("containerd-spawns-shim", "containerd", "containerd starts a shim", "runtime/containerd/shims.py:start", {"process": "executed"}),
    ("shim-runs-runtime", "shim", "The shim runs the OCI runtime", "runtime/shim/runc.py:create", {"process": "executed"}),
    ("runtime-unshares", "runtime", "The container's namespaces are made", "runtime/oci/namespaces.py:enter", {"action": "NamespaceEntered"}),
    ("runtime-pivots", "runtime", "The root is exchanged", "runtime/oci/rootfs.py:pivot", {"action": "RootPivoted"}),
    ("event-create", "containerd", "containerd tells that the task exists", "runtime/containerd/exchange.py:publish", {"message": "containerd-event"}),
    ("program-executes", "container", "The user's program takes over", "runtime/oci/init.py:execute", {"process": "executed"}),
    ("event-start", "containerd", "containerd tells that the task started", "runtime/containerd/exchange.py:publish", {"message": "containerd-event"}),
    ("prompt-shown", "client", "The prompt reaches your terminal", "runtime/client/attach.py:copy", {"message": "stdio"}),
    ("never-seen", "runtime", "A stage that this run does not come to", "runtime/oci/init.py:never", {"action": "Never"}),
    ("container-exits", "container", "The container's first process ends", "runtime/shim/reaper.py:reap", {"process": "exited"}),
)  # fmt: skip
ABOUT = "What happens at {title!r}, told in a sentence or two: why here, and why in this order and no other."
CLIENT, DAEMON, CONTAINERD, SHIM, RUNTIME, INIT = 4100, 4001, 4000, 4200, 4300, 4301
CONTAINER_ID = "c0ffee" + "0" * 58


class Story:
    """Collects events; every method appends and returns the sequence number."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.time = 0
        header = e.RecordingHeader(
            version=1,
            created="2026-11-24T10:00:00Z",
            kernel="6.1.0",
            architecture="x86_64",
            command=("docker", "run", "-i", "-t", "--name", "alpine", "hostbox", "sh"),
            seats={"client": "python -m runtime.client", "daemon": "python -m runtime.daemon"},
            stages=tuple(
                {"id": i, "layer": layer, "title": title, "source": source, "stop": "exit", "on": on,
                 "about": ABOUT.format(title=title)}
                for i, layer, title, source, on in STAGES
            ),
            syscalls={n: e.SyscallSignature(name, ARGUMENTS.get(name, ())) for name, n in NUMBERS.items()},
            lesson="010_docker_run",
        )  # fmt: skip
        self.header = encode_header(header)

    def add(self, event: e.Event) -> int:
        self.lines.append(encode_event(event))
        return len(self.lines) - 1

    def tick(self) -> int:
        self.time += 20_000
        return self.time

    def call(self, tid: int, name: str, *arguments: int, result: int = 0, data: dict[str, bytes | None] | None = None, files: dict[int, str] | None = None) -> int:  # fmt: skip
        begun = self.tick()
        return self.add(
            e.SyscallExited(self.tick(), tid, NUMBERS[name], arguments, result, begun, data or {}, files or {})
        )

    def fork(self, parent: int, pid: int, how: e.ForkKind = "fork", nspids: tuple[int, ...] = ()) -> int:
        call = self.call(parent, "clone", 0, result=pid) if parent else -1
        return self.add(e.ProcessForked(self.tick(), parent, pid, pid, how, nspids or (pid,), pid * 7, call))

    def execute(self, pid: int, *argv: str, path: str = "", generation: int = 1) -> int:
        path = path or ("/usr/bin/python3.11" if argv[0].startswith("python") else argv[0])
        at = self.add(e.ProcessExecuted(self.tick(), pid, pid, path, argv, ("PATH=/bin",), "/", generation))
        self.call(pid, "execve", 1, 2, 3, data={"0": path.encode()})
        return at

    def linking(self, pid: int, libraries: int = 6) -> None:
        """What ld.so does: the run that the call pane folds."""
        self.call(pid, "brk", result=0x55550000)
        self.call(pid, "access", 1, 4, result=-2, data={"0": b"/etc/ld.so.preload"})
        for library in range(libraries):
            fd = self.call(pid, "openat", 4294967196, 1, 524288, result=3, data={"1": b"/lib/lib%d.so" % library})
            assert fd
            self.call(pid, "read", 3, 2, 832, result=832, data={"1": b"\x7fELF"}, files={0: f"/lib/lib{library}.so"})
            self.call(pid, "fstat", 3)
            self.call(pid, "mmap", result=0x7F0000)
            self.call(pid, "close", 3)
        self.call(pid, "mprotect")
        self.call(pid, "munmap")

    def message(self, sender: int, receiver: int, connection: str, protocol: str, direction: e.Direction, title: str, fields: dict[str, e.Scalar] | None = None, body: str = "") -> tuple[int, int]:  # fmt: skip
        sent = self.call(
            sender,
            "write",
            5,
            1,
            len(body) or 90,
            result=len(body) or 90,
            data={"1": title.encode()},
            files={0: "unix:[1->2]"},
        )
        first = self.add(
            e.MessageSeen(
                self.tick(), sender, sender, connection, protocol, direction, "sent", title, fields or {}, body, (sent,)
            )
        )
        received = self.call(
            receiver, "read", 6, 1, 65536, result=len(body) or 90, data={"1": title.encode()}, files={0: "unix:[2->1]"}
        )
        second = self.add(
            e.MessageSeen(
                self.tick(),
                receiver,
                receiver,
                connection,
                protocol,
                direction,
                "received",
                title,
                fields or {},
                body,
                (received,),
            )
        )
        return first, second

    def action(self, pid: int, action: str, call: int, /, **fields: e.Scalar) -> int:
        return self.add(e.ActionSeen(self.tick(), pid, pid, action, fields, (call,)))

    def stage(self, pid: int, stage: str, evidence: int) -> int:
        at = self.add(e.StageEntered(self.tick(), pid, pid, stage, evidence))
        self.add(e.StopReached(self.tick(), pid, "stage", stage))
        self.add(e.HoldReleased(self.tick()))
        return at

    def shown(self, output: str) -> int:
        """The client writes to the user's terminal."""
        call = self.call(
            CLIENT, "write", 1, 1, len(output), result=len(output), data={"1": output.encode()}, files={0: "/dev/pts/1"}
        )
        return self.add(
            e.MessageSeen(
                self.tick(),
                CLIENT,
                CLIENT,
                "tty:/dev/pts/1",
                "stdio",
                "data",
                "sent",
                "stdout",
                {"stream": "stdout"},
                output,
                (call,),
            )
        )

    def write(self, path: Path) -> Path:
        path.write_text(self.header + "".join(self.lines), encoding="utf-8")
        return path


def docker_run() -> Story:
    """The whole walk: 14 of its 15 stages are come to."""
    s = Story()
    _stack_comes_up(s)
    create, start = "/v1.41/containers/create?name=alpine", f"/v1.41/containers/{CONTAINER_ID[:12]}/start"
    s.fork(0, CLIENT, "launched")
    s.stage(
        CLIENT, "client-parses", s.execute(CLIENT, "python3", "-m", "runtime.client", "run", "-it", "hostbox", "sh")
    )
    s.linking(CLIENT)
    s.call(CLIENT, "socket", 1, 1, 0, result=5)
    s.call(CLIENT, "connect", 5, 1, 110)
    http = "unix:1-2"
    body = json.dumps({"Image": "hostbox", "Cmd": ["sh"], "Tty": True, "HostConfig": {"Memory": 67108864}})
    sent, _ = s.message(
        CLIENT, DAEMON, http, "http", "request", f"POST {create}", {"method": "POST", "path": create}, body
    )
    s.stage(CLIENT, "client-asks-create", sent)
    sent, _ = s.message(
        DAEMON, CLIENT, http, "http", "response", "201 Created", {"status": 201}, json.dumps({"Id": CONTAINER_ID})
    )
    s.stage(DAEMON, "daemon-answers-create", sent)
    sent, _ = s.message(CLIENT, DAEMON, http, "http", "request", f"POST {start}", {"method": "POST", "path": start})
    s.stage(CLIENT, "client-asks-start", sent)
    sent, _ = s.message(
        DAEMON,
        CONTAINERD,
        "unix:3-4",
        "grpc",
        "request",
        "Tasks/Create",
        {"container_id": CONTAINER_ID, "stream": 1},
        "{}",
    )
    s.stage(DAEMON, "daemon-asks-task", sent)
    s.fork(CONTAINERD, SHIM, "vfork")
    s.stage(
        CONTAINERD,
        "containerd-spawns-shim",
        s.execute(SHIM, "python3", "-m", "runtime.shim", "-namespace", "moby", "start"),
    )
    s.linking(SHIM)
    s.message(CONTAINERD, SHIM, "unix:5-6", "ttrpc", "request", "Task/Create", {"stream": 1}, "{}")
    _runtime_creates(s)
    fields: dict[str, e.Scalar] = {"container_id": CONTAINER_ID, "timestamp": 1}
    sent, _ = s.message(SHIM, CONTAINERD, "unix:7-8", "containerd-event", "event", "/tasks/create", fields, "{}")
    s.message(CONTAINERD, DAEMON, "unix:3-4", "containerd-event", "event", "/tasks/create", fields, "{}")
    s.stage(CONTAINERD, "event-create", sent)
    s.message(SHIM, CONTAINERD, "unix:5-6", "ttrpc", "response", "Task/Create OK", {"stream": 1}, "{}")
    s.message(CONTAINERD, DAEMON, "unix:3-4", "grpc", "response", "Tasks/Create OK", {"stream": 1}, "{}")
    s.stage(INIT, "program-executes", s.execute(INIT, "sh", path="/bin/busybox", generation=2))
    sent, _ = s.message(
        SHIM, CONTAINERD, "unix:7-8", "containerd-event", "event", "/tasks/start", fields | {"timestamp": 2}, "{}"
    )
    s.stage(CONTAINERD, "event-start", sent)
    s.message(DAEMON, CLIENT, http, "http", "response", "204 No Content", {"status": 204})
    _shell_session(s)
    return s


def _stack_comes_up(s: Story) -> None:
    for pid, module in ((CONTAINERD, "runtime.containerd"), (DAEMON, "runtime.daemon")):
        s.fork(0, pid, "launched")
        s.execute(pid, "python3", "-m", module, "--root", "/var/lib/x")
        s.linking(pid, 12)
        s.call(pid, "listen", 3, 128)
        s.add(e.ProcessForked(s.tick(), pid, pid + 50, pid, "thread"))
        s.add(e.NoteMade(s.tick(), "ready", f"{module} listens", {}))


def _runtime_creates(s: Story) -> None:
    s.fork(SHIM, RUNTIME, "vfork")
    s.stage(SHIM, "shim-runs-runtime", s.execute(RUNTIME, "python3", "-m", "runtime.oci", "create", CONTAINER_ID[:12]))
    s.linking(RUNTIME)
    s.call(RUNTIME, "openat", 4294967196, 1, 0, result=3, data={"1": b"config.json"})
    s.fork(RUNTIME, INIT, "clone", (INIT, 1))
    call = s.call(INIT, "unshare", 0x6C020000)
    s.stage(INIT, "runtime-unshares", s.action(INIT, "NamespaceEntered", call, kinds="mount uts ipc pid network"))
    for target in (b"/proc", b"/dev", b"/sys"):
        s.action(
            INIT,
            "MountAttached",
            s.call(INIT, "mount", 1, 2, 3, 0, 0, data={"0": b"none", "1": target, "2": b"tmpfs"}),
            target=target.decode(),
        )
    call = s.call(INIT, "pivot_root", 1, 2, data={"0": b".", "1": b"."})
    s.stage(INIT, "runtime-pivots", s.action(INIT, "RootPivoted", call, new_root="."))
    s.action(INIT, "HostnameSet", s.call(INIT, "sethostname", 1, 12, data={"0": b"c0ffee000000"}), name="c0ffee000000")
    s.call(RUNTIME, "exit_group", 0)
    s.add(e.ProcessExited(s.tick(), RUNTIME, RUNTIME, 0, None))


def _shell_session(s: Story) -> None:
    output = "/ # "
    s.message(DAEMON, CLIENT, "unix:1-2", "stdio", "data", "4 bytes to stdout", {"stream": "stdout"}, output)
    s.stage(CLIENT, "prompt-shown", s.shown(output))
    s.add(e.SyscallEntered(s.tick(), INIT, NUMBERS["read"], (0, 1, 1), {}, {0: "/dev/pts/0"}))
    s.call(INIT, "read", 0, 1, 1, result=1, data={"1": b"h"}, files={0: "/dev/pts/0"})
    s.message(
        DAEMON,
        CLIENT,
        "unix:1-2",
        "stdio",
        "data",
        "out",
        {"stream": "stdout"},
        "hostname\r\n\x1b[32mc0ffee000000\x1b[0m\r\n/ # ",
    )
    s.shown("hostname\r\n\x1b[32mc0ffee000000\x1b[0m\r\n/ # ")
    s.call(INIT, "exit_group", 0)
    s.stage(INIT, "container-exits", s.add(e.ProcessExited(s.tick(), INIT, INIT, 0, None)))
    s.message(
        SHIM,
        CONTAINERD,
        "unix:7-8",
        "containerd-event",
        "event",
        "/tasks/exit",
        {"container_id": CONTAINER_ID, "timestamp": 3},
        "{}",
    )
    s.add(e.ProcessExited(s.tick(), CLIENT, CLIENT, 0, None))
    s.add(e.RecordingEnded(s.tick(), 0, "the foreground program ended"))


def many_calls(count: int) -> Iterator[str]:
    """The lines of a recording with that many events: one process that makes ordinary calls without end."""
    s = Story()
    s.fork(0, CLIENT, "launched")
    s.stage(CLIENT, "client-parses", s.execute(CLIENT, "python3", "-m", "runtime.client", "run"))
    yield s.header
    yield from s.lines
    names = ("openat", "read", "write", "close", "futex", "socket")
    for number in range(count - len(s.lines) - 1):
        name = NUMBERS[names[number % 6]]
        yield f'["exit",{number},{CLIENT},{name},[3,140244,4096,0,0,0],{number % 97},{number},{{"1":"/etc/file-{number}"}},{{"0":"/etc/x"}}]\n'
    yield encode_event(e.RecordingEnded(count, 0, "done"))
