"""A fresh interpreter per room, then a look in sys.modules: a static graph cannot see deferred imports."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

FORBIDDEN = {
    "runtime.api.ttrpc": {"tracer", "aiohttp", "grpclib", "asyncio", "google"},
    "runtime.client.__main__": {"tracer", "aiohttp", "grpclib", "asyncio", "google", "runtime.daemon"},
    "runtime.daemon.__main__": {"tracer", "textual", "ptrace", "runtime.containerd", "runtime.shim", "runtime.oci"},
    "runtime.containerd.__main__": {"tracer", "textual", "aiohttp", "ptrace", "runtime.daemon", "runtime.shim"},
    "runtime.shim.__main__": {"tracer", "asyncio", "aiohttp", "grpclib", "runtime.containerd", "runtime.oci"},
    "runtime.oci.__main__": {"tracer", "asyncio", "google", "aiohttp", "grpclib", "pyroute2", "dataclasses"},
    "tracer.events": {"runtime", "textual", "ptrace", "asyncio", "tracer.engine"},
    "tracer.codec": {"runtime", "textual", "ptrace", "asyncio", "tracer.engine"},
    "tracer.decode.pipeline": {"textual", "ptrace", "asyncio", "aiohttp", "grpclib", "tracer.engine", "runtime.daemon"},
    "tracer.stages.matcher": {"textual", "ptrace", "asyncio", "tracer.engine", "runtime.daemon"},
    "tracer.model": {"textual", "ptrace", "asyncio", "tracer.engine"},
    "tracer.engine.loop": {"textual", "asyncio", "aiohttp", "grpclib", "tracer.tui", "runtime.daemon"},
    "tracer.session.replay": {"textual", "ptrace", "tracer.engine", "tracer.tui"},
    "tracer.session.live": {"textual", "ptrace", "tracer.engine", "tracer.tui"},
    "tracer.report.text": {"textual", "ptrace", "tracer.engine", "tracer.tui"},
    "tracer.tui.app": {"ptrace", "tracer.engine", "aiohttp", "grpclib", "runtime.daemon", "runtime.oci"},
    "tracer.cli": {"textual", "ptrace", "asyncio", "aiohttp", "grpclib", "tracer.tui", "tracer.engine"},
}
"""Room -> what importing it must not bring along."""


@pytest.mark.parametrize("room", sorted(FORBIDDEN))
def test_room_imports_nothing_it_must_not_know(room: str) -> None:
    """Importing a room in a fresh interpreter leaves its forbidden modules unloaded."""
    script = f"import json, sys, {room}; print(json.dumps(sorted(sys.modules)))"

    output = subprocess.run([sys.executable, "-c", script], cwd=ROOT, check=True, capture_output=True, text=True).stdout

    loaded = set(json.loads(output))
    assert set() == loaded & FORBIDDEN[room]


def test_lessons_hold_no_python() -> None:
    """Lessons are data: TOML, Markdown and recordings."""
    assert [] == [path.name for path in (ROOT / "lessons").rglob("*.py")]
