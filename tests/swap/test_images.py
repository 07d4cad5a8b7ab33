"""Images between real parts: docker-registry, skopeo, and archives from one daemon to the other; dockerd first."""

import base64
import contextlib
import functools
import json
import os
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.real_dockerd import dockerd
from tests.registries import (
    Registry,
    build,
    busybox_layer,
    certify,
    docker_registry,
    index_of,
    layer_of,
    tar_of,
)

pytestmark = [pytest.mark.root, pytest.mark.swap, pytest.mark.slow]

BINARIES = ("docker", "dockerd", "containerd", "runc", "docker-registry", "skopeo", "openssl", "busybox")
BOTH = pytest.mark.parametrize("engine", ["dockerd", "ours"], indirect=True)


class Engine:
    """A private daemon and the docker CLI."""

    def __init__(self, name: str, host: str, folder: Path) -> None:
        self.name, self.host, self.folder = name, host, folder
        folder.mkdir(exist_ok=True)

    def docker(self, *words: str, stdin: bytes = b"", log_in: str = "", config: Path | None = None) -> tuple[int, str]:
        """Run a command; returns its exit status and everything that it printed.

        It knows the password for one registry, or what an earlier command has put into its folder `config`.
        """
        if config is None:
            config = self.folder / "config"
            config.mkdir(exist_ok=True)
            auth = {"auth": base64.b64encode(b"user:secret").decode()}
            (config / "config.json").write_text(json.dumps({"auths": {log_in: auth} if log_in else {}}))
        environment = {**os.environ, "DOCKER_HOST": self.host, "DOCKER_CONFIG": str(config)}
        done = subprocess.run(["docker", *words], input=stdin, capture_output=True, env=environment)
        return done.returncode, (done.stdout + done.stderr).decode()

    def must(self, *words: str) -> str:
        status, said = self.docker(*words)
        assert status == 0, said
        return said

    def forget_images(self) -> None:
        ids = self.must("images", "-aq", "--no-trunc").split()
        if ids:
            self.must("rmi", "-f", *set(ids))


@pytest.fixture(scope="module")
def engines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Engine]]:
    """Each daemon from when it is first asked for until the last test."""
    missing = [name for name in BINARIES if shutil.which(name) is None]
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)}")
    with contextlib.ExitStack() as running:
        yield functools.cache(lambda name: running.enter_context(up(name, tmp_path_factory.mktemp("images"))))


@contextlib.contextmanager
def up(name: str, folder: Path) -> Iterator[Engine]:
    """A stack that is up."""
    if name == "dockerd":
        with dockerd(folder) as host:
            yield Engine(name, host, folder)
        return
    with (folder / "log").open("w") as log:
        command = [sys.executable, "-m", "tracer", "stack", "up"]
        stack = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True)
        assert stack.stdout
        try:
            host = stack.stdout.readline().strip().removeprefix("export DOCKER_HOST=")
            assert host.startswith("unix://"), (folder / "log").read_text()
            yield Engine(name, host, folder)
        finally:
            stack.terminate()
            stack.wait()
            stack.stdout.close()


@pytest.fixture
def engine(request: pytest.FixtureRequest, engines: Callable[[str], Engine]) -> Iterator[Engine]:
    """The daemon that a test is for, without any image."""
    one = engines(request.param)
    one.forget_images()
    yield one
    one.docker("rm", "-f", *one.must("ps", "-aq").split())


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory, engines: object) -> Iterator[Registry]:
    """A registry that lets everybody in, with one image of two layers and one for two machines."""
    folder = tmp_path_factory.mktemp("registry")
    base = busybox_layer(name=b"base")
    with docker_registry(folder / "r") as one:
        one.push(build(base, layer_of({"etc/top": b"top"})), "two/layers:1", folder)
        machines = {arch: build(busybox_layer(name=arch.encode()), architecture=arch) for arch in ("arm64", "amd64")}
        one.push(index_of(machines), "machines:latest", folder)
        yield one


