"""An ordinary user's network: a namespace of their own with a way out by pasta or slirp4netns, and a stack in it.

neighbour (10.199.0.2) ====== host (10.199.0.1) ~~~ pasta or slirp4netns ~~~ namespace --- bridge --- container
"""

import os
import re
import select
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.host.daemon.test_networks import HOST, NEIGHBOUR, Namespace

if TYPE_CHECKING:
    from tests.host.conftest import OrdinaryUser

pytestmark = [pytest.mark.root, pytest.mark.slow]

# /dev/net/tun as most hosts have it, for everybody; and one of the two programs put out of order.
PREPARE = """
mount -t tmpfs tmpfs /dev/net && mknod -m 666 /dev/net/tun c 10 200 || exit 1
test -z "$0" || mount --bind /bin/false "$(command -v "$0")" || exit 1
exec "$@"
"""


@pytest.fixture
def places() -> Iterator[tuple[Namespace, Namespace]]:
    """A host with a default route, and the neighbour behind it."""
    missing = [
        name for name in ("ip", "nsenter", "unshare", "setpriv", "pasta", "slirp4netns") if not shutil.which(name)
    ]
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)}")
    host, neighbour = Namespace(f"gbr-host-{os.getpid()}"), Namespace(f"gbr-near-{os.getpid()}")
    try:
        host.ip("link", "add", "wire", "type", "veth", "peer", "name", "wire", "netns", neighbour.name)
        for place, address in ((host, HOST), (neighbour, NEIGHBOUR)):
            place.ip("addr", "add", f"{address}/24", "dev", "wire")
            place.ip("link", "set", "wire", "up")
        host.ip("route", "add", "default", "via", NEIGHBOUR)
        yield host, neighbour
    finally:
        host.delete()
        neighbour.delete()


def start(user: "OrdinaryUser", host: Namespace, broken: str, *words: str) -> subprocess.Popen[str]:
    """Start a command as the user, on that host, without one of the two programs."""
    command = host.command("unshare", "--mount", "sh", "-c", PREPARE, broken, *user.command(*words))
    pipe = subprocess.PIPE
    return subprocess.Popen(command, text=True, stdout=pipe, stderr=pipe, **user._setting())  # type: ignore[call-overload, no-any-return]


