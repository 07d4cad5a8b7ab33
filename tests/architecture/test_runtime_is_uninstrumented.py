"""The stack could be read, run and used without the tracer: it holds no hook for being watched."""

import re
from pathlib import Path

RUNTIME = Path(__file__).parents[2] / "runtime"
SOURCES = [path for path in RUNTIME.rglob("*.py") if not path.name.endswith("_pb2.py")]


def test_runtime_knows_nothing_of_the_tracer() -> None:
    """No source of the stack imports the tracer, asks whether it is traced, or has a switch about tracing."""
    hook = re.compile(r"(?:from|import)\s+tracer\b|GLASSBOTTOM_TRACE|PTRACE_|TracerPid")

    found = [
        f"{path.relative_to(RUNTIME)}:{number}: {line.strip()}"
        for path in SOURCES
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if hook.search(line)
    ]

    assert [] == found
