"""Our client and the docker CLI under one real dockerd: one body, two clients, the same answers.

The dockerd is a private one, brought up by ``glassbottom stack up`` with real parts in its seats. What the docker CLI
does here is the reference: a case that fails for it is wrong itself.
"""

import io
import json
import os
import pty
import re
import select
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tarfile
import termios
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from fcntl import ioctl
from pathlib import Path

import pytest

pytestmark = [pytest.mark.root, pytest.mark.swap]

BINARIES = ("docker", "dockerd", "containerd", "runc", "busybox")
DOCKERD = "--daemon dockerd --containerd containerd --shim runc --runtime runc".split()
OURS = [sys.executable, "-m", "runtime.client"]


def image_tar() -> bytes:
    """A root filesystem of busybox alone."""
    busybox = shutil.which("busybox")
    assert busybox
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for folder in ("bin", "etc", "proc", "sys", "dev", "tmp"):
            info = tarfile.TarInfo(folder)
            info.type, info.mode = tarfile.DIRTYPE, 0o755
            tar.addfile(info)
        tar.add(os.path.realpath(busybox), "bin/busybox")
        for applet in ("sh", "cat", "echo", "env", "hostname", "id", "kill", "pwd", "sleep", "stty", "true", "yes"):
            info = tarfile.TarInfo(f"bin/{applet}")
            info.type, info.linkname = tarfile.SYMTYPE, "busybox"
            tar.addfile(info)
    return buffer.getvalue()


@pytest.fixture(scope="module")
def docker_host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """DOCKER_HOST of a private real dockerd with the image ``hostbox``."""
    missing = [name for name in BINARIES if shutil.which(name) is None]
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)}")
    log = (tmp_path_factory.mktemp("dockerd") / "log").open("w")
    command = [sys.executable, "-m", "tracer", "stack", "up", *DOCKERD]
    stack = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True)
    assert stack.stdout
    try:
        host = stack.stdout.readline().strip().removeprefix("export DOCKER_HOST=")
        assert host.startswith("unix://"), Path(log.name).read_text()
        load = subprocess.run(["docker", "-H", host, "import", "-", "hostbox"], input=image_tar(), capture_output=True)
        assert load.returncode == 0, load.stderr
        yield host
    finally:
        stack.terminate()
        stack.wait()
        stack.stdout.close()
        log.close()


@pytest.fixture(params=["docker CLI", "ours"])
def client(request: pytest.FixtureRequest, docker_host: str) -> list[str]:
    """The client's command line up to the verb."""
    return [*(OURS if request.param == "ours" else ["docker"]), "-H", docker_host]


def run(client: list[str], *words: str, stdin: bytes = b"") -> tuple[int, bytes, bytes]:
    """One command; a run gets no network, or dockerd warns that this host does not forward."""
    if words[:1] == ("run",) and len(words) > 1 and "--network" not in words:
        words = ("run", "--network", "none", *words[1:])
    done = subprocess.run([*client, *words], input=stdin, capture_output=True)
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize(
    ("words", "stdin", "expected"),
    [
        (("echo", "hi"), b"", (0, b"hi\n", b"")),
        (("sh", "-c", "echo out; echo err >&2; exit 3"), b"", (3, b"out\n", b"err\n")),
        (("sh", "-c", "sh -c 'kill -9 $$'; exit $?"), b"", (137, b"", b"Killed\n")),
    ],
)
def test_run_passes_output_and_exit_code_on(
    client: list[str], words: tuple[str, ...], stdin: bytes, expected: tuple[int, bytes, bytes]
) -> None:
    """stdout and stderr stay apart, the exit code is the process's."""
    assert run(client, "run", "--rm", "hostbox", *words, stdin=stdin) == expected


