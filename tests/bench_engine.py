"""Recording against strace, on three workloads: make bench calls this.

    full      against `strace -f -y -s 256 -o FILE`
    filtered  against the same with `--seccomp-bpf -e trace=` and the calls that our recording says it watched

Interleaved pairs, and the median of the ratios: on a shared machine absolute times move by a third, the ratio of two
runs that follow each other does not. Both write what they saw to a file. The engine's time is counted from its first
event to its last: the start of its Python interpreter and of its tables is paid once a run, before the program is
started, and a short workload would otherwise measure nothing else; it is shown apart.

`--memory EVENTS` measures something else: the engine's memory after a tenth of so many events, and after all of them.
"""

import argparse
import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from tracer import codec
from tracer.commands import Launch, Program

FORKS = "i=0; while [ $i -lt 300 ]; do /bin/true; i=$((i+1)); done"


@dataclass(frozen=True)
class Measured:
    """One workload's medians."""

    workload: str
    speed: str
    target: str
    rounds: int
    engine_ms: float
    strace_ms: float
    ratio: float
    """Median of the paired ratios, the engine's time counted from its first event to its last."""
    ratio_with_start: float
    """The same with the start of the interpreter."""


def measure(workload: str, argv: list[str], speed: str, target: str, folder: str, rounds: int) -> Measured:
    """Alternate the two tracers over one workload."""
    reference = ["strace", "-f", "-y", "-s", "256", "-o", os.path.join(folder, "strace.txt")]
    if speed == "filtered":
        _engine(argv, speed, folder)
        reference += ["--seccomp-bpf", "-e", f"trace={','.join(_watched(folder))}"]
    engine: list[float] = []
    whole: list[float] = []
    strace: list[float] = []
    for turn in range(rounds + 1):
        pair = {"engine": (0.0, 0.0), "strace": (0.0, 0.0)}
        for name in ("engine", "strace") if turn % 2 else ("strace", "engine"):
            pair[name] = _engine(argv, speed, folder) if name == "engine" else (_run([*reference, *argv]),) * 2
        if turn:  # the first round fills caches
            engine.append(pair["engine"][0])
            whole.append(pair["engine"][1])
            strace.append(pair["strace"][0])
    return Measured(
        workload,
        speed,
        target,
        rounds,
        statistics.median(engine) * 1000,
        statistics.median(strace) * 1000,
        statistics.median(ours / theirs for ours, theirs in zip(engine, strace, strict=True)),
        statistics.median(ours / theirs for ours, theirs in zip(whole, strace, strict=True)),
    )


def _engine(argv: list[str], speed: str, folder: str) -> tuple[float, float]:
    """Seconds from the first event to the last, and in all."""
    recording = os.path.join(folder, "engine.jsonl")
    command = [sys.executable, "-m", "tracer.engine", "--recording", recording, "--speed", speed, "--", *argv]
    whole = _run(command)
    first = next(time_ns for kind, time_ns, *_ in _events(recording) if kind == "forked")
    with open(recording, "rb") as lines:
        lines.seek(-4096, os.SEEK_END) if os.path.getsize(recording) > 4096 else None
        last = json.loads(lines.read().splitlines()[-1])
    return (last[1] - first) / 1e9, whole


def _watched(folder: str) -> list[str]:
    """The calls that a filtered recording says were watched."""
    note = next(
        row for row in _events(os.path.join(folder, "engine.jsonl")) if row[0] == "note" and row[2] == "filtered"
    )
    return str(note[4]["calls"]).split()


def _events(recording: str) -> Iterator[list[Any]]:
    with open(recording, encoding="utf-8") as lines:
        next(lines)
        for line in lines:
            yield json.loads(line)


def _run(command: list[str]) -> float:
    # posix_spawn and wait4: subprocess.run's timeout would poll, and round everything up to 50 ms.
    began = time.perf_counter()
    pid = os.posix_spawnp(command[0], command, os.environ)
    _, status = os.waitpid(pid, 0)
    elapsed = time.perf_counter() - began
    if status != 0:
        raise SystemExit(f"{command[0]} ended with status {status}: {' '.join(command)}")
    return elapsed


