"""Ports and networks for real: a host of the test's own, one network namespace, and a neighbour in another.

    neighbour (10.199.0.2) ====== host (10.199.0.1) --- bridges --- containers

The neighbour knows a way into every container network, as somebody on the same wire could: what it is let through to is
the packet filter's doing, and nothing else's.
"""

import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from runtime.daemon.netlink import inside_network_namespace
from tests.host.daemon.stacks import Stack
from tests.oci_bundle import cgroups_named
from tests.unix_sockets import wait_for_socket

pytestmark = [pytest.mark.root, pytest.mark.slow]

HOST, NEIGHBOUR = "10.199.0.1", "10.199.0.2"


class Namespace:
    """A network namespace with a name."""

    def __init__(self, name: str) -> None:
        self.name = name
        subprocess.run(["ip", "netns", "add", name], check=True)
        self.ip("link", "set", "lo", "up")

    def ip(self, *words: str) -> None:
        subprocess.run(["ip", "-n", self.name, *words], check=True)

    def command(self, *words: str) -> list[str]:
        """A command line that runs in here."""
        return ["nsenter", f"--net=/run/netns/{self.name}", *words]

    def run(self, *words: str) -> str:
        return subprocess.run(self.command(*words), capture_output=True, text=True, check=True).stdout

    def connect(self, address: str, port: int) -> socket.socket:
        """A TCP connection from here; ConnectionError or TimeoutError if there is none."""
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        opened = self.socket(family, socket.SOCK_STREAM)
        opened.settimeout(1.5)
        try:
            opened.connect((address, port))
        except OSError:
            opened.close()
            raise
        opened.settimeout(30)
        return opened

    def socket(self, family: int, kind: int) -> socket.socket:
        return socket_in(f"/run/netns/{self.name}", family, kind)

    def delete(self) -> None:
        subprocess.run(["ip", "netns", "del", self.name], check=True)


def socket_in(namespace: str, family: int, kind: int) -> socket.socket:
    """A socket that belongs to a network namespace."""
    fd = os.open(namespace, os.O_RDONLY)
    try:
        with inside_network_namespace(fd):
            return socket.socket(family, kind)
    finally:
        os.close(fd)


class NamespacedStack(Stack):
    """A stack whose host is a network namespace."""

    def __init__(self, folder: Path, host: Namespace) -> None:
        self.host = host
        super().__init__(folder)

    def _spawn(self, module: str, *arguments: str) -> subprocess.Popen[bytes]:
        with (self.folder / "log").open("ab") as log:
            command = self.host.command(sys.executable, "-m", module, *arguments)
            return subprocess.Popen(command, stderr=log, stdout=log)

    def start(self) -> None:
        self.daemon = self._spawn("runtime.daemon", *self.daemon_flags(), "--cgroup-parent", f"/gbn-{os.getpid()}")
        wait_for_socket(self.socket, self.daemon.pid)

    def inspect(self, name: str) -> Any:
        return self.ask("GET", f"/containers/{name}/json")[1]["NetworkSettings"]

    def routes_of(self, name: str) -> str:
        """`ip route` in a container's network."""
        pid = self.ask("GET", f"/containers/{name}/json")[1]["State"]["Pid"]
        words = ["nsenter", f"--net=/proc/{pid}/ns/net", "ip", "route"]
        return subprocess.run(words, capture_output=True, text=True, check=True).stdout

    def output_of(self, name: str, script: str, **fields: object) -> str:
        """Run a container to its end; returns what it printed."""
        self.run(name, script, **fields)
        assert {"Error": None, "StatusCode": 0} == self.ask("POST", f"/containers/{name}/wait")[1], self.logs(name)
        return re.sub(rb"[\0-\x02]\0\0\0....", b"", self.logs(name), flags=re.DOTALL).decode()


@pytest.fixture(scope="module")
def places() -> Iterator[tuple[Namespace, Namespace]]:
    """The host and its neighbour, joined by a wire."""
    if shutil.which("ip") is None or shutil.which("nsenter") is None:
        pytest.skip("ip and nsenter are not installed (Debian: iproute2, util-linux)")
    host, neighbour = Namespace(f"gbn-host-{os.getpid()}"), Namespace(f"gbn-near-{os.getpid()}")
    try:
        host.ip("link", "add", "wire", "type", "veth", "peer", "name", "wire", "netns", neighbour.name)
        for place, address in ((host, HOST), (neighbour, NEIGHBOUR)):
            place.ip("addr", "add", f"{address}/24", "dev", "wire")
            place.ip("link", "set", "wire", "up")
        for pool in ("172.16.0.0/12", "192.168.0.0/16"):
            neighbour.ip("route", "add", pool, "via", HOST)
        yield host, neighbour
    finally:
        host.delete()
        neighbour.delete()