def lines(text: str) -> list[str]:
    return text.strip().splitlines()


@BOTH
def test_pull_tells_each_layer_and_the_image_runs(engine: Engine, registry: Registry) -> None:
    """What `docker pull` prints, then the same again where nothing is new."""
    name = f"{registry.host}/two/layers:1"

    first = lines(engine.must("pull", name))
    second = lines(engine.must("pull", name))

    assert first[0] == "1: Pulling from two/layers"
    told = [line.split(": ") for line in first[1:-3]]
    assert {status for _, status in told} <= {
        "Pulling fs layer",
        "Waiting",
        "Verifying Checksum",
        "Download complete",
        "Pull complete",
    }
    for layer in {layer for layer, _ in told}:
        of_layer = [status for one, status in told if one == layer and status not in ("Waiting", "Verifying Checksum")]
        assert of_layer == ["Pulling fs layer", "Download complete", "Pull complete"]
    assert first[-3].startswith("Digest: sha256:")
    assert first[-2:] == [f"Status: Downloaded newer image for {name}", name]
    digest = first[-3]
    assert second == ["1: Pulling from two/layers", digest, f"Status: Image is up to date for {name}", name]
    assert engine.must("run", "--rm", "--net", "none", name, "cat", "/etc/name", "/etc/top") == "basetop"


@BOTH
def test_pull_by_digest_gives_a_name_with_the_digest_alone(engine: Engine, registry: Registry) -> None:
    """The image has no tag then, and counts as dangling and as not."""
    engine.must("pull", f"{registry.host}/two/layers:1")
    digest = engine.must("images", "--digests", "--format", "{{.Digest}}").strip()
    engine.forget_images()
    name = f"{registry.host}/two/layers@{digest}"

    said = lines(engine.must("pull", name))

    assert said[0] == f"{name}: Pulling from two/layers"
    assert said[-3:] == [f"Digest: {digest}", f"Status: Downloaded newer image for {name}", name]
    shown = engine.must("images", "--digests", "--format", "{{.Repository}} {{.Tag}} {{.Digest}}")
    assert shown == f"{registry.host}/two/layers <none> {digest}\n"
    assert engine.must("images", "-q", "-f", "dangling=true") == engine.must("images", "-q", "-f", "dangling=false")
    assert engine.must("run", "--rm", "--net", "none", name, "cat", "/etc/top") == "top"
    assert lines(engine.must("rmi", name))[0] == f"Untagged: {name}"


@BOTH
def test_layers_that_are_here_are_not_fetched_again(engine: Engine, registry: Registry, tmp_path: Path) -> None:
    """A second image on the same base says so."""
    registry.push(build(busybox_layer(name=b"base"), layer_of({"etc/top": b"other"})), "two/other:1", tmp_path)
    engine.must("pull", f"{registry.host}/two/layers:1")

    said = lines(engine.must("pull", f"{registry.host}/two/other:1"))

    assert [line.partition(": ")[2] for line in said].count("Already exists") == 1
    assert [line.partition(": ")[2] for line in said].count("Pull complete") == 1


