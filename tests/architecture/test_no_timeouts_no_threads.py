"""A paused program's clock runs on: so the stack has no timeouts, sleeps or threads (architecture.md, trap 1)."""

import ast
from collections.abc import Iterator
from pathlib import Path

RUNTIME = Path(__file__).parents[2] / "runtime"
SOURCES = [path for path in RUNTIME.rglob("*.py") if not path.name.endswith("_pb2.py")]

FORBIDDEN_CALLS = {
    "sleep": "a sleep",
    "wait_for": "asyncio.wait_for is a timeout",
    "settimeout": "a socket timeout",
    "setitimer": "a timer",
    "alarm": "a timer",
    "to_thread": "a thread",
    "run_in_executor": "a thread",
    "Thread": "a thread",
    "ThreadPoolExecutor": "a thread",
    "start_new_thread": "a thread",
}
FORBIDDEN_IMPORTS = {"threading", "_thread", "concurrent.futures", "sched"}

ALLOWED = {
    ("daemon", "call_later"): "`docker stop -t` and restart delays are docker's own semantics, not protocol timeouts",
}


def calls(path: Path) -> Iterator[tuple[int, str, ast.Call]]:
    """Every call in a file, by the last part of the called name."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call):
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            yield node.lineno, name, node


def is_cooperative_yield(name: str, call: ast.Call) -> bool:
    """`asyncio.sleep(0)` only lets other tasks run."""
    return (
        name == "sleep" and len(call.args) == 1 and isinstance(call.args[0], ast.Constant) and call.args[0].value == 0
    )


def test_runtime_calls_nothing_that_keeps_time_or_starts_threads() -> None:
    """No sleep, timeout, timer or thread is called for anywhere in the stack."""
    found = [
        f"{path.relative_to(RUNTIME)}:{line}: {name}: {FORBIDDEN_CALLS[name]}"
        for path in SOURCES
        for line, name, call in calls(path)
        if name in FORBIDDEN_CALLS and not is_cooperative_yield(name, call)
    ]

    assert [] == found


def test_timers_are_only_where_docker_itself_has_them() -> None:
    """`call_later` and `call_at` appear only in the rooms listed with a reason."""
    found = [
        f"{path.relative_to(RUNTIME)}:{line}"
        for path in SOURCES
        for line, name, _ in calls(path)
        if name in {"call_later", "call_at", "timeout", "timeout_at"}
        and (path.relative_to(RUNTIME).parts[0], name) not in ALLOWED
    ]

    assert [] == found


def test_runtime_imports_no_threading() -> None:
    """No module of the stack imports a threading library."""
    found = []
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text())):
            names = (
                [alias.name for alias in node.names]
                if isinstance(node, ast.Import)
                else [node.module or ""]
                if isinstance(node, ast.ImportFrom)
                else []
            )
            found += [f"{path.relative_to(RUNTIME)}: {name}" for name in names if name in FORBIDDEN_IMPORTS]

    assert [] == found