def helpers_of(command: subprocess.Popen[str]) -> list[int]:
    """Processes of one of the two programs that serve a command's namespace: its pid is among their words."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            words = (entry / "cmdline").read_text() if entry.name.isdigit() else ""
        except OSError:
            continue
        if re.match(r"\S*(pasta|slirp4netns)", words) and re.search(rf"\b{command.pid}\b", words):
            found.append(int(entry.name))
    return found


def wait_for_ends(pids: list[int]) -> None:
    """Until all of them have ended; their supervisor sees to that on its own."""
    for pid in pids:
        try:
            handle = os.pidfd_open(pid)
        except ProcessLookupError:
            continue
        assert select.select([handle], [], [], 30)[0]
        os.close(handle)


@pytest.mark.parametrize(("broken", "program"), [("slirp4netns", "pasta"), ("pasta", "slirp4netns")])
def test_a_private_network_has_a_way_out_and_ends_with_the_command(
    account: "OrdinaryUser", places: tuple[Namespace, Namespace], broken: str, program: str
) -> None:
    """Links can be made in it; the command starts when there is a route; nothing runs on when it has ended."""
    script = "ip route show default; ip link add name bb type bridge && echo made; exec sleep 1000"
    words = (account.python, "-m", "runtime.rootless", "--net", "private", "--", "sh", "-c", script)
    command = start(account, places[0], broken, *words)
    assert command.stdout
    output = command.stdout.readline() + command.stdout.readline()
    helpers = helpers_of(command)

    command.kill()
    _, complaints = command.communicate()
    wait_for_ends(helpers)

    assert re.fullmatch(r"default via \S+ dev \S+ \nmade\n", output), complaints
    assert 1 == len(helpers), program
    assert [] == helpers_of(command)


def test_without_a_helper_that_works_the_reason_is_said(
    account: "OrdinaryUser", places: tuple[Namespace, Namespace]
) -> None:
    """No default route on the host: pasta has nothing to copy; the loopback is there all the same."""
    host, _ = places
    host.ip("route", "del", "default")
    words = (account.python, "-m", "runtime.rootless", "--net", "private", "--", "ip", "-o", "addr", "show", "lo")
    command = start(account, host, "slirp4netns", *words)
    output, complaints = command.communicate()

    assert (0, True) == (command.returncode, "127.0.0.1/8" in output)
    assert "rootless: network: there is no way outside: " in complaints
    assert [] == helpers_of(command)


def test_without_tun_the_hosts_network_is_kept_and_the_reason_said(account: "OrdinaryUser") -> None:
    """The device that both programs need belongs to root alone on some hosts."""
    prepare = 'mount -t tmpfs tmpfs /dev/net && mknod -m 600 /dev/net/tun c 10 200 && exec "$@"'
    words = (account.python, "-m", "runtime.rootless", "--net=private", "--", "readlink", "/proc/self/ns/net")
    command = ["unshare", "--mount", "sh", "-c", prepare, "sh", *account.command(*words)]
    done = subprocess.run(command, capture_output=True, text=True, **account._setting())  # type: ignore[call-overload]

    assert os.readlink("/proc/self/ns/net") == done.stdout.strip()
    if shutil.which("pasta") or shutil.which("slirp4netns"):
        assert "/dev/net/tun cannot be opened (permission denied)" in done.stderr


@pytest.mark.parametrize("broken", ["slirp4netns", "pasta"])
def test_containers_of_an_ordinary_user_reach_each_other_and_the_outside(
    account: "OrdinaryUser", places: tuple[Namespace, Namespace], broken: str
) -> None:
    """The whole stack: a bridge, a connection that the neighbour sees coming from the host, a published port."""
    host, neighbour = places
    stack = start(account, host, broken, account.python, "-m", "tracer", "stack", "up")
    assert stack.stdout
    address = stack.stdout.readline().strip().removeprefix("export DOCKER_HOST=")
    client = (account.python, "-m", "runtime.client", "-H", address, "run", "--rm", "hostbox", "sh", "-c")

    with neighbour.socket(socket.AF_INET, socket.SOCK_STREAM) as listener:
        listener.bind((NEIGHBOUR, 7000))
        listener.listen()
        calling = account.start(
            *client, f"ip -4 -o addr show eth0; echo hello | nc {NEIGHBOUR} 7000", stdout=-1, stderr=-1
        )
        assert select.select([listener], [], [], 60)[0], calling.communicate()
        peer, (source, _) = listener.accept()
        with peer:
            said = peer.recv(100)
    output, complaints = calling.communicate()
    serve = ("run", "-d", "-p", "8080:80", "hostbox", "nc", "-ll", "-p", "80", "-e", "cat")
    account.run(account.python, "-m", "runtime.client", "-H", address, *serve)
    answer = b""
    while not answer:  # the proxy accepts before the container listens, and then hangs up
        with neighbour.connect(HOST, 8080) as connection:
            connection.sendall(b"from the neighbour")
            connection.shutdown(socket.SHUT_WR)
            answer = connection.recv(100)
    helpers = helpers_of(stack)
    stack.send_signal(signal.SIGTERM)
    _, words = stack.communicate()
    wait_for_ends(helpers)

    assert (HOST, b"hello\n") == (source, said), complaints + words
    assert "eth0" in output
    assert b"from the neighbour" == answer
    assert 1 == len(helpers)
    assert (0, []) == (stack.returncode, helpers_of(stack))
    while list(Path("/tmp").glob(f"glassbottom-ports-{stack.pid}-*")):
        os.sched_yield()  # the supervisor's last act
