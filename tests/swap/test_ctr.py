"""Real ctr on real containerd and on ours: one body, two servers, the same answers.

The runtime below is the real one in both (containerd-shim-runc-v2 and runc): what differs can only be containerd.
"""

import hashlib
import io
import json
import os
import pty
import re
import select
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.root, pytest.mark.swap, pytest.mark.slow]

IMAGE = "docker.io/library/gbcd:latest"


@pytest.fixture(name="containerd", scope="module", params=["real", "ours"])
def _containerd(request: pytest.FixtureRequest, launch_containerd: Callable[[str], Any]) -> Any:
    """A containerd of each kind."""
    return launch_containerd(request.param)


def image_archive(rootfs: Path) -> bytes:
    """An OCI layout with two layers; the second hides a file of the first and links hard within itself."""
    blobs: dict[str, bytes] = {}

    def blob(data: bytes) -> dict[str, object]:
        digest = hashlib.sha256(data).hexdigest()
        blobs[f"blobs/sha256/{digest}"] = data
        return {"digest": f"sha256:{digest}", "size": len(data)}

    def layer(add: Callable[[tarfile.TarFile], None]) -> bytes:
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w") as tar:
            add(tar)
        return buffer.getvalue()

    def upper(tar: tarfile.TarFile) -> None:
        for name, kind, link in (
            ("etc/.wh.hidden", tarfile.REGTYPE, ""),
            ("etc/shown", tarfile.REGTYPE, ""),
            ("etc/linked", tarfile.LNKTYPE, "etc/shown"),
        ):
            entry = tarfile.TarInfo(name)
            entry.type, entry.linkname = kind, link
            tar.addfile(entry)

    def lower(tar: tarfile.TarFile) -> None:
        tar.add(rootfs, ".")
        tar.addfile(tarfile.TarInfo("etc/hidden"))

    layers = [layer(lower), layer(upper)]
    config = {
        "architecture": "amd64" if os.uname().machine == "x86_64" else "arm64",
        "os": "linux",
        "config": {"Env": ["PATH=/bin"], "Cmd": ["sh"]},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(data).hexdigest()}" for data in layers]},
    }
    oci = "application/vnd.oci.image"
    manifest = {
        "schemaVersion": 2,
        "mediaType": f"{oci}.manifest.v1+json",
        "config": {"mediaType": f"{oci}.config.v1+json", **blob(json.dumps(config).encode())},
        "layers": [{"mediaType": f"{oci}.layer.v1.tar", **blob(data)} for data in layers],
    }
    target = {"mediaType": f"{oci}.manifest.v1+json", **blob(json.dumps(manifest).encode())}
    target["annotations"] = {"io.containerd.image.name": IMAGE}
    files = {
        "oci-layout": b'{"imageLayoutVersion":"1.0.0"}',
        "index.json": json.dumps({"schemaVersion": 2, "manifests": [target]}).encode(),
        **blobs,
    }
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, data in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
    return buffer.getvalue()


def test_version_is_told(containerd: Any) -> None:
    """`ctr version` prints the server's version and its uuid."""
    said = containerd.ctr("version")

    assert re.search(r"Server:\n  Version:  1\.6\.", said)
    assert re.search(r"UUID: [0-9a-f-]{36}", said)


def test_plugins_are_listed(containerd: Any) -> None:
    """`ctr plugins ls` has the ones that clients look for, and says that they work."""
    lines = [line.split() for line in containerd.ctr("plugins", "ls").splitlines()]

    found = {(words[0], words[1]): words[-1] for words in lines}
    for kind, name in (("snapshotter", "overlayfs"), ("snapshotter", "native"), ("content", "content")):
        assert found[f"io.containerd.{kind}.v1", name] == "ok"


def test_namespaces_are_made_labelled_and_removed(containerd: Any) -> None:
    """A namespace that is empty can be removed; one that has something cannot."""
    containerd.ctr("namespaces", "create", "blue", "colour=blue")
    containerd.ctr("namespaces", "label", "blue", "shade=dark")

    listed = containerd.ctr("namespaces", "ls")
    containerd.ctr("-n", "blue", "containers", "create", "--rootfs", str(containerd.rootfs), "b1", "/bin/true")
    refusal = containerd.ctr("namespaces", "rm", "blue", status=1)
    containerd.ctr("-n", "blue", "containers", "rm", "b1")
    containerd.ctr("namespaces", "rm", "blue")

    assert "colour=blue" in listed
    assert "shade=dark" in listed
    assert 'namespace "blue" must be empty, but it still has containers: failed precondition' in refusal
    assert "blue" not in containerd.ctr("namespaces", "ls")