def test_run_interactive_copies_stdin_to_its_end(client: list[str]) -> None:
    """More than any buffer holds goes in and out again, and end of file ends the process."""
    data = os.urandom(1 << 20) * 5

    code, out, _ = run(client, "run", "-i", "--rm", "hostbox", "cat", stdin=data)

    assert code == 0
    assert out == data


def test_run_flags_reach_the_container(client: list[str]) -> None:
    """One run with one flag of each kind."""
    flags = ("-e", "A=1", "-w", "/tmp", "-u", "1000", "-h", "box", "--cap-drop", "ALL", "--read-only")
    made = ("--mount", "type=tmpfs,dst=/made,tmpfs-size=1m")

    code, out, err = run(
        client,
        "run",
        "--rm",
        *flags,
        *made,
        "hostbox",
        "sh",
        "-c",
        "echo $A; pwd; id -u; hostname; >/made/x; echo > /x",
    )

    assert out.split() == [b"1", b"/tmp", b"1000", b"box"]
    assert (code, b"ead-only file system" in err) == (1, True)


@pytest.mark.parametrize(
    ("words", "code", "text"),
    [
        (("run", "--rm", "hostbox", "nosuch"), 127, 'exec: "nosuch": executable file not found in $PATH'),
        (("run", "--rm", "hostbox", "/etc"), 126, "permission denied"),
        (
            ("run", "--pull", "never", "nosuch", "true"),
            125,
            "docker: Error response from daemon: No such image: nosuch:latest",
        ),
        (("run", "--rm", "--network", "nonet", "hostbox", "true"), 125, "network nonet not found"),
        (("run", "--foo", "hostbox"), 125, "unknown flag: --foo\n\nUsage:  docker run"),
        (("run", "-it", "hostbox", "sh"), 1, "the input device is not a TTY"),
        (("run",), 1, "docker: 'docker run' requires at least 1 argument"),
        (("run", "--name", "b@d", "hostbox", "true"), 125, "Invalid container name (b@d)"),
        (("logs", "nosuch"), 1, "No such container: nosuch"),
        *(
            (("run", flag, size, "hostbox", "true"), 125, f"Error response from daemon: {words}")
            for size in ("99999999999999999999g", "9999999999g")
            for flag, words in (
                ("-m", "Minimum memory limit allowed is 6MB"),
                ("--shm-size", "SHM size can not be less"),
            )
        ),
        (("run", "--cpus", "9223372036854775807", "hostbox", "true"), 125, "Range of CPUs is from 0.01"),
        *(
            (
                ("run", f"--{flag}", "9" * 20, "hostbox", "true"),
                125,
                f'ParseInt: parsing "{"9" * 20}": value out of range',
            )
            for flag in ("cpu-shares", "cpu-period", "cpu-quota", "pids-limit", "oom-score-adj", "stop-timeout")
        ),
        (("run", "--ulimit", f"nofile={'9' * 20}", "hostbox", "true"), 125, "value out of range"),
        (("run", "-m", "5kk", "hostbox", "true"), 125, "invalid suffix: 'kk'"),
        (("nosuch",), 1, "docker: unknown command: docker nosuch"),
    ],
)
def test_run_refusals_have_dockers_words_and_codes(
    client: list[str], words: tuple[str, ...], code: int, text: str
) -> None:
    """125 is docker's refusal, 126 and 127 are the command's fault."""
    seen, _, err = run(client, *words)

    assert (seen, text in err.decode()) == (code, True), err


def test_run_without_a_daemon_says_where_it_knocked(client: list[str], tmp_path: Path) -> None:
    """Exit code 125, and the question everybody knows."""
    code, _, err = run([*client[:-1], f"unix://{tmp_path}/none.sock"], "run", "hostbox")

    assert code == 125
    assert (
        f"Cannot connect to the Docker daemon at unix://{tmp_path}/none.sock. Is the docker daemon running?"
        in err.decode()
    )


