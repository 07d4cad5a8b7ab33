"""Real dockerd with runc and with ours as `--runtime`: one body, the same answers from the docker CLI."""

import json
import os
import pty
import re
import select
import shutil
import subprocess
import sys
import tarfile
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = [pytest.mark.root, pytest.mark.swap, pytest.mark.slow]

BINARIES = ("docker", "dockerd", "containerd", "runc", "busybox", "ip", "unshare")
APPLETS = "sh cat echo grep hostname id ip ls ps sleep stty touch true tty"
PATIENCE_S = 30


class Dockerd:
    """A private dockerd, with a containerd of its own, in a network namespace and a directory of its own."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.socket = f"unix://{directory}/d.sock"
        runtime = directory / "glassbottom-oci"
        runtime.write_text(f'#!/bin/sh\nexec {sys.executable} -m runtime.oci "$@"\n')
        runtime.chmod(0o755)
        (directory / "daemon.json").write_text("{}")
        flags = ["--config-file", f"{directory}/daemon.json", "--add-runtime", f"glassbottom={runtime}"]
        for name, path in (("data-root", "root"), ("exec-root", "exec"), ("pidfile", "pid")):
            flags += [f"--{name}", f"{directory}/{path}"]
        script = 'ip link set lo up; exec dockerd "$@"'
        argv = ["unshare", "--net", "sh", "-c", script, "dockerd", "-H", self.socket, *flags]
        self.process = subprocess.Popen(argv, stderr=subprocess.PIPE, text=True, start_new_session=True)
        assert self.process.stderr
        log = []
        for line in self.process.stderr:
            log.append(line)
            if "API listen on" in line:
                break
        else:
            pytest.fail("dockerd did not start: " + "".join(log))
        # somebody has to go on reading, or dockerd blocks on a full pipe
        self.drain = threading.Thread(target=self.process.stderr.read, daemon=True)
        self.drain.start()

    def docker(self, *words: str) -> "subprocess.CompletedProcess[str]":
        argv = ["docker", "-H", self.socket, *words]
        return subprocess.run(argv, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=PATIENCE_S)

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(PATIENCE_S)
        self.drain.join()
        assert self.process.stderr
        self.process.stderr.close()
        for line in reversed(Path("/proc/self/mounts").read_text().splitlines()):
            if line.split()[1].startswith(str(self.directory)):
                subprocess.run(["umount", "-l", line.split()[1]], check=True)


def root_tar(path: Path) -> None:
    """A root file system of busybox alone."""
    busybox = shutil.which("busybox")
    assert busybox
    with tarfile.open(path, "w") as tar:
        for folder in ("bin", "etc", "proc", "sys", "dev", "tmp"):
            info = tarfile.TarInfo(folder)
            info.type, info.mode = tarfile.DIRTYPE, 0o755
            tar.addfile(info)
        tar.add(os.path.realpath(busybox), "bin/busybox")
        for applet in APPLETS.split():
            info = tarfile.TarInfo(f"bin/{applet}")
            info.type, info.linkname = tarfile.SYMTYPE, "busybox"
            tar.addfile(info)


@pytest.fixture(scope="module")
def dockerd() -> Iterator[Dockerd]:
    """One dockerd for all tests here, with the image `box`."""
    missing = [name for name in BINARIES if shutil.which(name) is None]
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)}")
    directory = Path(tempfile.mkdtemp(prefix="gboci-", dir="/tmp"))  # socket names have 107 bytes
    started = Dockerd(directory)
    try:
        root_tar(directory / "root.tar")
        imported = started.docker("import", str(directory / "root.tar"), "box")
        assert 0 == imported.returncode, imported.stderr
        yield started
        assert [] == started.docker("ps", "-aq").stdout.split()
    finally:
        started.stop()
        shutil.rmtree(directory)


@pytest.fixture(params=["runc", "glassbottom"])
def runtime(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture
def container(dockerd: Dockerd, runtime: str) -> Iterator[str]:
    """A running container that sleeps."""
    name = f"sleeper-{runtime}"
    started = dockerd.docker("run", "-d", "--name", name, "--runtime", runtime, "box", "sleep", "1000")
    assert 0 == started.returncode, started.stderr
    yield name
    dockerd.docker("rm", "-f", name)


@pytest.mark.parametrize(
    ("flags", "command", "status", "output"),
    [
        ((), "echo hi", 0, "hi"),
        ((), "exit 7", 7, ""),
        (("--hostname", "h", "--user", "12:34", "-w", "/tmp"), "hostname; id -u; id -g; pwd", 0, "h\n12\n34\n/tmp"),
        (("--read-only",), "touch /x 2>/dev/null || echo read-only", 0, "read-only"),
        (("--init",), "cat /proc/1/comm", 0, "docker-init"),
        (("--cap-drop", "ALL"), "grep CapEff /proc/self/status", 0, "CapEff:\t0000000000000000"),
        (("--security-opt", "no-new-privileges"), "grep NoNewPrivs /proc/self/status", 0, "NoNewPrivs:\t1"),
        ((), "grep Seccomp: /proc/self/status", 0, "Seccomp:\t2"),
        (("--tmpfs", "/tmp:size=64k"), "grep -c ' /tmp ' /proc/self/mounts", 0, "1"),
        (("--sysctl", "net.ipv4.ip_forward=1"), "cat /proc/sys/net/ipv4/ip_forward", 0, "1"),
    ],
)
def test_run_gives_the_same_answer(
    dockerd: Dockerd, runtime: str, flags: tuple[str, ...], command: str, status: int, output: str
) -> None:
    """`docker run` with one flag or a few: status and output."""
    done = dockerd.docker("run", "--rm", "--runtime", runtime, *flags, "box", "sh", "-c", command)

    assert (status, output) == (done.returncode, done.stdout.strip()), done.stderr


@pytest.mark.parametrize(
    ("program", "status", "words"),
    [("nosuch", 127, "executable file not found in $PATH"), ("/etc", 126, "permission denied")],
)
def test_program_that_cannot_run_gives_dockers_status(
    dockerd: Dockerd, runtime: str, program: str, status: int, words: str
) -> None:
    """127 and 126 hang on the words of the runtime's last log line."""
    done = dockerd.docker("run", "--rm", "--runtime", runtime, "box", program)

    assert status == done.returncode
    assert f'exec: "{program}": {words}' in done.stderr