def test_containers_are_metadata(containerd: Any) -> None:
    """A container is made, listed, shown, labelled and removed without a task; what is missing is named."""
    containerd.ctr("containers", "create", "--label", "a=b", "--rootfs", str(containerd.rootfs), "c1", "/bin/true")
    containerd.ctr("containers", "label", "c1", "c=d")

    listed = containerd.ctr("containers", "ls")
    shown = json.loads(containerd.ctr("containers", "info", "c1"))
    twice = containerd.ctr("containers", "create", "--rootfs", str(containerd.rootfs), "c1", "/bin/true", status=1)
    containerd.ctr("containers", "rm", "c1")
    missing = containerd.ctr("containers", "info", "c1", status=1)

    assert re.search(r"^c1 +- +io\.containerd\.runc\.v2", listed, re.MULTILINE)
    assert shown["Labels"] == {"a": "b", "c": "d"}
    assert shown["Spec"]["process"]["args"] == ["/bin/true"]
    assert 'container "c1": already exists' in twice
    assert 'container "c1" in namespace "default": not found' in missing


def test_run_gives_output_and_exit_status(containerd: Any) -> None:
    """`ctr run --rm` prints what the process prints and exits as it exits."""
    assert containerd.run("--rm", "r1", "/bin/echo", "hello") == "hello\n"
    containerd.run("--rm", "r2", "/bin/sh", "-c", "exit 7", status=7)
    assert "r1" not in containerd.ctr("containers", "ls")


def test_run_on_a_terminal_has_one(containerd: Any) -> None:
    """`ctr run -t` gives the process a terminal, and what is typed reaches it."""
    leader, follower = pty.openpty()
    # The process waits for a line: the real shim can lose the last words of a terminal whose process has ended.
    script = "test -t 0 && echo is-a-tty; read line; echo $line > /tmp/typed"
    argv = ["run", "--rm", "-t", "--rootfs", str(containerd.rootfs), "tty1", "/bin/sh", "-c", script]

    with subprocess.Popen(["ctr", "-a", containerd.address, *argv], stdin=follower, stdout=follower) as process:
        said = b""
        while b"is-a-tty" not in said and select.select([leader], [], [], 20)[0]:
            said += os.read(leader, 65536)
        os.write(leader, b"hello\r")
        status = process.wait(20)
    os.close(leader)
    os.close(follower)

    assert b"is-a-tty" in said
    assert status == 0
    assert (containerd.rootfs / "tmp" / "typed").read_text() == "hello\n"


def test_task_goes_through_its_life(containerd: Any) -> None:
    """run -d, ls, ps, exec, pause, resume, metrics, kill, rm: each as ctr shows it."""
    containerd.run("-d", "life", "/bin/sleep", "1000")

    pid = re.search(r"^life +(\d+) +RUNNING", containerd.ctr("tasks", "ls"), re.MULTILINE)
    assert pid
    assert pid[1] in containerd.ctr("tasks", "ps", "life")
    assert containerd.ctr("tasks", "exec", "--exec-id", "e1", "life", "/bin/echo", "inside") == "inside\n"
    containerd.ctr("tasks", "exec", "--exec-id", "e2", "life", "/bin/sh", "-c", "exit 3", status=3)
    assert "life" in containerd.ctr("tasks", "metrics", "life")
    containerd.ctr("tasks", "pause", "life")
    assert re.search(r"^life +\d+ +PAUSED", containerd.ctr("tasks", "ls"), re.MULTILINE)
    containerd.ctr("tasks", "resume", "life")
    still = containerd.ctr("containers", "rm", "life", status=1)
    assert "cannot delete a non stopped container" in still
    containerd.ctr("tasks", "kill", "-s", "9", "life")
    # `tasks rm` waits for nothing: it is repeated until the kill has done its work, as a person would.
    while "must be stopped" in containerd.ctr("tasks", "rm", "life", status=None):
        pass
    containerd.ctr("containers", "rm", "life")
    assert "no running task found: task life not found: not found" in _task_of_nothing(containerd)


def _task_of_nothing(containerd: Any) -> str:
    containerd.ctr("containers", "create", "--rootfs", str(containerd.rootfs), "life", "/bin/true")
    said = containerd.ctr("tasks", "kill", "life", status=1)
    containerd.ctr("containers", "rm", "life")
    return str(said)


def test_failed_start_is_told_and_leaves_nothing(containerd: Any) -> None:
    """A command that is not there: the runtime's own words climb up to ctr, and no bundle stays."""
    said = containerd.run("--rm", "bad", "/bin/nothing-here", status=1)

    assert "failed to create shim task: OCI runtime create failed: " in said
    assert "no such file or directory" in said
    assert not (containerd.bundles / "bad").exists()
    containerd.ctr("containers", "rm", "bad", status=None)


def test_runtime_that_is_not_installed_is_named(containerd: Any) -> None:
    """An unknown runtime is refused by the name of the program that was looked for."""
    said = containerd.run("--rm", "unknown", "/bin/true", runtime="io.containerd.nothing.v7", status=1)

    assert 'runtime "io.containerd.nothing.v7" binary not installed "containerd-shim-nothing-v7"' in said
    containerd.ctr("containers", "rm", "unknown", status=None)


