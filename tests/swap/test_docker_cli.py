"""The real docker CLI under two daemons: one body, dockerd first, then ours on the whole built-in stack.

Every case in docker_cli.toml is a shell script. What it must print was seen on the real dockerd; a case that fails
there is wrong itself. A third seat, our daemon on real containerd and runc, runs a few of them.
"""

import asyncio
import contextlib
import fcntl
import io
import json
import os
import pty
import re
import select
import struct
import subprocess
import sys
import tarfile
import termios
import tomllib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from runtime.daemon import hostbox
from runtime.daemon.image_content import digest_of

pytestmark = [pytest.mark.root, pytest.mark.swap, pytest.mark.slow]

BINARIES = ("docker", "dockerd", "containerd", "runc", "busybox", "ps")
SEATS = {
    "dockerd": "--daemon dockerd --containerd containerd --shim runc --runtime runc".split(),
    "ours": [],
    "ours on containerd and runc": ["--containerd", "containerd", "--shim", "runc", "--runtime", "runc"],
}


@dataclass(frozen=True)
class Engine:
    """A stack that is up."""

    name: str
    host: str
    folder: Path

    def run(self, script: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        """Run a shell script against it."""
        return subprocess.run(
            ["timeout", "60", "sh", "-c", script],
            input=stdin,
            capture_output=True,
            text=True,
            env=self.environment,
            cwd=self.folder,
        )

    @property
    def environment(self) -> dict[str, str]:
        return {**os.environ, "DOCKER_HOST": self.host, "DOCKER_CONFIG": str(self.folder), "W": str(self.folder)}


def hostbox_archive() -> bytes:
    """Our image in `docker load` form, so that both daemons run the same files."""
    built = asyncio.run(hostbox.build())
    return image_archive("hostbox:latest", built.config, built.layers)


def image_archive(tag: str, config: bytes, blobs: Sequence[bytes]) -> bytes:
    """An image in `docker load` form."""
    config_name = f"{digest_of(config)[7:]}.json"
    layers = {f"{digest_of(layer)[7:]}/layer.tar": layer for layer in blobs}
    manifest = json.dumps([{"Config": config_name, "RepoTags": [tag], "Layers": list(layers)}]).encode()
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, data in ((config_name, config), *layers.items(), ("manifest.json", manifest)):
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


@contextlib.contextmanager
def stack_up(seat: str, folder: Path) -> Iterator[Engine]:
    """A private stack, taken down again."""
    log = (folder / "stack.log").open("w")
    command = [sys.executable, "-m", "tracer", "stack", "up", *SEATS[seat]]
    stack = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True)
    assert stack.stdout
    try:
        host = stack.stdout.readline().strip().removeprefix("export DOCKER_HOST=")
        assert host.startswith("unix://"), (folder / "stack.log").read_text()
        if seat == "dockerd":
            load = subprocess.run(["docker", "-H", host, "load"], input=hostbox_archive(), capture_output=True)
            assert load.returncode == 0, load.stderr
        yield Engine(seat, host, folder)
    finally:
        stack.terminate()
        stack.wait()
        stack.stdout.close()
        log.close()


@pytest.fixture
def engine(request: pytest.FixtureRequest, engines: Callable[[str], Engine]) -> Engine:
    """The daemon that a test is for."""
    return engines(request.param)


@pytest.fixture(autouse=True)
def _no_containers_left(engine: Engine) -> Iterator[None]:
    yield
    engine.run("docker rm -f $(docker ps -aq) 2>/dev/null; docker volume rm $(docker volume ls -q) 2>/dev/null")


REPLACED = (
    (r"REFUSED", "docker: Error response from daemon:"),
    (r"\b[0-9a-f]{64}\b", "ID"),
    (r"\b[0-9a-f]{12}\b", "ID"),
    (r"(OCI runtime create failed): (runc|glassbottom-oci) create failed", r"\1"),
    (r"(Less than a second|About a minute|\d+ seconds?)", "TIME"),
    (r"\d{4}-\d\d-\d\dT[\d:.]+(Z|[+-][\d:]+)", "INSTANT"),
    (r"\nRun 'docker run --help' for more information\n", ""),
    (r"WARNING: IPv4 forwarding is disabled. Networking will not work.\n", ""),  # dockerd is told to leave it alone
    (r"[ \t]+", " "),
    (r"(?m) $", ""),
)


def plain(text: str) -> str:
    """Text without what differs from run to run."""
    for pattern, word in REPLACED:
        text = re.sub(pattern, word, text)
    return text.strip()


@dataclass(frozen=True)
class Case:
    """What one script does under every daemon."""

    id: str
    script: str
    stdin: str = ""
    code: int = 0
    out: str = ""
    err: str = ""


def load_cases(name: str = "docker_cli.toml") -> list[Case]:
    """All scripts with what they must print."""
    document: dict[str, Any] = tomllib.loads((Path(__file__).parent / name).read_text())
    for fields in document.values():
        fields.update({key: plain(fields[key]) for key in ("out", "err") if key in fields})
    return [Case(name, **fields) for name, fields in document.items()]


