"""docker-py as it is, under dockerd and then under ours: one body for both."""

import contextlib
import functools
import io
import shutil
import tarfile
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.swap.test_docker_cli import BINARIES, stack_up

docker = pytest.importorskip("docker")

pytestmark = [
    pytest.mark.root,
    pytest.mark.swap,
    pytest.mark.slow,
    # docker-py leaves its hijacked connections to the garbage collector.
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture(scope="module")
def clients(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Any]]:
    """A client of each daemon, from when it is first asked for until the last test."""
    missing = [name for name in BINARIES if shutil.which(name) is None]
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)}")
    with contextlib.ExitStack() as up:

        @functools.cache
        def connected(seat: str) -> Any:
            engine = up.enter_context(stack_up(seat, tmp_path_factory.mktemp("py")))
            return up.enter_context(contextlib.closing(docker.DockerClient(base_url=engine.host, version="auto")))

        yield connected


@pytest.fixture(params=["dockerd", "ours"])
def client(request: pytest.FixtureRequest, clients: Callable[[str], Any]) -> Iterator[Any]:
    """docker-py's client; what a test leaves is removed."""
    found = clients(request.param)
    yield found
    for container in found.containers.list(all=True):
        container.remove(force=True, v=True)
    for volume in found.volumes.list():
        volume.remove()


def sleeper(client: Any, **options: Any) -> Any:
    """A container that runs until it is killed."""
    return client.containers.run("hostbox", ["sleep", "99"], detach=True, **options)


def tar_of(name: str, data: bytes) -> bytes:
    """An archive of one file."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        info = tarfile.TarInfo(name)
        info.size = len(data)
        tar.addfile(info, io.BytesIO(data))
    return out.getvalue()


def test_run_returns_the_output(client: Any) -> None:
    """Standard output by default, standard error when asked; the container goes."""
    output = client.containers.run("hostbox", ["sh", "-c", "echo out; echo err >&2"], remove=True)
    both = client.containers.run("hostbox", ["sh", "-c", "echo err >&2"], remove=True, stdout=False, stderr=True)

    assert (b"out\n", b"err\n") == (output, both)
    assert [] == client.containers.list(all=True)


def test_run_raises_with_exit_code_and_stderr(client: Any) -> None:
    """A failing command is a ContainerError that holds what it said."""
    with pytest.raises(docker.errors.ContainerError) as failed:
        client.containers.run("hostbox", ["sh", "-c", "echo why >&2; exit 3"])

    assert (3, b"why\n") == (failed.value.exit_status, failed.value.stderr)


def test_errors_have_the_classes_that_callers_catch(client: Any) -> None:
    """Missing image, missing container, name in use, no such command."""
    client.containers.create("hostbox", name="taken")

    with pytest.raises(docker.errors.ImageNotFound):
        client.containers.create("nosuch:image")
    with pytest.raises(docker.errors.NotFound):
        client.containers.get("nosuch")
    with pytest.raises(docker.errors.APIError) as conflict:
        client.containers.create("hostbox", name="taken")
    with pytest.raises(docker.errors.APIError, match="executable file not found"):
        client.containers.run("hostbox", "nosuch")

    assert 409 == conflict.value.status_code


def test_mac_address_is_that_of_the_first_network(client: Any) -> None:
    """On the bridge and on a network of the user's own, written in any of three ways; nowhere else, and kept."""
    asked = "92:d0:c6:0a:29:33"
    read = ["sh", "-c", "cat /sys/class/net/eth*/address"]
    pool = docker.types.IPAMConfig(pool_configs=[docker.types.IPAMPool(subnet="10.9.0.0/24")])
    network = client.networks.create("own", ipam=pool)
    try:
        on_bridge = client.containers.run("hostbox", read, remove=True, mac_address=asked)
        on_own = client.containers.run("hostbox", read, remove=True, mac_address="92d0.C60a.2933", network="own")
        container = sleeper(client, mac_address=asked)
        network.connect(container)
        container.restart(timeout=0)
        container.reload()

        assert (f"{asked}\n".encode(), f"{asked}\n".encode()) == (on_bridge, on_own)
        assert f"{asked}\n02:42:0a:09:00:02\n".encode() == container.exec_run(read).output
        assert asked == container.attrs["NetworkSettings"]["Networks"]["bridge"]["MacAddress"]
        assert asked == container.attrs["Config"]["MacAddress"]
        container.remove(force=True)
    finally:
        network.remove()


def test_mac_address_is_refused_where_it_means_nothing(client: Any) -> None:
    """With another's network at create, when it is none at start."""
    with pytest.raises(docker.errors.APIError, match="conflicting options: mac-address and the network mode"):
        client.containers.create("hostbox", mac_address="92:d0:c6:0a:29:33", network_mode="host")
    container = client.containers.create("hostbox", mac_address="zz")
    with pytest.raises(docker.errors.APIError, match="address zz: invalid MAC address"):
        container.start()