def test_a_detached_container_is_listed_killed_waited_for_and_removed(client: list[str]) -> None:
    """The small verbs, in the order of a container's life."""
    name = "life"

    code, out, _ = run(client, "run", "-d", "--name", name, "hostbox", "sh", "-c", "echo told; exec sleep 1000")
    listed = run(client, "ps")[1].decode()
    formatted = run(client, "ps", "--format", "{{.Names}} {{.Image}} {{json .State}}")
    inspected = json.loads(run(client, "inspect", name)[1])
    killed = run(client, "kill", name)
    waited = run(client, "wait", name)
    logged = run(client, "logs", name)
    removed = run(client, "rm", name)

    assert (code, re.fullmatch(r"[0-9a-f]{64}\n", out.decode()) is not None) == (0, True)
    assert out.decode()[:12] in listed
    assert formatted == (0, b'life hostbox "running"\n', b"")
    assert inspected[0]["State"]["Running"] is True
    assert (killed, waited) == ((0, b"life\n", b""), (0, b"137\n", b""))
    assert logged == (0, b"told\n", b"")
    assert removed == (0, b"life\n", b"")


def test_a_signal_to_the_client_reaches_the_container(client: list[str]) -> None:
    """TERM becomes POST kill?signal=TERM, and the process's own answer is the exit code."""
    script = "trap 'echo caught; exit 9' TERM; echo ready; while :; do sleep 0.05; done"
    process = subprocess.Popen(
        [*client, "run", "--network=none", "--rm", "hostbox", "sh", "-c", script], stdout=subprocess.PIPE
    )
    assert process.stdout

    assert process.stdout.readline() == b"ready\n"
    process.send_signal(signal.SIGTERM)
    out, _ = process.communicate()

    assert (process.returncode, out) == (9, b"caught\n")


