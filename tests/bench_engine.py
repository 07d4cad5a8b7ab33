"""Recording against `strace -f -y -s 256 -o FILE`, on three workloads: make bench calls this.

Interleaved pairs, and the median of the ratios: on a shared machine absolute times move by a third, the ratio of two
runs that follow each other does not. Both write their recording to a file. The engine's time includes the start of
its Python interpreter (about 100 ms), which is paid once a run; it is shown apart, because a short workload would
otherwise measure nothing else.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

FORKS = "i=0; while [ $i -lt 300 ]; do /bin/true; i=$((i+1)); done"


@dataclass(frozen=True)
class Measured:
    """One workload's medians."""

    workload: str
    rounds: int
    engine_ms: float
    strace_ms: float
    ratio: float
    """Median of the paired ratios, the engine's time counted from its first event to its last."""
    ratio_with_start: float
    """The same with the start of the interpreter."""


def measure(workload: str, argv: list[str], folder: str, rounds: int) -> Measured:
    """Alternate the two tracers over one workload."""
    engine: list[float] = []
    whole: list[float] = []
    strace: list[float] = []
    for turn in range(rounds + 1):
        pair = {"engine": (0.0, 0.0), "strace": (0.0, 0.0)}
        for name in ("engine", "strace") if turn % 2 else ("strace", "engine"):
            pair[name] = _engine(argv, folder) if name == "engine" else _strace(argv, folder)
        if turn:  # the first round fills caches
            engine.append(pair["engine"][0])
            whole.append(pair["engine"][1])
            strace.append(pair["strace"][1])
    return Measured(
        workload,
        rounds,
        statistics.median(engine) * 1000,
        statistics.median(strace) * 1000,
        statistics.median(ours / theirs for ours, theirs in zip(engine, strace, strict=True)),
        statistics.median(ours / theirs for ours, theirs in zip(whole, strace, strict=True)),
    )


def _engine(argv: list[str], folder: str) -> tuple[float, float]:
    """Seconds from the first event to the last, and in all."""
    recording = os.path.join(folder, "engine.jsonl")
    command = [sys.executable, "-m", "tracer.engine", "--recording", recording, "--", *argv]
    whole = _run(command)
    with open(recording, "rb") as lines:
        lines.seek(-4096, os.SEEK_END) if os.path.getsize(recording) > 4096 else None
        last = json.loads(lines.read().splitlines()[-1])
    return last[1] / 1e9, whole


def _strace(argv: list[str], folder: str) -> tuple[float, float]:
    whole = _run(["strace", "-f", "-y", "-s", "256", "-o", os.path.join(folder, "strace.txt"), *argv])
    return whole, whole


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


def workloads(bundle: str) -> dict[str, list[str]]:
    """What is measured."""
    return {
        "storm: dd bs=1 count=25000": ["dd", "if=/dev/zero", "of=/dev/null", "bs=1", "count=25000", "status=none"],
        "300 fork+exec": ["sh", "-c", FORKS],
        "container start by runc": ["runc", "--root", f"{bundle}/state", "run", "-b", bundle, "gb-bench"],
    }


def results(rounds: int, only: str = "") -> Iterator[Measured]:
    """Measure the workloads whose names contain `only`, one after another."""
    with tempfile.TemporaryDirectory(prefix="gb-bench-") as folder, runc_bundle() as bundle:
        for name, argv in workloads(bundle).items():
            if only in name:
                yield measure(name, argv, folder, rounds)


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--only", default="")
    options = parser.parse_args()
    for found in results(options.rounds, options.only):
        print(
            f"{found.workload:28} engine {found.engine_ms:7.0f} ms  strace {found.strace_ms:7.0f} ms  "
            f"ratio {found.ratio:.2f}  with start {found.ratio_with_start:.2f}"
        )


if __name__ == "__main__":
    main()