@pytest.fixture(scope="module")
def stack(places: tuple[Namespace, Namespace], tmp_path_factory: pytest.TempPathFactory) -> Iterator[NamespacedStack]:
    """A stack on the host; when it has stopped, neither link nor table of it is left."""
    stack = NamespacedStack(tmp_path_factory.mktemp("n"), places[0])
    try:
        yield stack
    finally:
        stack.stop()
    links = places[0].run("ip", "-o", "link")
    assert sorted(re.findall(r"^\d+: ([^:@]+)", links, re.MULTILINE)) == ["lo", "wire"]
    assert stack.host.run("nft", "list", "tables") == "" if shutil.which("nft") else True
    for parent in cgroups_named(f"gbn-{os.getpid()}"):
        os.rmdir(parent)


@pytest.fixture(autouse=True)
def _clean(stack: NamespacedStack) -> Iterator[None]:
    yield
    for container in stack.ask("GET", "/containers/json?all=1")[1]:
        stack.ask("DELETE", f"/containers/{container['Id']}?force=1")
    for network in stack.ask("GET", "/networks?filters=%7B%22type%22%3A%5B%22custom%22%5D%7D")[1]:
        assert (204, None) == stack.ask("DELETE", f"/networks/{network['Id']}")


ECHO = "echo ready; exec nc -ll -p 80 -e cat"


def publish(port: str, host_port: int, host_ip: str = "") -> dict[str, Any]:
    """HostConfig and Config of `-p`."""
    return {
        "HostConfig": {"PortBindings": {port: [{"HostIp": host_ip, "HostPort": str(host_port)}]}},
        "ExposedPorts": {port: {}},
    }


def echoes(connection: socket.socket) -> bool:
    """Whether what is said comes back, and the end of it too."""
    with connection:
        connection.sendall(b"there and back")
        connection.shutdown(socket.SHUT_WR)
        answer = b""
        while data := connection.recv(100):
            answer += data
    return answer == b"there and back"


def wait_until_listening(stack: NamespacedStack, name: str) -> None:
    """Until a container has a socket that listens on port 80 (0050), as its namespace says in /proc."""
    pid = stack.ask("GET", f"/containers/{name}/json")[1]["State"]["Pid"]
    tables = [Path(f"/proc/{pid}/net/{table}") for table in ("tcp", "tcp6")]
    while not any(re.search(r":0050 0+:0000 0A", table.read_text()) for table in tables):
        os.sched_yield()


def test_a_published_port_answers_from_everywhere(stack: NamespacedStack, places: tuple[Namespace, Namespace]) -> None:
    """From another machine and from the host by rules of the kernel; from the loopback, of both kinds, by the proxy."""
    host, neighbour = places
    stack.run("web", ECHO, **publish("80/tcp", 8080))
    wait_until_listening(stack, "web")

    assert echoes(neighbour.connect(HOST, 8080))
    assert echoes(host.connect(HOST, 8080))
    assert echoes(host.connect("127.0.0.1", 8080))
    assert echoes(host.connect("::1", 8080))


def test_a_port_published_on_one_address_is_on_no_other(
    stack: NamespacedStack, places: tuple[Namespace, Namespace]
) -> None:
    """`-p 127.0.0.1:8081:80` is the host's own; a stopped container's port is nobody's."""
    host, neighbour = places
    stack.run("web", ECHO, **publish("80/tcp", 8081, "127.0.0.1"))
    wait_until_listening(stack, "web")

    assert echoes(host.connect("127.0.0.1", 8081))
    with pytest.raises(ConnectionRefusedError):
        neighbour.connect(HOST, 8081)
    stack.ask("POST", "/containers/web/kill")
    with pytest.raises(ConnectionRefusedError):
        host.connect("127.0.0.1", 8081)


def test_what_is_not_published_cannot_be_reached_from_outside(
    stack: NamespacedStack, places: tuple[Namespace, Namespace]
) -> None:
    """Not even by who routes straight to the container's address; the host itself can."""
    host, neighbour = places
    stack.run("web", ECHO)
    wait_until_listening(stack, "web")
    address = stack.inspect("web")["IPAddress"]

    assert echoes(host.connect(address, 80))
    with pytest.raises(TimeoutError):
        neighbour.connect(address, 80)