@BOTH
def test_layers_hide_link_and_keep_what_they_say(engine: Engine, registry: Registry, tmp_path: Path) -> None:
    """Whiteouts, opaque directories, hard links, device nodes, set-user-ID, owners, long names, capabilities."""
    capability = bytes.fromhex("0100000200200000000000000000000000000000").decode("latin-1")
    base = {f"{folder}/{name}": b"old" for folder in ("kept", "opaque", "gone") for name in ("a", "b")}
    owned = {"mode": 0o640, "uid": 5, "gid": 6, "mtime": 1e9}
    top = tar_of(
        ("kept/.wh.a", b"", {}),
        (".wh.gone", b"", {}),
        ("opaque/.wh..wh..opq", b"", {}),
        ("opaque/new", b"new", owned),
        ("kept/hard", b"", owned | {"type": tarfile.LNKTYPE, "linkname": "opaque/new"}),
        ("kept/soft", b"", {"type": tarfile.SYMTYPE, "linkname": "../opaque/new"}),
        ("kept/null", b"", {"type": tarfile.CHRTYPE, "devmajor": 1, "devminor": 3, "mode": 0o666}),
        ("kept/fifo", b"", {"type": tarfile.FIFOTYPE, "mode": 0o600}),
        ("kept/setuid", b"x", {"mode": 0o4755, "uid": 7}),
        ("kept/" + "n" * 150, b"long", {}),
        ("kept/capable", b"x", {"mode": 0o755, "pax_headers": {"SCHILY.xattr.security.capability": capability}}),
    )
    registry.push(build(busybox_layer(), layer_of(dict(base)), top), "odd:1", tmp_path)
    name = f"{registry.host}/odd:1"
    found = "busybox find /kept /opaque /gone ! -type d 2>/dev/null | busybox sort"
    command = f"{found} | busybox xargs busybox stat -c"

    engine.must("pull", name)
    said = engine.must("run", "--rm", "--net", "none", name, "sh", "-c", f"{command} '%n %F %a %u:%g %s %t:%T %h'")
    read = engine.must("run", "--rm", "--net", "none", name, "sh", "-c", "cat /kept/soft /kept/hard /kept/b /kept/nn*")

    assert lines(said) == [
        "/kept/b regular file 755 0:0 3 0:0 1",
        "/kept/capable regular file 755 0:0 1 0:0 1",
        "/kept/fifo fifo 600 0:0 0 0:0 1",
        "/kept/hard regular file 640 5:6 3 0:0 2",
        f"/kept/{'n' * 150} regular file 644 0:0 4 0:0 1",
        "/kept/null character special file 666 0:0 0 1:3 1",
        "/kept/setuid regular file 4755 7:0 1 0:0 1",
        "/kept/soft symbolic link 777 0:0 13 0:0 1",
        "/opaque/new regular file 640 5:6 3 0:0 2",
    ]
    assert read == "newnewoldlong"


@BOTH
def test_pull_takes_the_manifest_of_this_machine_or_of_the_one_asked_for(engine: Engine, registry: Registry) -> None:
    """An index names images for several machines, and its digest stands for all of them."""
    name = f"{registry.host}/machines"

    engine.must("pull", name)
    mine = engine.must("inspect", "-f", "{{.Architecture}}", name).strip()
    again = lines(engine.must("pull", "--platform", "linux/arm64", name))
    other = engine.must("inspect", "-f", "{{.Architecture}}", name).strip()
    status, said = engine.docker("pull", "--platform", "linux/riscv64", name)

    assert ("amd64", "arm64") == (mine, other)
    assert f"Status: Downloaded newer image for {name}:latest" in again
    assert status == 1
    assert "no matching manifest for linux/riscv64 in the manifest list entries" in said


@BOTH
def test_every_tag_of_a_repository_is_pulled(engine: Engine, registry: Registry, tmp_path: Path) -> None:
    """`pull -a`."""
    for tag in ("a", "b"):
        registry.push(build(busybox_layer(name=tag.encode())), f"tags:{tag}", tmp_path)

    said = lines(engine.must("pull", "-a", f"{registry.host}/tags"))

    assert sorted(one for one in said if "Pulling from" in one) == ["a: Pulling from tags", "b: Pulling from tags"]
    assert f"Status: Downloaded newer image for {registry.host}/tags" in said
    assert sorted(engine.must("images", "--format", "{{.Tag}}").split()) == ["a", "b"]