def test_events_come_in_the_order_of_causes(containerd: Any, watch_events: Any) -> None:
    """`ctr events` prints the topics of a run and of an exec, with the fields that they have."""
    events = watch_events(containerd)

    containerd.run("--rm", "ev", "/bin/sh", "-c", "exit 5", status=5)
    seen = events.until("/containers/delete", '"ev"')

    assert [topic for topic, _ in seen] == [
        "/containers/create",
        "/tasks/create",
        "/tasks/start",
        "/tasks/exit",
        "/tasks/delete",
        "/containers/delete",
    ]
    created, exited = json.loads(seen[1][1]), json.loads(seen[3][1])
    assert created["bundle"] == str(containerd.bundles / "ev")
    assert (exited["id"], exited["exit_status"], exited["pid"]) == ("ev", 5, created["pid"])


def test_image_is_imported_unpacked_run_and_removed(containerd: Any, watch_events: Any) -> None:
    """`ctr images import` stores and unpacks both layers; `ctr run` sees their sum; `images rm` leaves nothing."""
    events = watch_events(containerd)
    archive = image_archive(containerd.rootfs)

    containerd.ctr("images", "import", "-", stdin=archive)
    images = containerd.ctr("images", "ls")
    content = containerd.ctr("content", "ls", "-q").split()
    snapshots = containerd.ctr("snapshots", "ls")
    manifest = json.loads(containerd.ctr("content", "get", re.findall(r"sha256:\w+", images)[0]))
    said = containerd.ctr("run", "--rm", IMAGE, "img", "/bin/sh", "-c", "cd /etc; echo *; touch /new")
    topics = [topic for topic, _ in events.until("/containers/delete", '"img"')]
    containerd.ctr("images", "rm", "--sync", IMAGE)

    assert f"{IMAGE} application/vnd.oci.image.manifest.v1+json" in images
    assert manifest["config"]["digest"] in content
    assert len(re.findall("Committed", snapshots)) == 2
    assert "linked shown" in said
    assert "hidden" not in said
    assert [t for t in topics if not t.startswith(("/containers", "/tasks", "/content"))] == [
        "/images/create",
        "/snapshot/prepare",
        "/snapshot/commit",
        "/snapshot/prepare",
        "/snapshot/commit",
        "/snapshot/prepare",
        "/snapshot/remove",
    ]
    assert "" == containerd.ctr("images", "ls", "-q")
    assert "" == containerd.ctr("content", "ls", "-q")
    assert "Committed" not in containerd.ctr("snapshots", "ls")


def test_content_is_stored_by_digest(containerd: Any) -> None:
    """`ctr content`: ingest with the expected digest, get, label, rm; a wrong digest is refused."""
    digest = f"sha256:{hashlib.sha256(b'water').hexdigest()}"
    wrong = f"sha256:{hashlib.sha256(b'wine').hexdigest()}"

    containerd.ctr("content", "ingest", "--expected-digest", digest, "ref-1", stdin=b"water")
    got = containerd.ctr("content", "get", digest)
    containerd.ctr("content", "label", digest, "kind=liquid")
    listed = containerd.ctr("content", "ls")
    refusal = containerd.ctr("content", "ingest", "--expected-digest", wrong, "ref-2", stdin=b"water", status=1)
    containerd.ctr("content", "rm", digest)

    assert got == "water"
    assert "kind=liquid" in listed
    assert f"expected {wrong}" in refusal
    assert "not found" in containerd.ctr("content", "get", digest, status=1)


@pytest.mark.parametrize("snapshotter", ["overlayfs", "native"])
def test_snapshots_stack(containerd: Any, snapshotter: str) -> None:
    """`ctr snapshots`: prepare, commit, prepare on top, view, mounts, tree, usage, rm: children go first."""
    snapshots = ["snapshots", "--snapshotter", snapshotter]
    # Labelled as roots, or real containerd's garbage collector takes them while we look.
    containerd.ctr(*snapshots, "prepare", "first")
    mounts = containerd.ctr(*snapshots, "mounts", "/target", "first")
    containerd.ctr(*snapshots, "commit", "layer", "first")
    containerd.ctr(*snapshots, "label", "layer", "containerd.io/gc.root=1")
    containerd.ctr(*snapshots, "prepare", "second", "layer")
    second = containerd.ctr(*snapshots, "mounts", "/target", "second")

    info = json.loads(containerd.ctr(*snapshots, "info", "second"))
    refusal = containerd.ctr(*snapshots, "rm", "layer", status=1)
    containerd.ctr(*snapshots, "rm", "second")
    containerd.ctr(*snapshots, "rm", "layer")

    assert mounts.startswith("mount -t bind ")
    assert second.startswith("mount -t overlay " if snapshotter == "overlayfs" else "mount -t bind ")
    assert (info["Kind"], info["Parent"]) == ("Active", "layer")
    assert "cannot remove snapshot with child: failed precondition" in refusal
    assert "layer" not in containerd.ctr(*snapshots, "ls")


def test_leases_are_made_and_removed(containerd: Any) -> None:
    """`ctr leases create|ls|rm`."""
    containerd.ctr("leases", "create", "--id", "loan", "why=test")

    listed = containerd.ctr("leases", "ls")
    containerd.ctr("leases", "rm", "loan")

    assert "why=test" in listed
    assert "loan" not in containerd.ctr("leases", "ls")