@contextmanager
def runc_bundle() -> Iterator[str]:
    """A bundle whose container runs busybox true."""
    folder = tempfile.mkdtemp(prefix="gb-bench-")
    try:
        os.makedirs(f"{folder}/rootfs/bin")
        busybox = shutil.which("busybox")
        assert busybox is not None
        shutil.copy(busybox, f"{folder}/rootfs/bin/true")
        subprocess.run(["runc", "spec"], cwd=folder, check=True)
        with open(f"{folder}/config.json") as file:
            config = json.load(file)
        config["process"]["terminal"] = False
        config["process"]["args"] = ["/bin/true"]
        with open(f"{folder}/config.json", "w") as file:
            json.dump(config, file)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def workloads(bundle: str) -> list[tuple[str, list[str], str, str]]:
    """What is measured: its name, its command, at which speed, and what is wanted of it."""
    storm = ["dd", "if=/dev/zero", "of=/dev/null", "bs=1", "count=25000", "status=none"]
    container = ["runc", "--root", f"{bundle}/state", "run", "-b", bundle, "gb-bench"]
    return [
        ("storm: dd bs=1 count=25000", storm, "full", "<= 1.15x"),
        ("300 fork+exec", ["sh", "-c", FORKS], "full", "<= 1.0x"),
        ("container start by runc", container, "full", "<= 1.0x"),
        ("container start by runc", container, "filtered", "<= 1.0x"),
    ]


def results(rounds: int, only: str = "") -> Iterator[Measured]:
    """Measure the workloads whose names contain `only`, one after another."""
    with tempfile.TemporaryDirectory(prefix="gb-bench-") as folder, runc_bundle() as bundle:
        for name, argv, speed, target in workloads(bundle):
            if only in f"{name}, {speed}":
                yield measure(name, argv, speed, target, folder, rounds)


def memory(events: int) -> list[tuple[int, int]]:
    """(events, the engine's largest resident size in KiB) of a short storm and of a long one, decoders at work."""
    return [(count, _resident(count)) for count in (events // 10, events)]


def _resident(events: int) -> int:
    ours, theirs = socket.socketpair()
    command = [sys.executable, "-m", "tracer.engine", "--recording", "/dev/null", "--control", str(theirs.fileno())]
    os.set_inheritable(theirs.fileno(), True)
    pid = os.posix_spawnp(command[0], command, os.environ)
    theirs.close()
    environment = tuple(f"{name}={value}" for name, value in os.environ.items())
    # Two calls a block. A hundred processes, so that whatever is kept of each would show.
    storm = f"dd if=/dev/zero of=/dev/null bs=1 count={events // 200} status=none; "
    program = Program(("sh", "-c", storm * 100), environment, "/")
    ours.sendall(codec.encode_command(Launch((), program, (), "", {}, hold=False)).encode())
    while ours.recv(4096):
        pass
    _, status, usage = os.wait4(pid, 0)
    if status != 0:
        raise SystemExit(f"the engine ended with status {status}")
    return usage.ru_maxrss


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--only", default="", help="workloads with this in their name")
    parser.add_argument(
        "--memory", type=int, metavar="EVENTS", help="instead: memory over a storm (10 million: 8 minutes)"
    )
    options = parser.parse_args()
    if options.memory:
        for events, kilobytes in memory(options.memory):
            print(f"{events:12,} events: {kilobytes / 1024:.1f} MiB resident")
        return
    for found in results(options.rounds, options.only):
        print(
            f"{found.workload:28} {found.speed:8} engine {found.engine_ms:7.0f} ms  strace {found.strace_ms:7.0f} ms  "
            f"ratio {found.ratio:.2f} ({found.target})  with start {found.ratio_with_start:.2f}"
        )


if __name__ == "__main__":
    main()