def test_udp_goes_both_ways(stack: NamespacedStack, places: tuple[Namespace, Namespace]) -> None:
    """Datagrams from the neighbour, by rules, and from the loopback, by the proxy; each gets its own answer."""
    host, neighbour = places
    stack.run("quiet", "sleep 99", **publish("53/udp", 5353))
    pid = stack.ask("GET", "/containers/quiet/json")[1]["State"]["Pid"]

    with socket_in(f"/proc/{pid}/ns/net", socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("0.0.0.0", 53))
        for place, address in ((neighbour, HOST), (host, "127.0.0.1"), (host, "127.0.0.1")):
            with place.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
                client.settimeout(30)
                client.sendto(b"there", (address, 5353))
                data, peer = server.recvfrom(100)
                server.sendto(data + b" and back", peer)
                assert b"there and back" == client.recv(100)


def test_containers_reach_the_outside_with_the_hosts_address(
    stack: NamespacedStack, places: tuple[Namespace, Namespace]
) -> None:
    """Masquerading: who is reached sees the host, not the container."""
    _, neighbour = places
    with neighbour.socket(socket.AF_INET, socket.SOCK_STREAM) as listener:
        listener.bind((NEIGHBOUR, 7000))
        listener.listen()
        stack.run("caller", f"echo hello | nc {NEIGHBOUR} 7000")

        peer, address = listener.accept()
        with peer:
            assert (HOST, b"hello\n") == (address[0], peer.recv(100))


def test_killed_daemon_serves_its_ports_and_networks_again(
    stack: NamespacedStack, places: tuple[Namespace, Namespace]
) -> None:
    """kill -9: the kernel's rules stay; the next daemon has proxies, names and free addresses right."""
    host, neighbour = places
    _, network = stack.ask(
        "POST", "/networks/create", {"Name": "kept", "IPAM": {"Config": [{"Subnet": "10.77.0.0/24"}]}}
    )
    stack.run(
        "web",
        ECHO,
        **publish("80/tcp", 8082) | {"HostConfig": publish("80/tcp", 8082)["HostConfig"] | {"NetworkMode": "kept"}},
    )
    wait_until_listening(stack, "web")

    stack.kill()
    while_dead = echoes(neighbour.connect(HOST, 8082))
    stack.start()

    assert while_dead
    assert echoes(host.connect("127.0.0.1", 8082))
    status, reply = stack.ask("DELETE", "/networks/kept")
    assert (403, True) == (status, "has active endpoints" in reply["message"])
    output = stack.output_of(
        "asks", "nslookup web 127.0.0.11 | grep -c 10.77.0.2; ip -4 addr show eth0", HostConfig={"NetworkMode": "kept"}
    )
    assert ("1", True) == (output.split()[0], "10.77.0.3/24" in output)
    assert network["Id"] == stack.ask("GET", "/networks/kept")[1]["Id"]


def test_a_bridge_of_somebody_elses_is_left_alone(stack: NamespacedStack, places: tuple[Namespace, Namespace]) -> None:
    """Asked for by name it is refused, and still there: what is removed with a network was made for it."""
    host, _ = places
    host.ip("link", "add", "theirs", "type", "bridge")
    options = {"com.docker.network.bridge.name": "theirs"}

    status, reply = stack.ask("POST", "/networks/create", {"Name": "taken", "Options": options})

    assert (500, "cannot make the bridge theirs: File exists") == (status, reply["message"])
    host.ip("link", "del", "theirs")
    assert 404 == stack.ask("GET", "/networks/taken")[0]


def test_containers_on_a_network_find_each_other_by_name(stack: NamespacedStack) -> None:
    """By name, alias and short ID, on UDP and on TCP; on the default network there are no names."""
    stack.ask("POST", "/networks/create", {"Name": "talk"})
    other = stack.run(
        "other",
        "sleep 99",
        HostConfig={"NetworkMode": "talk"},
        NetworkingConfig={"EndpointsConfig": {"talk": {"Aliases": ["nick"]}}},
    )

    script = f"for n in other nick {other[:12]}; do ping -c1 -w5 $n | head -1; done; cat /etc/resolv.conf"
    output = stack.output_of("asks", f"{script}; cat /proc/net/if_inet6", HostConfig={"NetworkMode": "talk"})

    assert "fe80" not in output
    address = stack.inspect("other")["Networks"]["talk"]["IPAddress"]
    assert [address] * 3 == re.findall(r"PING \S+ \((\S+)\)", output)
    assert "nameserver 127.0.0.11\noptions ndots:0" in output
    assert "bad address" in stack.output_of("default", "ping -c1 -w2 other 2>&1; true")


