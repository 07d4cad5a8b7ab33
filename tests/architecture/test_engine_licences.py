"""python-ptrace is GPL-2.0-only: one file of one process imports it."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
IMPORT = re.compile(r"^\s*(?:from|import)\s+ptrace\b", re.MULTILINE)


def test_only_the_bindings_import_python_ptrace() -> None:
    """No source but tracer/engine/bindings.py imports python-ptrace."""
    importers = {
        str(path.relative_to(ROOT))
        for room in ("tracer", "runtime")
        for path in (ROOT / room).rglob("*.py")
        if IMPORT.search(path.read_text())
    }

    assert {"tracer/engine/bindings.py"} == importers
