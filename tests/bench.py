"""`make bench`: what the README claims, measured in one run against the reference, in interleaved pairs.

Every row is a ratio of medians of pairs taken in turn (A B A B ...), so that a machine whose speed drifts drifts for
both. Nothing here passes or fails: it prints what was measured beside the target. Needs root, the real docker,
dockerd, containerd, runc, docker-registry, skopeo and strace.
"""

import argparse
import contextlib
import os
import pty
import select
import shutil
import signal
import statistics
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.unix_sockets import wait_for_socket

ROOT = Path(__file__).parents[1]
BIN = Path(sys.executable).parent

DOCKER_RUN = ("run", "--rm", "hostbox", "true")


@dataclass(frozen=True)
class Row:
    """One line of the result."""

    name: str
    ours: float
    reference: float
    """Seconds; 0 where the target is absolute."""
    ratio: float
    """Median of the pairs' ratios; 0 where the target is absolute."""
    target: str


def timed(argv: list[str], environment: dict[str, str] | None = None) -> float:
    """Wall time of one whole process, in seconds. Raises CalledProcessError where it fails."""
    start = time.perf_counter()
    pid = os.posix_spawn(
        argv[0],
        argv,
        environment or dict(os.environ),
        file_actions=[(os.POSIX_SPAWN_OPEN, fd, "/dev/null", os.O_RDWR, 0) for fd in (0, 1)],
    )
    _, status = os.waitpid(pid, 0)
    elapsed = time.perf_counter() - start
    if status:
        raise subprocess.CalledProcessError(os.waitstatus_to_exitcode(status), argv)
    return elapsed


def paired(name: str, target: str, rounds: int, ours: Callable[[], float], reference: Callable[[], float]) -> Row:
    """Run both in turn, after one warm-up of each that is not counted."""
    ours(), reference()
    pairs = [(ours(), reference()) for _ in range(rounds)]
    return Row(
        name,
        statistics.median(a for a, _ in pairs),
        statistics.median(b for _, b in pairs),
        statistics.median(a / b for a, b in pairs),
        target,
    )


@contextlib.contextmanager
def our_stack(folder: Path) -> Iterator[dict[str, str]]:
    """`glassbottom stack up`, and the environment in which docker talks to it."""
    socket = folder / "docker.sock"
    stack = subprocess.Popen(
        [BIN / "glassbottom", "stack", "up", "--root", folder / "root", "--socket", socket],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert stack.stdout is not None
    for line in stack.stdout:
        if "DOCKER_HOST=" in line:
            break
    try:
        yield {**os.environ, "DOCKER_HOST": f"unix://{socket}"}
    finally:
        stack.send_signal(signal.SIGTERM)
        stack.stdout.close()
        stack.wait()


@contextlib.contextmanager
def real_stack(folder: Path) -> Iterator[dict[str, str]]:
    """A private containerd and dockerd in a network namespace of their own, and the environment to reach them in."""
    socket, namespace = folder / "docker.sock", f"gbbench{os.getpid()}"
    subprocess.run(["ip", "netns", "add", namespace], check=True)
    subprocess.run(["ip", "-n", namespace, "link", "set", "lo", "up"], check=True)
    inside = ["nsenter", f"--net=/run/netns/{namespace}"]  # `ip netns exec` would hide the cgroup mounts
    folders = {name: str(folder / name) for name in ("cr", "cs", "data", "exec")}
    containerd_socket = str(folder / "containerd.sock")
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "start_new_session": True}
    containerd = subprocess.Popen(
        [
            *(*inside, "containerd", "--config", "/dev/null", "--root", folders["cr"]),
            *("--state", folders["cs"], "--address", containerd_socket),
        ],
        **quiet,  # type: ignore[call-overload]
    )
    dockerd = None
    try:
        wait_for_socket(containerd_socket, containerd.pid)
        dockerd = subprocess.Popen(
            [
                *(*inside, "dockerd", "--data-root", folders["data"], "--exec-root", folders["exec"]),
                *("-H", f"unix://{socket}", "--containerd", containerd_socket, "--pidfile", str(folder / "pid")),
            ],
            **quiet,  # type: ignore[call-overload]
        )
        wait_for_socket(str(socket), dockerd.pid)
        yield {**os.environ, "DOCKER_HOST": f"unix://{socket}"}
    finally:
        for process in (dockerd, containerd):
            if process is not None:
                process.terminate()
                process.wait()
        for line in reversed(Path("/proc/mounts").read_text().splitlines()):
            if line.split()[1].startswith(f"{folder}/"):
                subprocess.run(["umount", "-l", line.split()[1]], check=True)
        subprocess.run(["ip", "netns", "del", namespace], check=True)