def test_output_that_nobody_reads_ends_the_client_as_a_pipe_does(client: list[str], docker_host: str) -> None:
    """``docker run ... yes | head -1``: one line, no traceback; the container is somebody else's affair."""
    command = [*client, "run", "--network=none", "--name", "piped", "hostbox", "yes"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout
    assert process.stderr

    assert process.stdout.readline() == b"y\n"
    process.stdout.close()
    complaint = process.stderr.read()
    process.wait()
    process.stderr.close()
    run(["docker", "-H", docker_host], "rm", "-f", "piped")

    assert (process.returncode, complaint) == (1, b"write /dev/stdout: broken pipe\n")


class Terminal:
    """A client on a pty of its own."""

    def __init__(self, command: list[str]) -> None:
        self.seen = b""
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.execvp(command[0], command)
        self.resize(30, 100)

    def resize(self, rows: int, columns: int) -> None:
        ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def resize_until(self, text: bytes, rows: int, columns: int) -> None:
        """Change the size until that is noticed: the docker CLI misses it before it listens for SIGWINCH."""
        while text not in self.seen:
            self.resize(rows, columns + 1)
            self.resize(rows, columns)
            if select.select([self.fd], [], [], 1)[0]:
                self.seen += os.read(self.fd, 4096)
        self.seen = self.seen.partition(text)[2]

    def expect(self, text: bytes) -> None:
        while text not in self.seen:
            if not select.select([self.fd], [], [], 20)[0]:
                raise AssertionError(f"{text!r} did not come; seen: {self.seen!r}")
            self.seen += os.read(self.fd, 4096)
        self.seen = self.seen.partition(text)[2]

    def type(self, text: bytes) -> None:
        os.write(self.fd, text)

    def local_modes(self) -> int:
        return int(termios.tcgetattr(self.fd)[3])

    def end(self) -> int:
        """Read until it has ended; its exit code."""
        try:
            while os.read(self.fd, 4096):
                pass
        except OSError:
            pass
        os.close(self.fd)
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


def test_a_terminal_has_its_size_its_signals_and_its_modes(client: list[str]) -> None:
    """Raw while the container has it; a changed window is passed on; the exit code is the shell's."""
    terminal = Terminal([*client, "run", "--network=none", "-it", "--rm", "hostbox", "sh"])
    terminal.expect(b"# ")
    terminal.type(b"stty size\r")
    terminal.expect(b"30 100")
    raw = terminal.local_modes() & (termios.ICANON | termios.ECHO)
    terminal.type(b"while [ \"$(stty size)\" != '40 90' ]; do sleep 0.05; done; echo notic''ed\r")
    terminal.resize_until(b"noticed", 40, 90)
    terminal.type(b"sh -c \"echo g''o; exec sleep 1000\"\r")
    terminal.expect(b"go\r\n")
    terminal.type(b"\x03")
    terminal.expect(b"# ")
    terminal.type(b"exit 7\r")

    assert raw == 0
    assert terminal.end() == 7


def test_detach_keys_leave_the_container_running(client: list[str], docker_host: str) -> None:
    """ctrl-p ctrl-q: exit code 0, and attach finds it again."""
    terminal = Terminal([*client, "run", "--network=none", "-it", "--name", "left", "hostbox", "cat"])
    terminal.type(b"hello\r")
    terminal.expect(b"hello\r\nhello")
    terminal.type(b"\x10\x11")
    left = terminal.end()
    again = Terminal([*client, "attach", "left"])
    again.type(b"still\r")
    again.expect(b"still\r\nstill")
    again.type(b"\x04")
    code = again.end()
    run(["docker", "-H", docker_host], "rm", "-f", "left")

    assert (left, code) == (0, 0)


@dataclass
class Relay:
    """A socket between client and daemon that notes each request line, in order."""

    path: str
    requests: list[str]


@pytest.fixture
def relay(docker_host: str, tmp_path: Path) -> Iterator[Relay]:
    """Something to knock at that writes down what was asked."""
    path = f"{tmp_path}/relay.sock"
    requests: list[str] = []
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen(16)

    def pump(source: socket.socket, target: socket.socket, note: bool) -> None:
        while data := source.recv(65536):
            if note:
                requests.extend(line.decode() for line in re.findall(rb"^[A-Z]+ \S+(?= HTTP/1.1)", data, re.MULTILINE))
            try:
                target.sendall(data)
            except OSError:
                return
        try:
            target.shutdown(socket.SHUT_WR)
        except OSError:
            return

    def serve() -> None:
        while True:
            try:
                near, _ = listener.accept()
            except OSError:
                return
            far = socket.socket(socket.AF_UNIX)
            far.connect(docker_host.removeprefix("unix://"))
            pair = [threading.Thread(target=pump, args=each) for each in ((near, far, True), (far, near, False))]
            for thread in pair:
                thread.start()
            closers.append((near, far, pair))

    closers: list[tuple[socket.socket, socket.socket, list[threading.Thread]]] = []
    server = threading.Thread(target=serve)
    server.start()
    yield Relay(path, requests)
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    server.join()
    for near, far, pair in closers:
        for thread in pair:
            thread.join()
        near.close()
        far.close()


@pytest.mark.parametrize("client", ["docker CLI", "ours"], indirect=True)
def test_run_asks_in_the_order_that_the_daemon_needs(client: list[str], relay: Relay) -> None:
    """Version, create, attach, wait, start: what would be lost otherwise is in runtime/client/run.py."""
    code, out, _ = run([*client[:-1], f"unix://{relay.path}"], "run", "--rm", "hostbox", "echo", "hi")

    assert (code, out) == (0, b"hi\n")
    assert [re.sub(r"[0-9a-f]{64}", "ID", line) for line in relay.requests] == [
        "HEAD /_ping",
        "POST /v1.41/containers/create",
        "POST /v1.41/containers/ID/attach?stderr=1&stdout=1&stream=1",
        "POST /v1.41/containers/ID/wait?condition=removed",
        "POST /v1.41/containers/ID/start",
    ]