def pairs() -> list[object]:
    """Every case under dockerd and under ours; a few under ours on real parts."""
    few = ("echo", "exit_code", "no_such_command", "stdin", "life", "pause", "restart", "exec", "events")
    return [
        pytest.param(seat, case, id=f"{seat}-{case.id}")
        for seat in SEATS
        for case in load_cases()
        if seat in ("dockerd", "ours") or case.id in few
    ]


BOTH = pytest.mark.parametrize("engine", ["dockerd", "ours"], indirect=True)


@pytest.mark.parametrize(("engine", "case"), pairs(), indirect=["engine"])
def test_docker_cli_does_the_same_under_every_daemon(engine: Engine, case: Case) -> None:
    """Exit code, output and complaints are those of the real dockerd."""
    done = engine.run(case.script, case.stdin)

    assert (case.code, case.out, case.err) == (done.returncode, plain(done.stdout), plain(done.stderr))


class Terminal:
    """A docker command on a pseudoterminal of its own."""

    def __init__(self, engine: Engine, *arguments: str) -> None:
        self.pid, self._fd = pty.fork()
        if self.pid == 0:
            os.execvpe("docker", ["docker", *arguments], engine.environment)
        self.screen = ""

    def type(self, text: str) -> None:
        os.write(self._fd, text.encode())

    def expect(self, pattern: str) -> None:
        """Read until the pattern is on the screen; what came before it is forgotten."""
        while not (match := re.search(pattern, self.screen)):
            ready, _, _ = select.select([self._fd], [], [], 30)
            assert ready, f"{pattern!r} did not come; the screen has {self.screen!r}"
            self.screen += self._read()
        self.screen = self.screen[match.end() :]

    def _read(self) -> str:
        try:
            data = os.read(self._fd, 65536)
        except OSError:  # EIO: nobody has the other side open any more
            data = b""
        assert data, f"the terminal was closed; the screen has {self.screen!r}"
        return data.decode(errors="replace")

    def resize(self, rows: int, columns: int) -> None:
        fcntl.ioctl(self._fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def exit_code(self) -> int:
        """What the command exits with."""
        while select.select([self._fd], [], [], 30)[0]:
            try:
                if not os.read(self._fd, 65536):
                    break
            except OSError:
                break
        code = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        os.close(self._fd)
        return code


@BOTH
def test_interactive_shell_answers_resizes_and_exits(engine: Engine) -> None:
    """`run -it` is a terminal: it echoes, knows its size, passes ctrl-C on, and its exit code is the shell's."""
    terminal = Terminal(engine, "run", "-it", "--rm", "--name", "it", "hostbox", "sh")

    terminal.expect("# ")
    terminal.type("echo 4$((1+1))\n")
    terminal.expect("\r\n42\r\n")
    terminal.resize(33, 111)
    terminal.type("until stty size | grep '33 111'; do :; done\n")
    terminal.expect("\r\n33 111\r\n")
    terminal.type("echo go; sleep 99\n")
    terminal.expect("\r\ngo\r\n")  # the shell has handed the terminal over: what is typed now is not flushed
    terminal.type("\x03")
    terminal.expect("# ")
    terminal.type("exit 3\n")

    assert terminal.exit_code() == 3


@BOTH
def test_detach_keys_leave_the_container_running(engine: Engine) -> None:
    """ctrl-p ctrl-q ends `run -it` with 0 and `attach` with 1; the shell keeps its state."""
    first = Terminal(engine, "run", "-it", "--name", "det", "hostbox", "sh")
    first.expect("# ")
    first.type("x=kept\n")
    first.expect("# ")
    first.type("\x10\x11")
    assert first.exit_code() == 0

    second = Terminal(engine, "attach", "--detach-keys", "ctrl-a,d", "det")
    second.type("echo $x\n")
    second.expect("\r\nkept\r\n")
    second.type("\x01d")
    second.expect("read escape sequence")

    assert second.exit_code() == 1
    assert engine.run("docker inspect -f '{{.State.Running}}' det").stdout == "true\n"


@BOTH
def test_exec_has_a_terminal_of_its_own(engine: Engine) -> None:
    """`exec -it` beside a process without a terminal; its exit code is the command's."""
    engine.run("docker run -d --name ex hostbox sleep 99")
    terminal = Terminal(engine, "exec", "-it", "ex", "sh")

    terminal.expect("# ")
    terminal.type("tty; exit 5\n")
    terminal.expect("/dev/pts/0")

    assert terminal.exit_code() == 5


@BOTH
def test_signals_reach_the_process_through_the_cli(engine: Engine) -> None:
    """`docker run` passes SIGTERM on, and exits with what the process made of it."""
    script = "trap 'echo got it; exit 6' TERM; echo up; while :; do sleep 0.05; done"
    command = ["docker", "run", "--rm", "hostbox", "sh", "-c", script]
    cli = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=engine.environment)
    assert cli.stdout
    assert cli.stdout.readline() == "up\n"

    cli.terminate()
    output = cli.stdout.read()
    cli.stdout.close()

    assert (6, "got it\n") == (cli.wait(), output)