def test_networks_are_apart_and_an_internal_one_is_closed(
    stack: NamespacedStack, places: tuple[Namespace, Namespace]
) -> None:
    """From one network there is no way into another; from an internal one there is no way anywhere."""
    for name, internal in (("left", False), ("right", False), ("shut", True)):
        assert 201 == stack.ask("POST", "/networks/create", {"Name": name, "Internal": internal})[0]
    stack.run("target", ECHO, HostConfig={"NetworkMode": "right"})
    stack.run("inner", "sleep 99", HostConfig={"NetworkMode": "shut"})
    wait_until_listening(stack, "target")
    target = stack.inspect("target")["Networks"]["right"]["IPAddress"]

    call = f"nc -w1 {target} 80 </dev/null 2>/dev/null && echo reached || echo apart"
    assert "apart\n" == stack.output_of("asks-a", call, HostConfig={"NetworkMode": "left"})
    assert "reached\n" == stack.output_of("asks-b", call, HostConfig={"NetworkMode": "right"})
    outside = f"ping -c1 -w1 {NEIGHBOUR} >/dev/null && echo reached || echo closed; ping -c1 -w5 inner | head -1"
    output = stack.output_of("asks-c", outside, HostConfig={"NetworkMode": "shut"})
    assert ("closed", True) == (output.split()[0], "PING inner" in output)


def test_a_running_container_is_connected_and_disconnected(
    stack: NamespacedStack, places: tuple[Namespace, Namespace]
) -> None:
    """It gets a second interface, a name and a way outside there; its published port follows the way that is left."""
    _, neighbour = places
    stack.ask("POST", "/networks/create", {"Name": "a-first", "IPAM": {"Config": [{"Subnet": "10.78.0.0/24"}]}})
    stack.run("web", ECHO, **publish("80/tcp", 8083))
    wait_until_listening(stack, "web")
    settings = {"IPAMConfig": {"IPv4Address": "10.78.0.9"}, "Aliases": ["second"]}

    assert 200 == stack.ask("POST", "/networks/a-first/connect", {"Container": "web", "EndpointConfig": settings})[0]

    assert re.search(r"default via 10\.78\.0\.1 dev eth1", stack.routes_of("web"))
    assert echoes(neighbour.connect(HOST, 8083))
    output = stack.output_of("asks", "nslookup second 127.0.0.11", HostConfig={"NetworkMode": "a-first"})
    assert "10.78.0.9" in output
    assert 200 == stack.ask("POST", "/networks/bridge/disconnect", {"Container": "web"})[0]
    assert echoes(neighbour.connect(HOST, 8083))
    assert 200 == stack.ask("POST", "/networks/a-first/disconnect", {"Container": "web"})[0]
    with pytest.raises(ConnectionRefusedError):
        neighbour.connect(HOST, 8083)
    assert "" == stack.routes_of("web")


def test_names_of_others_are_asked_of_the_hosts_servers(
    stack: NamespacedStack, places: tuple[Namespace, Namespace]
) -> None:
    """--dns: the question is passed on as it came, and the answer comes back; from an internal network it is not."""
    _, neighbour = places
    for name, internal in (("open", False), ("shut", True)):
        stack.ask("POST", "/networks/create", {"Name": name, "Internal": internal})
    with neighbour.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind((NEIGHBOUR, 53))
        host = {"NetworkMode": "open", "Dns": [NEIGHBOUR]}
        stack.run("asks", "nslookup -type=a far.example", HostConfig=host)
        question, peer = server.recvfrom(1000)
        reply = question[:2] + b"\x81\x80\0\1\0\1\0\0\0\0" + question[12:]
        server.sendto(reply + b"\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4\x01\x02\x03\x04", peer)

        assert {"Error": None, "StatusCode": 0} == stack.ask("POST", "/containers/asks/wait")[1]
        assert b"1.2.3.4" in stack.logs("asks")
        closed = stack.output_of(
            "closed", "nslookup -type=a far.example 2>&1; true", HostConfig=host | {"NetworkMode": "shut"}
        )
    assert "SERVFAIL" in closed
