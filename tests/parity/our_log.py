"""The same under our engine: the recording's calls, signals and ends of threads, one line each."""

import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.parity.strace_log import Line
from tracer.codec import decode_event, decode_header
from tracer.decode.strace_lines import StraceLines

ROOT = Path(__file__).resolve().parents[2]


def record(argv: Sequence[str], directory: Path, environment: Mapping[str, str]) -> list[Line]:
    """Run a program under the engine; its lines in the order in which they were recorded."""
    recording = directory / "recording.jsonl"
    done = subprocess.run(
        [sys.executable, "-m", "tracer.engine", "--recording", str(recording), "--", *argv],
        cwd=directory, env={**environment, "PYTHONPATH": str(ROOT)}, stdin=subprocess.DEVNULL, capture_output=True,
        text=True, check=False, timeout=120,
    )  # fmt: skip
    assert recording.exists(), done.stderr
    return read(recording)


def read(recording: Path) -> list[Line]:
    """A recording's lines."""
    with recording.open(encoding="utf-8") as file:
        header = decode_header(file.readline())
        lines = StraceLines(header.syscalls, header.architecture)
        return [Line(tid, text) for row in file for tid, text in lines.feed(decode_event(row))]