def test_life_of_a_container(client: Any) -> None:
    """Start, pause, unpause, restart, rename, stop: the states and attributes on the way."""
    container = sleeper(client, name="one", labels={"a": "b"}, environment={"K": "V"}, mem_limit="64m")
    states = []

    for step in (None, container.pause, container.unpause, functools.partial(container.restart, timeout=0)):
        if step:
            step()
        container.reload()
        states.append(container.status)
    container.stop(timeout=0)
    container.rename("two")
    container.reload()

    assert ["running", "paused", "running", "running"] == states
    assert ("exited", "two", {"a": "b"}) == (container.status, container.name, container.labels)
    assert (64 << 20, True) == (container.attrs["HostConfig"]["Memory"], "K=V" in container.attrs["Config"]["Env"])
    assert 137 == container.wait()["StatusCode"]


def test_wait_takes_conditions(client: Any) -> None:
    """The exit code, also from who waits for the next exit of something that has not begun."""
    container = client.containers.create("hostbox", ["sh", "-c", "exit 5"])
    codes: list[int] = []
    waiter = threading.Thread(target=lambda: codes.append(container.wait(condition="next-exit")["StatusCode"]))

    waiter.start()
    while waiter.is_alive() and not codes:
        container.start()  # again where the waiter came after the first exit
        waiter.join(0.2)

    assert [5, 5] == [*codes, container.wait()["StatusCode"]]


def test_logs_by_stream_tail_and_time(client: Any) -> None:
    """All of it, one stream, the last line, with its instant, and line by line while it runs."""
    container = client.containers.run("hostbox", ["sh", "-c", "echo e >&2; sleep 0.2; seq 3"], detach=True)
    container.wait()

    assert b"1\n2\n3\n" == container.logs(stderr=False)
    assert b"e\n" == container.logs(stdout=False)
    assert b"3\n" == container.logs(stderr=False, tail=1)
    assert container.logs(stderr=False, tail=1, timestamps=True).endswith(b"Z 3\n")
    assert b"" == container.logs(since=2**31)
    assert [b"1\n", b"2\n", b"3\n"] == list(container.logs(stderr=False, stream=True, follow=True))


def test_exec_run_returns_code_and_output(client: Any) -> None:
    """Together, apart, as a stream, as another user in another directory."""
    container = sleeper(client)

    both = container.exec_run(["sh", "-c", "echo out; exit 4"])
    apart = container.exec_run(["sh", "-c", "echo out; echo err >&2"], demux=True)
    streamed = container.exec_run(["seq", "2"], stream=True)
    placed = container.exec_run("sh -c 'id -un; pwd'", user="guest", workdir="/tmp")

    assert (4, b"out\n") == both
    assert (b"out\n", b"err\n") == apart.output
    assert b"1\n2\n" == b"".join(streamed.output)
    assert b"guest\n/tmp\n" == placed.output


def test_exec_socket_speaks_both_ways(client: Any) -> None:
    """The raw connection of an exec with a terminal."""
    container = sleeper(client)
    _, sock = container.exec_run("cat", stdin=True, socket=True, tty=True)
    raw = getattr(sock, "_sock", sock)

    raw.sendall(b"typed\n\x04")
    heard = b""
    while data := raw.recv(4096):
        heard += data
    sock.close()
    raw.close()  # the file alone was, of docker-py's two

    assert b"typed\r\ntyped\r\n" == heard.replace(b"^D\b\b", b"")


def test_attach_socket_speaks_both_ways(client: Any) -> None:
    """Attached before it starts: input goes in, framed output comes out, and the end is the end."""
    container = client.containers.create("hostbox", ["sh", "-c", "read line; echo got $line"], stdin_open=True)
    sock = container.attach_socket(params={"stdin": 1, "stdout": 1, "stream": 1})
    raw = getattr(sock, "_sock", sock)

    container.start()
    raw.sendall(b"it\n")
    heard = b""
    while data := raw.recv(4096):
        heard += data
    sock.close()
    raw.close()  # the file alone was, of docker-py's two

    assert b"\1\0\0\0\0\0\0\7got it\n" == heard
    assert 0 == container.wait()["StatusCode"]


def test_archives_go_in_and_come_out(client: Any) -> None:
    """put_archive into a stopped container, get_archive out of it, and what is said about the path."""
    container = client.containers.create("hostbox", ["true"])

    accepted = container.put_archive("/tmp", tar_of("f", b"data"))
    stream, about = container.get_archive("/tmp/f")
    with tarfile.open(fileobj=io.BytesIO(b"".join(stream))) as tar:
        content = tar.extractfile("f")
        assert content is not None
        data = content.read()

    assert (True, b"data") == (accepted, data)
    assert ("f", 4, "") == (about["name"], about["size"], about["linkTarget"])
    with pytest.raises(docker.errors.NotFound):
        container.get_archive("/nosuch")
    with pytest.raises(docker.errors.APIError):
        container.put_archive("/etc/passwd", tar_of("f", b""))


