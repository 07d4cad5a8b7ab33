"""The daemon on the built-in stack, spoken to byte by byte."""

import json
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.host.daemon.stacks import Stack, UnixConnection

pytestmark = [pytest.mark.root, pytest.mark.slow, pytest.mark.usefixtures("clean")]


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "words"),
    [
        ("POST", "/containers/create", b"{", 500, "unexpected EOF"),
        ("POST", "/containers/create", b"[]", 500, "cannot unmarshal array"),
        ("POST", "/containers/create", b"{}", 400, "Config cannot be empty"),
        ("POST", "/containers/create", b'{"Image": 1}', 500, "Image of type string"),
        ("POST", "/containers/create", b'{"Image": "hostbox", "HostConfig": {"Memory": "x"}}', 500, "Memory"),
        ("POST", "/containers/create", b'{"Image": "nosuch"}', 404, "No such image: nosuch:latest"),
        ("POST", "/containers/create", b'{"Image": "NOSUCH"}', 400, "must be lowercase"),
        (
            "POST",
            "/containers/create",
            b'{"Image": "hostbox", "HostConfig": {"PortBindings": {"80/tcp": [{"HostPort": "x"}]}}}',
            400,
            'invalid port specification: "x"',
        ),
        ("POST", "/containers/create", b'{"Image": "hostbox", "HostConfig": {"Ulimits": [1]}}', 500, "Ulimits"),
        ("POST", "/containers/create", b'{"Image": "hostbox", "Env": [1]}', 500, "Env of type string"),
        ("POST", "/containers/create", b'{"Image": "hostbox", "Cmd": [1]}', 500, "Cmd"),
        ("POST", "/containers/create", b'{"Image": "hostbox", "HostConfig": {"Binds": [1]}}', 500, "Binds"),
        ("POST", "/containers/create", b'{"Image": "hostbox", "HostConfig": {"Mounts": [1]}}', 500, "Mounts"),
        ("POST", "/containers/create", b"\xff\xfe", 500, "looking for beginning of value"),
        ("GET", "/nosuch", None, 404, "page not found"),
        ("GET", "/v1.99/info", None, 400, "too new"),
        ("GET", "/containers/json?limit=x", None, 500, "invalid syntax"),
        ("GET", "/containers/json?filters=x", None, 500, "looking for beginning of value"),
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