def test_prestart_hook_puts_an_interface_into_the_namespace(dockerd: Dockerd, runtime: str) -> None:
    """docker's network is set up by libnetwork-setkey, a prestart hook: eth0 is the proof that it ran."""
    done = dockerd.docker("run", "--rm", "--runtime", runtime, "box", "ip", "-o", "addr", "show", "eth0")

    assert re.search(r"inet 172\.\d+\.\d+\.\d+/16", done.stdout), done.stderr


def test_limits_reach_the_cgroup(dockerd: Dockerd, runtime: str) -> None:
    """--memory, --pids-limit and --cpus as the container reads them."""
    script = (
        "cd /sys/fs/cgroup; if [ -d memory ]; then"
        "  cat memory/memory.limit_in_bytes pids/pids.max cpu*/cpu.cfs_quota_us;"
        "else cat memory.max pids.max cpu.max; fi"
    )
    flags = ("--memory", "64m", "--pids-limit", "50", "--cpus", "0.5")

    done = dockerd.docker("run", "--rm", "--runtime", runtime, *flags, "box", "sh", "-c", script)

    assert [str(64 << 20), "50", "50000"] == done.stdout.split()[:3], done.stderr


def test_exec_top_pause_update_and_stop(dockerd: Dockerd, container: str) -> None:
    """What one does to a running container."""
    executed = dockerd.docker(
        "exec", "-u", "5", "-w", "/tmp", "-e", "A=b", container, "sh", "-c", "id -u; pwd; echo $A"
    )
    failed = dockerd.docker("exec", container, "nosuch")
    top = dockerd.docker("top", container)
    paused = dockerd.docker("pause", container)
    status = dockerd.docker("inspect", "--format", "{{.State.Status}}", container)
    resumed = dockerd.docker("unpause", container)
    updated = dockerd.docker("update", "--memory", "48m", "--memory-swap", "48m", container)
    killed = dockerd.docker("kill", container)
    ended = json.loads(dockerd.docker("inspect", container).stdout)[0]["State"]

    assert ["5", "/tmp", "b"] == executed.stdout.split()
    assert (126, True) == (failed.returncode, 'exec: "nosuch"' in failed.stdout + failed.stderr)
    assert "sleep 1000" in top.stdout
    assert [0, 0, 0, 0] == [done.returncode for done in (paused, resumed, updated, killed)]
    assert "paused\n" == status.stdout
    assert ("exited", 137) == (ended["Status"], ended["ExitCode"])


def test_terminal_is_the_containers_own(dockerd: Dockerd, runtime: str) -> None:
    """`docker run -it` on a pty: tty, size and what is typed."""
    argv = ["docker", "-H", dockerd.socket, "run", "--rm", "-it", "--runtime", runtime, "box", "sh", "-c"]
    pid, master = pty.fork()
    if pid == 0:
        os.execvp("docker", [*argv, "tty; read word; echo got $word"])
    printed = b""
    typed = False
    while select.select([master], [], [], PATIENCE_S)[0]:
        try:
            printed += os.read(master, 4096)
        except OSError:  # EIO: the CLI has ended
            break
        if b"/dev/pts/0" in printed and not typed:
            os.write(master, b"hello\n")
            typed = True
    os.close(master)

    assert 0 == os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    assert b"got hello" in printed


def test_privileged_container_has_what_this_machine_can_give(dockerd: Dockerd) -> None:
    """Capabilities the runtime lacks itself are left out with a warning, as the spec has it; runc gives up."""
    own = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("CapEff"))

    done = dockerd.docker(
        "run", "--rm", "--runtime", "glassbottom", "--privileged", "box", "grep", "CapEff", "/proc/self/status"
    )

    granted, held = int(done.stdout.split()[1], 16), int(own.split()[1], 16)
    assert 0 == granted & ~held
    assert granted >> 21 & 1  # CAP_SYS_ADMIN