def copy_image(source: dict[str, str], target: dict[str, str]) -> None:
    """Give the real dockerd our hostbox image: same bytes, same command."""
    files = "cd /; tar cf - $(ls | grep -vxE 'proc|sys|dev')"
    with subprocess.Popen(
        ["docker", "run", "--rm", "hostbox", "sh", "-c", files], env=source, stdout=subprocess.PIPE
    ) as tar:
        subprocess.run(
            ["docker", "import", "-", "hostbox"], env=target, stdin=tar.stdout, check=True, stdout=subprocess.DEVNULL
        )


@contextlib.contextmanager
def both_stacks() -> Iterator[tuple[dict[str, str], dict[str, str]]]:
    """Ours and the real one with the same image, each as the environment in which docker talks to it."""
    with contextlib.ExitStack() as stack:
        folders = [Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="gbb-"))) for _ in range(2)]
        ours, real = stack.enter_context(our_stack(folders[0])), stack.enter_context(real_stack(folders[1]))
        copy_image(ours, real)
        yield ours, real


def bench_docker_run(rounds: int) -> Iterator[Row]:
    """`docker run --rm hostbox true`: the same docker CLI, our daemon against dockerd."""
    with both_stacks() as (ours, real):
        command = [shutil.which("docker") or "docker", *DOCKER_RUN]
        yield paired(
            "docker run --rm hostbox true, our daemon / dockerd",
            "<= 0.8x",
            rounds,
            lambda: timed(command, ours),
            lambda: timed(command, real),
        )