def test_diff_and_export(client: Any) -> None:
    """What has changed, and all of it as a tar."""
    container = client.containers.run("hostbox", ["sh", "-c", "echo x >/new"], detach=True)
    container.wait()

    with tarfile.open(fileobj=io.BytesIO(b"".join(container.export()))) as tar:
        names = tar.getnames()

    assert [{"Path": "/new", "Kind": 1}] == container.diff()
    assert {"new", "bin/sh", ".dockerenv"} <= set(names)
    assert client.containers.create("hostbox", "true").diff() is None


def test_stats_once_and_as_a_stream(client: Any) -> None:
    """Numbers that the share of the CPU can be computed from."""
    container = sleeper(client, mem_limit="64m")

    once = container.stats(stream=False)
    stream = container.stats(decode=True)
    first, second = next(stream), next(stream)

    assert (1, 64 << 20) == (once["pids_stats"]["current"], once["memory_stats"]["limit"])
    assert once["cpu_stats"]["system_cpu_usage"] > once["precpu_stats"]["system_cpu_usage"] > 0
    assert (f"/{container.name}", first["read"]) == (second["name"], second["preread"])


def test_an_empty_seccomp_profile_is_no_filter(client: Any) -> None:
    """And a profile without a file, as docker-py sends it."""
    command = ["grep", "Seccomp:", "/proc/self/status"]
    output = client.containers.run("hostbox", command, remove=True, security_opt=["seccomp={}"])

    assert b"Seccomp:\t0\n" == output


def test_top_and_resize(client: Any) -> None:
    """The processes as the host's ps sees them; a terminal that takes a size."""
    container = sleeper(client, tty=True)

    top = container.top(ps_args="-eo pid,comm")
    container.resize(30, 100)

    assert (["PID", "COMMAND"], ["sleep"]) == (top["Titles"], [row[1] for row in top["Processes"]])
    assert "sleep 99" in container.top()["Processes"][0][-1]


def test_events_tell_a_life(client: Any) -> None:
    """Create, start, die, destroy, with their attributes, filtered by container."""
    with contextlib.closing(client.events(decode=True, filters={"type": "container"})) as events:
        container = client.containers.run("hostbox", ["sh", "-c", "exit 2"], detach=True, labels={"a": "b"})
        container.wait()
        container.remove()
        seen = [next(events) for _ in range(4)]

    assert ["create", "start", "die", "destroy"] == [event["Action"] for event in seen]
    assert ("2", "b") == tuple(seen[2]["Actor"]["Attributes"][key] for key in ("exitCode", "a"))
    assert {container.id} == {event["Actor"]["ID"] for event in seen}


def test_list_filters(client: Any) -> None:
    """By label, state, name and age."""
    one, two = sleeper(client, name="one", labels={"k": "1"}), client.containers.create("hostbox", "true", name="two")

    def found(**filters: Any) -> list[str]:
        return [container.name for container in client.containers.list(all=True, filters=filters)]

    assert ["one"] == [container.name for container in client.containers.list()]
    assert (["one"], ["two"], ["two"], ["two"]) == (
        found(label="k=1"),
        found(status="created"),
        found(name="tw"),
        found(since=one.id),
    )
    assert (["two", "one"], two.short_id) == (found(label=[]), two.id[:12])


def test_volumes_and_mounts(client: Any, tmp_path: Any) -> None:
    """A volume keeps what one container wrote for the next; a bind is the host's; a tmpfs is neither."""
    volume = client.volumes.create("kept", labels={"a": "b"})
    mounts = [
        docker.types.Mount("/v", "kept"),
        docker.types.Mount("/b", str(tmp_path), type="bind"),
        docker.types.Mount("/t", None, type="tmpfs", tmpfs_size=1 << 20),
    ]

    script = "echo 1 >/v/f; echo 2 >/b/f; grep -c ' /t tmpfs' /proc/mounts"
    output = client.containers.run("hostbox", ["sh", "-c", script], mounts=mounts, remove=True)
    again = client.containers.run("hostbox", "cat /w/f", volumes={"kept": {"bind": "/w", "mode": "ro"}}, remove=True)

    assert (b"1\n", b"1\n", "2\n") == (output, again, (tmp_path / "f").read_text())
    assert ({"a": "b"}, ["kept"]) == (volume.attrs["Labels"], [found.name for found in client.volumes.list()])


def test_system_calls(client: Any) -> None:
    """ping, version, info, df: what programs ask before they do anything."""
    sleeper(client)

    version, info, usage = client.version(), client.info(), client.df()

    assert (True, "1.41", "linux") == (client.ping(), version["ApiVersion"], version["Os"])
    assert (1, 1, "json-file") == (info["Containers"], info["ContainersRunning"], info["LoggingDriver"])
    assert (1, ["hostbox:latest"]) == (len(usage["Containers"]), usage["Images"][0]["RepoTags"])
