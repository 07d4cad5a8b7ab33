"""A stack whose image store can be looked into, and a registry in the test's hands."""

import json
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.host.daemon.stacks import Stack, UnixConnection
from tests.registries import FakeRegistry


class ImageStack(Stack):
    """A stack, and what lies in its store."""

    def lines(self, method: str, path: str, body: bytes | None = None) -> tuple[int, list[dict[str, Any]]]:
        """A request that is answered line by line, read whole."""
        connection = UnixConnection(self.socket)
        connection.request(method, path, body, {"Content-Type": "application/x-tar"})
        reply = connection.getresponse()
        lines = [json.loads(line) for line in reply.read().splitlines()]
        connection.close()
        return reply.status, lines

    def pull(self, name: str) -> str:
        """Pull; returns what went wrong, or an empty string."""
        status, lines = self.lines("POST", f"/images/create?fromImage={name}&tag=1")
        return str(lines[-1].get("message", "") if status != 200 else lines[-1].get("error", ""))

    def tags(self) -> set[str]:
        _, images = self.ask("GET", "/images/json")
        return {tag for image in images for tag in image["RepoTags"] or []}

    def store(self) -> dict[str, set[str]]:
        """Every file of the content store, and how many snapshots there are."""
        content = self.folder / "cr" / "io.containerd.content.v1.content"
        layers = self.folder / "cr" / "io.containerd.snapshotter.v1.overlayfs" / "snapshots"
        return {
            "blobs": set(os.listdir(content / "blobs" / "sha256")),
            "ingests": set(os.listdir(content / "ingest")),
            "snapshots": {f"one of {len(os.listdir(layers))}"},
            "spools": set(os.listdir(self.folder / "data" / "tmp") if (self.folder / "data" / "tmp").exists() else ()),
        }

    def kill_containerd(self) -> None:
        self.containerd.kill()
        self.containerd.wait()


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A stack for all tests; when it is stopped, nothing of it may be left."""
    stack = Stack(tmp_path_factory.mktemp("d"))
    try:
        yield stack
    finally:
        stack.stop()
    folder = str(stack.folder)
    assert [name for _, name in socket.if_nameindex() if name.startswith(stack.bridge)] == []
    assert [line for line in Path("/proc/self/mounts").read_text().splitlines() if folder in line] == []
    assert not Path(stack.socket).exists()
    left = [cmd for pid in os.listdir("/proc") if pid.isdigit() if folder in (cmd := command_line(pid))]
    assert left == []


def command_line(pid: str) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:
        return ""


@pytest.fixture
def clean(stack: Stack) -> Iterator[None]:
    """Afterwards no container is left in the stack."""
    yield
    for container in stack.ask("GET", "/containers/json?all=1")[1]:
        stack.ask("DELETE", f"/containers/{container['Id']}?force=1")


@pytest.fixture(scope="module")
def image_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ImageStack]:
    """A stack for all tests of a file; whatever was sent to it, it must have written no traceback."""
    stack = ImageStack(tmp_path_factory.mktemp("i"))
    try:
        yield stack
    finally:
        stack.stop()
    log = (stack.folder / "log").read_text()
    assert "Traceback" not in log, log


@pytest.fixture
def fake_registry() -> Iterator[FakeRegistry]:
    """A registry in the test's hands."""
    one = FakeRegistry()
    yield one
    one.close()