@BOTH
@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        ("HOST/two/layers:none", "manifest for HOST/two/layers:none not found: manifest unknown: manifest unknown"),
        ("HOST/nosuch:1", "manifest for HOST/nosuch:1 not found: manifest unknown: manifest unknown"),
        ("127.0.0.1:1/x:1", 'Get "http://127.0.0.1:1/v2/": dial tcp 127.0.0.1:1: connect: connection refused'),
    ],
)
def test_pull_says_what_is_missing(engine: Engine, registry: Registry, name: str, complaint: str) -> None:
    """In dockerd's own words, and with its exit status."""
    status, said = engine.docker("pull", name.replace("HOST", registry.host))

    assert (1, f"Error response from daemon: {complaint}\n".replace("HOST", registry.host)) == (status, said)


@BOTH
def test_run_pulls_what_is_missing(engine: Engine, registry: Registry) -> None:
    """`docker run` of an image that is not here; `--pull never` does not."""
    name = f"{registry.host}/two/layers:1"

    status, said = engine.docker("run", "--rm", "--net", "none", "--pull", "never", name, "true")
    ran = engine.must("run", "--rm", "--net", "none", name, "echo", "here")

    assert status == 125
    assert f"No such image: {name}" in said
    assert f"Unable to find image '{name}' locally" in ran
    assert f"Status: Downloaded newer image for {name}" in ran
    assert "here\n" in ran


@BOTH
def test_wrong_bytes_of_a_layer_are_noticed(engine: Engine, tmp_path: Path) -> None:
    """A registry that gives something else than the digest says: no image, and the next pull is good again."""
    image = build(busybox_layer(name=b"good"))
    with docker_registry(tmp_path / "r") as registry:
        registry.push(image, "x:1", tmp_path)
        blob = registry.blob_file(image.layers()[0])
        good = blob.read_bytes()
        blob.write_bytes(good[:-8] + b"tampered")

        status, said = engine.docker("pull", f"{registry.host}/x:1")
        left = engine.must("images", "-aq")
        blob.write_bytes(good)
        engine.must("pull", f"{registry.host}/x:1")
        ran = engine.must("run", "--rm", "--net", "none", f"{registry.host}/x:1", "cat", "/etc/name")

    assert (1, "") == (status, left)
    assert f"filesystem layer verification failed for digest {image.layers()[0]}" in said
    assert ran == "good"


@BOTH
def test_registry_on_the_loopback_may_sign_for_itself(engine: Engine, tmp_path: Path) -> None:
    """TLS is tried first, and nobody asks who signed it."""
    with docker_registry(tmp_path / "r", tls=certify(tmp_path / "tls")) as registry:
        registry.push(build(busybox_layer(name=b"by TLS")), "x:1", tmp_path)

        ran = engine.must("run", "--rm", "--net", "none", "--quiet", f"{registry.host}/x:1", "cat", "/etc/name")

    assert ran.endswith("by TLS")


@pytest.mark.parametrize("engine", ["dockerd", "ours"], indirect=True)
@pytest.mark.parametrize("other", ["dockerd", "ours"])
def test_saved_image_is_loaded_by_the_other_daemon(
    engine: Engine, other: str, engines: Callable[[str], Engine], registry: Registry, tmp_path: Path
) -> None:
    """`save` here, `load` there: the same ID, names and files; whoever wrote the archive."""
    name, archive = f"{registry.host}/two/layers:1", str(tmp_path / "a.tar")
    engine.must("pull", name)
    engine.must("tag", name, "saved:1")
    engine.must("save", "-o", archive, name, "saved:1")
    saved = engine.must("inspect", "-f", "{{.Id}} {{.RootFS.Layers}} {{json .Config}}", "saved:1")
    there = engines(other)
    there.forget_images()

    said = there.must("load", "-i", archive)

    assert sorted(lines(said)) == sorted([f"Loaded image: {name}", "Loaded image: saved:1"])
    assert there.must("inspect", "-f", "{{.Id}} {{.RootFS.Layers}} {{json .Config}}", "saved:1") == saved
    assert there.must("run", "--rm", "--net", "none", "saved:1", "cat", "/etc/top") == "top"