def bench_fifty(rounds: int) -> Iterator[Row]:
    """50 containers started at once, all of them up together, and removed at once."""
    up = "for _ in $(seq 50); do docker run -d hostbox sleep 1000 >/dev/null & done; wait"
    check = 'test "$(docker ps -q | wc -l)" = 50'
    command = ["/bin/sh", "-c", f"{up}; {check} && docker rm -f $(docker ps -q)"]
    with both_stacks() as (ours, real):
        yield paired(
            "50 containers at once up and down, our daemon / dockerd",
            "(none)",
            max(3, rounds // 2),
            lambda: timed(command, ours),
            lambda: timed(command, real),
        )


def strace_script(folder: Path) -> list[str]:
    """The same five programs under one strace: the stack starts, one container runs, the stack ends."""
    return [
        shutil.which("strace") or "strace",
        "-f",
        "-o",
        str(folder / "strace.out"),
        sys.executable,
        str(ROOT / "tests" / "bench_straced_run.py"),
        *DOCKER_RUN[1:],
    ]


def bench_recording(rounds: int) -> Iterator[Row]:
    """Recording the run of the whole built-in stack, against `strace -f` of the same processes."""
    with tempfile.TemporaryDirectory(prefix="gbb-") as name:
        folder = Path(name)
        record = [str(BIN / "glassbottom"), "record", "-o", str(folder / "run.jsonl"), "--", "docker", *DOCKER_RUN]
        yield paired(
            "record docker run --rm hostbox true / strace -f of the same",
            "<= 1.3x",
            rounds,
            lambda: timed(record),
            lambda: timed(strace_script(folder)),
        )


def first_pause() -> float:
    """Seconds from `glassbottom run` to the first stage on the screen."""
    import fcntl
    import termios

    start = time.perf_counter()
    pid, master = pty.fork()
    if pid == 0:
        os.environ["TERM"] = "xterm-256color"
        os.execv(BIN / "glassbottom", ["glassbottom", "run", "-it", "--name", "alpine", "hostbox", "sh"])
    fcntl.ioctl(master, termios.TIOCSWINSZ, struct.pack("HHHH", 45, 160, 0, 0))
    seen = b""
    while b"HELD" not in seen:
        select.select([master], [], [])
        seen = (seen + os.read(master, 65536))[-1_000_000:]
    elapsed = time.perf_counter() - start
    os.write(master, b"q")
    with contextlib.suppress(OSError):
        while os.read(master, 65536):
            pass
    os.waitpid(pid, 0)
    os.close(master)
    return elapsed


def bench_first_pause(rounds: int) -> Iterator[Row]:
    """`glassbottom run` to its first pause."""
    first_pause()
    yield Row(
        "glassbottom run, to the first pause",
        statistics.median(first_pause() for _ in range(rounds)),
        0,
        0,
        "<= 1.5 s",
    )


def bench_engine(rounds: int) -> Iterator[Row]:
    """The engine by itself, at both speeds, capture written to a file, against `strace -f -y -s 256 -o` alike."""
    from tests.bench_engine import results

    for measured in results(rounds):
        yield Row(
            f"engine, {measured.speed}: {measured.workload} / strace",
            measured.engine_ms / 1000,
            measured.strace_ms / 1000,
            measured.ratio,
            measured.target,
        )


def bench_oci(rounds: int) -> Iterator[Row]:
    """The OCI runtime by itself, against runc."""
    from tests.bench_oci import Cycle

    with tempfile.TemporaryDirectory(prefix="glassbottom-bench-") as folder:
        ours, reference = Cycle(str(BIN / "glassbottom-oci"), Path(folder)), Cycle("runc", Path(folder))
        yield paired("OCI runtime: create, start, delete / runc", "<= 2.0x", rounds * 3, ours, reference)
    for parent in Path("/sys/fs/cgroup").glob(f"*/glassbottom-bench-{os.getpid()}"):
        parent.rmdir()


def bench_pull(rounds: int) -> Iterator[Row]:
    """A pull of 200 MB from a registry on the loopback, against dockerd."""
    from tests.bench_pull import pull, push_large_image
    from tests.real_dockerd import dockerd
    from tests.registries import docker_registry

    with contextlib.ExitStack() as up:
        folders = [Path(up.enter_context(tempfile.TemporaryDirectory(prefix="gbb-"))) for _ in range(3)]
        registry = up.enter_context(docker_registry(folders[0] / "registry"))
        push_large_image(registry, folders[0])
        ours = up.enter_context(our_stack(folders[1]))["DOCKER_HOST"]
        real = up.enter_context(dockerd(folders[2]))
        yield paired(
            "docker pull of 200 MB, our daemon / dockerd", "<= 1.5x", rounds, pull(ours, registry), pull(real, registry)
        )


def bench_screen(_rounds: int) -> Iterator[Row]:
    """Scrolling a recording of 1,000,000 events: prints its own lines, for it measures memory too."""
    subprocess.run([sys.executable, ROOT / "tests" / "bench_tui.py"], check=False, cwd=ROOT)
    yield from ()


BENCHES: dict[str, Callable[[int], Iterator[Row]]] = {
    "docker-run": bench_docker_run,
    "fifty": bench_fifty,
    "recording": bench_recording,
    "first-pause": bench_first_pause,
    "engine": bench_engine,
    "oci": bench_oci,
    "pull": bench_pull,
    "screen": bench_screen,
}


def main() -> None:
    """Run the benches asked for, and print a row for each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7, help="pairs of runs that are counted (default 7)")
    parser.add_argument("names", nargs="*", metavar="BENCH", help=f"which: {', '.join(BENCHES)} (default: all)")
    options = parser.parse_args()

    for name in options.names or BENCHES:
        for row in BENCHES[name](options.rounds):
            reference = f"{row.reference:7.3f} s  {row.ratio:5.2f}x" if row.reference else " " * 17
            print(f"{row.name:62} {row.ours:7.3f} s  {reference}  target {row.target}", flush=True)


if __name__ == "__main__":
    main()
