"""What the OCI runtime imports, and when: it starts often, and after pivot_root there is nothing to import from."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

OCI = Path(__file__).parents[3] / "runtime/oci"

INSIDE = (
    "init", "process_setup", "mounts", "in_root", "rootfs", "devices", "hooks", "executable", "lsm", "sysctl",
    "exec_fifo", "sync", "capabilities", "intermediate", "namespaces", "console", "cgroups/mounting", "cgroups/probe",
    "mount_options", "syscalls", "processes",
    "scheduling", "mount_targets", "null_device", "environment",
)  # fmt: skip
"""Modules whose code runs in the container's processes."""

BEFORE_THE_FORK = {("process_setup", "Prepared.__init__")}
"""Functions of theirs that only the runtime itself calls, before it forks."""


@pytest.mark.parametrize("name", INSIDE)
def test_code_that_runs_inside_imports_nothing_there(name: str) -> None:
    """Every import of these modules is at their top."""
    found = []

    def visit(node: ast.AST, function: str) -> None:
        for child in ast.iter_child_nodes(node):
            scope = function
            if isinstance(child, ast.FunctionDef | ast.ClassDef):
                scope = f"{function}.{child.name}".lstrip(".")
            elif isinstance(child, ast.Import | ast.ImportFrom) and function:
                found.append((name, function))
            visit(child, scope)

    visit(ast.parse((OCI / f"{name}.py").read_text()), "")

    assert set() == set(found) - BEFORE_THE_FORK


HEAVY = {
    "argparse", "asyncio", "dataclasses", "typing", "subprocess", "pathlib", "tempfile", "shutil", "logging",
    "re", "enum", "functools", "json",
}  # fmt: skip


@pytest.mark.parametrize(
    ("verb", "unwanted"),
    [
        ("create", HEAVY | {"socket", "tty"}),
        ("start", HEAVY | {"ctypes", "socket", "signal", "runtime.oci.mounts"}),
        ("delete", HEAVY | {"ctypes", "socket", "signal", "runtime.oci.mounts"}),
        ("state", HEAVY | {"ctypes", "socket", "signal", "runtime.oci.mounts"}),
        ("kill", HEAVY - {"enum", "functools"} | {"ctypes", "socket", "runtime.oci.mounts"}),
    ],
)
def test_verb_starts_lean(verb: str, unwanted: set[str]) -> None:
    """What would cost milliseconds on every container start is not imported."""
    script = (
        f"import runtime.oci.__main__, runtime.oci.commands.{verb}, sys, json; print(json.dumps(sorted(sys.modules)))"
    )
    clean = [sys.executable, "-I", "-S", "-c", f"import sys; sys.path.insert(0, {str(OCI.parents[1])!r}); {script}"]

    loaded = set(subprocess.run(clean, capture_output=True, check=True, text=True).stdout.split())

    assert set() == loaded & unwanted


def test_full_stdout_is_a_sentence() -> None:
    """What cannot be printed is reported, though the interpreter is not taken apart at the end."""
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "runtime.oci", "--version"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )

    assert 1 == done.returncode
    assert "no space left on device" in done.stderr
    assert "Traceback" not in done.stderr
