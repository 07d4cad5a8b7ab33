"""The daemon on the built-in stack, spoken to byte by byte, killed, and started again."""

import http.client
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.oci_bundle import cgroups_named
from tests.unix_sockets import wait_for_socket

PATIENCE = 20
"""Seconds after which what has not happened never will."""
pytestmark = [pytest.mark.root, pytest.mark.slow]


class UnixConnection(http.client.HTTPConnection):
    """HTTP over a unix socket."""

    def __init__(self, path: str) -> None:
        super().__init__("localhost")
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(self._path)


class Stack:
    """One containerd, and a daemon that can be killed and started again."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.socket = str(folder / "d.sock")
        self.bridge = f"gbt-{os.getpid()}"
        self.start_containerd()
        self.start()

    def start_containerd(self) -> None:
        folder = self.folder
        self.containerd = self._spawn(
            *(
                "runtime.containerd",
                "--root",
                f"{folder}/cr",
                "--state",
                f"{folder}/cs",
                "--address",
                f"{folder}/c.sock",
            )
        )
        wait_for_socket(f"{folder}/c.sock", self.containerd.pid)

    def _spawn(self, module: str, *arguments: str) -> subprocess.Popen[bytes]:
        log = (self.folder / "log").open("ab")
        with log:
            return subprocess.Popen([sys.executable, "-m", module, *arguments], stderr=log, stdout=log)

    def daemon_flags(self) -> list[str]:
        folder = self.folder
        places = ["--data-root", f"{folder}/data", "--exec-root", f"{folder}/exec", "--bridge", self.bridge]
        return ["-H", f"unix://{self.socket}", "--containerd", f"{folder}/c.sock", *places, "--shutdown-timeout", "1"]

    def start(self) -> None:
        self.daemon = self._spawn("runtime.daemon", *self.daemon_flags(), "--cgroup-parent", f"/gbt-{os.getpid()}")
        wait_for_socket(self.socket, self.daemon.pid)

    def kill(self) -> None:
        self.daemon.kill()
        self.daemon.wait()

    def stop(self) -> None:
        for process in (self.daemon, self.containerd):
            process.terminate()
            process.wait()
        for parent in cgroups_named(f"gbt-{os.getpid()}"):
            os.rmdir(parent)  # like dockerd's /docker it stays; that it can be removed shows that it is empty

    def ask(self, method: str, path: str, body: object = None, **headers: str) -> tuple[int, Any]:
        """One request; the body is JSON unless it is bytes."""
        connection = UnixConnection(self.socket)
        data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        sent = {"Content-Type": "application/json", **{key.replace("_", "-"): value for key, value in headers.items()}}
        connection.request(method, path, data, sent)
        reply = connection.getresponse()
        text = reply.read()
        connection.close()
        return reply.status, json.loads(text) if text.strip() and reply.status != 101 else None

    def run(self, name: str, script: str, **fields: object) -> str:
        """Create and start a container that runs a shell script."""
        body = {"Image": "hostbox", "Cmd": ["sh", "-c", script], **fields}
        status, created = self.ask("POST", f"/containers/create?name={name}", body)
        assert status == 201, created
        assert (204, None) == self.ask("POST", f"/containers/{name}/start")
        return str(created["Id"])

    def logs(self, name: str) -> bytes:
        connection = UnixConnection(self.socket)
        connection.request("GET", f"/containers/{name}/logs?stdout=1&stderr=1&follow=1")
        data = connection.getresponse().read()
        connection.close()
        return data


def veths(stack: Stack) -> set[str]:
    """The ends of veth pairs in the stack's bridge."""
    return set(os.listdir(f"/sys/class/net/{stack.bridge}/brif"))


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A stack for all tests; when it is stopped, nothing of it may be left."""
    stack = Stack(tmp_path_factory.mktemp("d"))
    try:
        yield stack
    finally:
        stack.stop()
    folder = str(stack.folder)
    assert [name for _, name in socket.if_nameindex() if name.startswith(stack.bridge)] == []
    assert [line for line in Path("/proc/self/mounts").read_text().splitlines() if folder in line] == []
    assert not Path(stack.socket).exists()
    left = [cmd for pid in os.listdir("/proc") if pid.isdigit() if folder in (cmd := command_line(pid))]
    assert left == []


def command_line(pid: str) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:
        return ""


@pytest.fixture(autouse=True)
def _clean(stack: Stack) -> Iterator[None]:
    yield
    for container in stack.ask("GET", "/containers/json?all=1")[1]:
        stack.ask("DELETE", f"/containers/{container['Id']}?force=1")


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "words"),
    [
        ("POST", "/containers/create", b"{", 500, "invalid JSON"),
        ("POST", "/containers/create", b"[]", 500, "want an object"),
        ("POST", "/containers/create", b"{}", 400, "Config cannot be empty"),
        ("POST", "/containers/create", b'{"Image": 1}', 400, "cannot read Image as str"),
        ("POST", "/containers/create", b'{"Image": "hostbox", "HostConfig": {"Memory": "x"}}', 400, "Memory"),
        ("POST", "/containers/create", b'{"Image": "nosuch"}', 404, "No such image: nosuch:latest"),
        ("POST", "/containers/create", b'{"Image": "NOSUCH"}', 400, "must be lowercase"),
        (
            "POST",
            "/containers/create",
            b'{"Image": "hostbox", "HostConfig": {"PortBindings": {"80/tcp": [{"HostPort": "x"}]}}}',
            400,
            'invalid port specification: "x"',
        ),
        ("POST", "/containers/create", b'{"Image": "hostbox", "HostConfig": {"Ulimits": [1]}}', 400, "Ulimits"),
        ("POST", "/containers/create", b'{"Image": "hostbox", "Env": [1]}', 400, "cannot read Env as list of str"),
        ("POST", "/containers/create", b'{"Image": "hostbox", "Cmd": [1]}', 400, "Cmd"),
        ("POST", "/containers/create", b'{"Image": "hostbox", "HostConfig": {"Binds": [1]}}', 400, "Binds"),
        ("POST", "/containers/create", b'{"Image": "hostbox", "HostConfig": {"Mounts": [1]}}', 400, "Mounts"),
        ("POST", "/containers/create", b"\xff\xfe", 500, "invalid JSON"),
        ("GET", "/nosuch", None, 404, "page not found"),
        ("GET", "/v1.99/info", None, 400, "too new"),
        ("GET", "/containers/json?limit=x", None, 400, "invalid syntax"),
        ("GET", "/containers/json?filters=x", None, 400, "invalid filter"),
        ("GET", '/containers/json?filters={"nosuch":["x"]}', None, 400, "Invalid filter"),
        ("GET", "/containers/nosuch/json", None, 404, "No such container: nosuch"),
        ("POST", "/containers/nosuch/wait?condition=x", None, 404, "No such container"),
        ("GET", "/exec/nosuch/json", None, 404, "No such exec instance: nosuch"),
        ("GET", "/networks/nosuch", None, 404, "network nosuch not found"),
        ("GET", "/volumes/nosuch", None, 404, "get nosuch: no such volume"),
        ("POST", "/build", None, 501, "not modelled"),
        ("POST", "/swarm/init", None, 501, "not modelled"),
    ],
)
def test_bad_requests_get_a_sentence(
    stack: Stack, method: str, path: str, body: bytes | None, status: int, words: str
) -> None:
    """JSON with a message, the right status, and the daemon lives on."""
    answered, reply = stack.ask(method, path.replace('"', "%22"), body)

    assert (status, True) == (answered, words in reply["message"]), reply


def test_create_of_another_content_type_is_refused(stack: Stack) -> None:
    """As in Docker: the body must say that it is JSON."""
    status, reply = stack.ask("POST", "/containers/create", b"{}", Content_Type="text/plain")

    assert 400 == status
    assert "must be 'application/json'" in reply["message"]


def test_refusal_reaches_a_client_that_is_still_sending(stack: Stack) -> None:
    """It is answered before its body has come; the body is read all the same, and the connection goes on."""
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(stack.socket)
        head = (
            "POST /containers/create HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\nContent-Length: 2000000\r\n\r\n"
        )
        client.sendall(head.encode())
        refusal = client.recv(4096)
        client.sendall(b" " * 2_000_000 + b"GET /_ping HTTP/1.1\r\nHost: x\r\n\r\n")
        pong = client.recv(4096)

    assert refusal.startswith(b"HTTP/1.1 400")
    assert pong.startswith(b"HTTP/1.1 200")


def test_garbage_is_answered_and_the_daemon_lives(stack: Stack) -> None:
    """Not HTTP at all: 400 and a closed connection; the next client is served."""
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(stack.socket)
        client.sendall(b"\x16\x03\x01 no http\r\n\r\n")
        assert client.recv(100).startswith(b"HTTP/1.")

    assert 200 == stack.ask("GET", "/version")[0]


def test_wait_sends_its_headers_before_the_container_starts(stack: Stack) -> None:
    """The CLI sends start only after it has them; the body comes with the exit, after the stream has ended."""
    stack.ask("POST", "/containers/create?name=w1", {"Image": "hostbox", "Cmd": ["sh", "-c", "exit 4"]})
    waiting = UnixConnection(stack.socket)
    waiting.request("POST", "/containers/w1/wait?condition=next-exit")

    reply = waiting.getresponse()  # returns with the headers
    stack.ask("POST", "/containers/w1/start")

    assert {"Error": None, "StatusCode": 4} == json.loads(reply.read())
    waiting.close()


@pytest.mark.parametrize("upgrade", [True, False])
def test_attach_takes_the_connection_over(stack: Stack, upgrade: bool) -> None:
    """101 for those who ask for it, the old 200 for others; input before start; half close; frames; full close."""
    body = {"Image": "hostbox", "Cmd": ["sh", "-c", "cat; echo done >&2"], "OpenStdin": True, "StdinOnce": True}
    stack.ask("POST", "/containers/create?name=a1", body)
    client = socket.socket(socket.AF_UNIX)
    client.connect(stack.socket)
    head = "Connection: Upgrade\r\nUpgrade: tcp\r\n" if upgrade else ""
    path = "/containers/a1/attach?stream=1&stdin=1&stdout=1&stderr=1"
    client.sendall(f"POST {path} HTTP/1.1\r\nHost: x\r\n{head}Content-Length: 0\r\n\r\n".encode())
    answer = client.recv(4096)

    client.sendall(b"typed early")
    client.shutdown(socket.SHUT_WR)
    stack.ask("POST", "/containers/a1/start")
    with client.makefile("rb") as stream:
        output = stream.read()
    client.close()

    assert answer.startswith(b"HTTP/1.1 101 UPGRADED\r\n" if upgrade else b"HTTP/1.1 200 OK\r\n")
    assert {b"\x01\0\0\0\0\0\0\x0btyped early", b"\x02\0\0\0\0\0\0\x05done\n"} == set(
        re.findall(rb"[\x01\x02]\0\0\0\0\0\0.[^\x01\x02]+", output)
    )


def test_a_client_that_leaves_takes_nothing_along(stack: Stack) -> None:
    """Attached, waiting, following: all hang up, and the container ends as it would have."""
    stack.run("left", "read x", OpenStdin=True)
    paths = ["/containers/left/wait", "/containers/left/logs?stdout=1&follow=1", "/events"]
    for path in paths:
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(stack.socket)
            method = "POST" if path.endswith("wait") else "GET"
            client.sendall(f"{method} {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            assert client.recv(100).startswith(b"HTTP/1.1 200")

    assert 204 == stack.ask("POST", "/containers/left/kill")[0]
    assert {"Error": None, "StatusCode": 137} == stack.ask("POST", "/containers/left/wait")[1]


def test_killed_daemon_finds_its_containers_again(stack: Stack) -> None:
    """kill -9: what runs runs on; the next daemon reads its output, executes in it, and learns how it ended."""
    stack.run("lives", "echo before; while ! test -e /go; do sleep 0.02; done; echo after; exit 6")
    stack.run("other", "sleep 99")
    address = stack.ask("GET", "/containers/lives/json")[1]["NetworkSettings"]["IPAddress"]

    stack.kill()
    stack.start()

    again = stack.ask("GET", "/containers/lives/json")[1]
    assert (True, address) == (again["State"]["Running"], again["NetworkSettings"]["IPAddress"])
    stack.run("new", "sleep 99")
    assert address != stack.ask("GET", "/containers/new/json")[1]["NetworkSettings"]["IPAddress"]
    created = stack.ask("POST", "/containers/lives/exec", {"Cmd": ["touch", "/go"]})[1]
    assert (200, None) == stack.ask("POST", f"/exec/{created['Id']}/start", {"Detach": True})
    assert {"Error": None, "StatusCode": 6} == stack.ask("POST", "/containers/lives/wait")[1]
    assert [b"before", b"after"] == re.findall(rb"before|after", stack.logs("lives"))


def test_exit_while_the_daemon_was_dead_is_learnt(stack: Stack) -> None:
    """The process ends with nobody listening: its exit code is asked for, the veth is gone, --rm is carried out."""
    first = stack.run("gone", "while ! test -e /tmp/x; do sleep 0.02; done; exit 3")
    second = stack.run("rm", "sleep 99", HostConfig={"AutoRemove": True})
    pids = [stack.ask("GET", f"/containers/{key}/json")[1]["State"]["Pid"] for key in (first, second)]
    assert 2 == len(veths(stack))

    stack.kill()
    fds = [os.pidfd_open(pid) for pid in pids]
    for fd in fds:
        signal.pidfd_send_signal(fd, signal.SIGKILL)
        os.close(fd)
    stack.start()

    assert {"Error": None, "StatusCode": 137} == stack.ask("POST", "/containers/gone/wait")[1]
    status, reply = stack.ask("POST", "/containers/rm/wait?condition=removed")
    assert status == 404 or reply["StatusCode"] == 137
    assert set() == veths(stack)


def test_layer_of_a_container_that_never_was_is_removed(stack: Stack) -> None:
    """kill -9 between the snapshot and the record: the next daemon finds a layer that nobody owns."""
    layers = stack.folder / "cr" / "io.containerd.snapshotter.v1.overlayfs" / "snapshots"
    before = set(os.listdir(layers))
    _, created = stack.ask("POST", "/containers/create?name=kept", {"Image": "hostbox"})
    kept = set(os.listdir(layers))
    _, lost = stack.ask("POST", "/containers/create?name=lost", {"Image": "hostbox"})

    stack.kill()
    shutil.rmtree(stack.folder / "data" / "containers" / lost["Id"])
    stack.start()

    until = time.monotonic() + PATIENCE
    while set(os.listdir(layers)) != kept:
        assert time.monotonic() < until, "the layer is still there"
        time.sleep(0.01)
    assert len(kept - before) == 1
    assert stack.ask("POST", f"/containers/{created['Id']}/start")[0] == 204


def test_killed_containerd_is_subscribed_to_again(stack: Stack) -> None:
    """Its shims live on: an exit while it was dead is asked for, later ones are heard of, and new runs work."""
    stack.run("k1", "sleep 99")
    stack.run("k2", "while ! test -e /go; do sleep 0.02; done; exit 8")
    pid = stack.ask("GET", "/containers/k1/json")[1]["State"]["Pid"]

    stack.containerd.kill()
    stack.containerd.wait()
    os.kill(pid, signal.SIGKILL)
    stack.start_containerd()

    assert {"Error": None, "StatusCode": 137} == stack.ask("POST", "/containers/k1/wait")[1]
    created = stack.ask("POST", "/containers/k2/exec", {"Cmd": ["touch", "/go"]})[1]
    assert (200, None) == stack.ask("POST", f"/exec/{created['Id']}/start", {"Detach": True})
    assert {"Error": None, "StatusCode": 8} == stack.ask("POST", "/containers/k2/wait")[1]


def test_bridge_joins_containers_with_each_other_and_the_host(stack: Stack) -> None:
    """Each has an address of its own, a default route and its name in /etc/hosts."""
    stack.run("n1", "sleep 99", Hostname="first")
    one = stack.ask("GET", "/containers/n1/json")[1]["NetworkSettings"]
    script = f"ping -c1 -w5 {one['IPAddress']} && ping -c1 -w5 {one['Gateway']} && grep second /etc/hosts && ip route"

    stack.run("n2", script, Hostname="second")

    assert {"Error": None, "StatusCode": 0} == stack.ask("POST", "/containers/n2/wait")[1], stack.logs("n2")
    members = stack.ask("GET", "/networks/bridge")[1]["Containers"]
    assert [f"{one['IPAddress']}/{one['IPPrefixLen']}"] == [member["IPv4Address"] for member in members.values()]
    assert one["MacAddress"].startswith("02:42:")


def test_many_containers_at_once_have_addresses_of_their_own(stack: Stack) -> None:
    """Starts that overlap do not share an address."""
    names = [f"m{number}" for number in range(4)]
    clients = []
    for name in names:
        stack.ask("POST", f"/containers/create?name={name}", {"Image": "hostbox", "Cmd": ["sleep", "99"]})
    for name in names:
        client = UnixConnection(stack.socket)
        client.request("POST", f"/containers/{name}/start")
        clients.append(client)

    assert [204] * 4 == [client.getresponse().status for client in clients]
    for client in clients:
        client.close()
    assert 4 == len({stack.ask("GET", f"/containers/{n}/json")[1]["NetworkSettings"]["IPAddress"] for n in names})


def test_second_daemon_on_the_same_socket_is_refused(stack: Stack) -> None:
    """One sentence, exit code 1, and the first one goes on."""
    command = [sys.executable, "-m", "runtime.daemon", *stack.daemon_flags()]
    command[command.index("--data-root") + 1] = str(stack.folder / "data2")
    command[command.index("--exec-root") + 1] = str(stack.folder / "exec2")
    command[command.index("--bridge") + 1] = f"{stack.bridge}b"

    done = subprocess.run(command, capture_output=True, text=True)

    assert 1 == done.returncode
    assert done.stderr.splitlines()[-1] == f"daemon: cannot listen on {stack.socket}: another daemon answers there"
    assert 200 == stack.ask("GET", "/version")[0]


@pytest.mark.parametrize(
    ("flags", "code", "words"),
    [
        (["--nosuch"], 2, "daemon: unknown flag: --nosuch"),
        (["--snapshotter", "zfs"], 2, "daemon: invalid --snapshotter zfs"),
        (["--default-runtime", "x"], 2, "daemon: --default-runtime x is not among"),
        (["-H", "tcp://1.2.3.4"], 2, "daemon: invalid --host tcp://1.2.3.4"),
        (["--containerd", "/nosuch/c.sock"], 1, "daemon: cannot reach containerd at /nosuch/c.sock"),
    ],
)
def test_start_that_cannot_be_says_why(tmp_path: Path, flags: list[str], code: int, words: str) -> None:
    """A sentence and no traceback."""
    places = ["-H", f"{tmp_path}/s", "--data-root", f"{tmp_path}/d", "--exec-root", f"{tmp_path}/e"]

    done = subprocess.run([sys.executable, "-m", "runtime.daemon", *places, *flags], capture_output=True, text=True)

    assert (code, True) == (done.returncode, done.stderr.startswith(words)), done.stderr
    assert "Traceback" not in done.stderr
