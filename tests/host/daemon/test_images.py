"""Images under bad luck: kill -9 in the middle of a pull, clients that leave, registries and archives in disorder."""

import gzip
import io
import json
import os
import socket
import struct
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.host.daemon.test_daemon import Stack, UnixConnection
from tests.registries import FakeRegistry, Image, build, busybox_layer, digest_of, layer_of

pytestmark = [pytest.mark.root, pytest.mark.slow]

FEW = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


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
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ImageStack]:
    """A stack for all tests of this file; whatever was sent to it, it must have written no traceback."""
    stack = ImageStack(tmp_path_factory.mktemp("i"))
    try:
        yield stack
    finally:
        stack.stop()
    log = (stack.folder / "log").read_text()
    assert "Traceback" not in log, log


@pytest.fixture
def registry() -> Iterator[FakeRegistry]:
    """A registry in the test's hands."""
    one = FakeRegistry()
    yield one
    one.close()


@pytest.fixture(scope="module")
def image() -> Image:
    """Three layers, the first of which is large enough to be stopped in the middle."""
    return build(busybox_layer(name=b"whole"), layer_of({"data": os.urandom(300_000)}), layer_of({"etc/top": b"top"}))


def begin_pull(stack: ImageStack, registry: FakeRegistry) -> UnixConnection:
    """Start a pull and return once the registry has stopped in the middle of a layer."""
    registry.paused.clear()
    connection = UnixConnection(stack.socket)
    connection.request("POST", f"/images/create?fromImage={registry.host}/x&tag=1")
    registry.paused.wait()
    return connection


@pytest.mark.parametrize("victims", ["daemon", "containerd", "both"])
@pytest.mark.parametrize("at", [0, 250_000])
def test_pull_that_was_killed_leaves_nothing_and_can_be_done_again(
    stack: ImageStack, registry: FakeRegistry, image: Image, victims: str, at: int
) -> None:
    """kill -9 while layers come: no image, no half of one; and then the whole."""
    registry.images["x:1"] = image
    before = stack.store()
    registry.pause_at = at
    connection = begin_pull(stack, registry)

    if victims in ("containerd", "both"):
        stack.kill_containerd()
    if victims in ("daemon", "both"):
        stack.kill()
    if victims in ("containerd", "both"):
        stack.start_containerd()
    registry.pause_at = -1
    registry.go_on.set()
    if victims in ("daemon", "both"):
        stack.start()
        assert stack.store() == before  # the new daemon lets go of what the old one held
    connection.close()

    assert f"{registry.host}/x:1" not in stack.tags()
    assert stack.pull(f"{registry.host}/x") == ""
    stack.run("whole", "cat /etc/name", Image=f"{registry.host}/x:1", Cmd=["sh", "-c", "cat /etc/name /etc/top"])
    assert b"wholetop" in stack.logs("whole")
    assert stack.ask("POST", "/containers/whole/wait")[0] == 200
    assert stack.ask("DELETE", "/containers/whole") == (204, None)
    assert stack.ask("DELETE", f"/images/{registry.host}/x:1")[0] == 200
    assert stack.store() == before


@pytest.mark.parametrize("line", range(2, 15, 4))
def test_pull_that_was_killed_between_its_steps_leaves_nothing(
    stack: ImageStack, registry: FakeRegistry, image: Image, line: int
) -> None:
    """kill -9 of both right after some line of progress: downloading, unpacking, naming."""
    registry.images["x:1"] = image
    before = stack.store()
    connection = UnixConnection(stack.socket)
    connection.request("POST", f"/images/create?fromImage={registry.host}/x&tag=1")
    reply = connection.getresponse()
    for _ in range(line):
        reply.readline()

    stack.kill()
    stack.kill_containerd()
    stack.start_containerd()
    stack.start()
    connection.close()

    finished = f"{registry.host}/x:1" in stack.tags()
    assert finished or stack.store() == before
    assert stack.pull(f"{registry.host}/x") == ""
    assert stack.ask("DELETE", f"/images/{registry.host}/x:1")[0] == 200
    assert stack.store() == before


def test_client_that_leaves_gives_its_pull_up(stack: ImageStack, registry: FakeRegistry, image: Image) -> None:
    """Ctrl-C of `docker pull`; what has come by then is not asked for again by the next one, if that comes at once."""
    registry.images["x:1"] = image
    before = stack.store()
    registry.pause_at = 100_000
    connection = begin_pull(stack, registry)

    connection.close()
    while stack.store() != before:
        os.sched_yield()
    registry.pause_at = -1
    registry.go_on.set()

    assert f"{registry.host}/x:1" not in stack.tags()


def test_two_pulls_of_one_image_fetch_it_once(stack: ImageStack, registry: FakeRegistry, image: Image) -> None:
    """The second waits for the first, and has the image when it is there."""
    registry.images["x:1"] = image
    registry.pause_at = 100_000
    first = begin_pull(stack, registry)
    second = UnixConnection(stack.socket)
    second.request("POST", f"/images/create?fromImage={registry.host}/x&tag=1")
    while registry.asked.count(registry.asked[0]) < 2:  # the second has begun, too
        os.sched_yield()

    registry.go_on.set()
    said = [connection.getresponse().read() for connection in (first, second)]
    for connection in (first, second):
        connection.close()

    assert [b"errorDetail" in one for one in said] == [False, False]
    paths = [path for path, _ in registry.asked if path.endswith(tuple(image.layers()))]
    assert sorted(paths) == sorted(set(paths))
    assert stack.ask("DELETE", f"/images/{registry.host}/x:1")[0] == 200


def test_layers_are_kept_for_a_pull_while_their_image_is_removed(
    stack: ImageStack, registry: FakeRegistry, image: Image
) -> None:
    """An image of the same layers goes while the new one is still coming."""
    layers = [gzip.decompress(image.blobs[digest]) for digest in image.layers()]
    registry.images |= {"x:1": build(*layers[:1]), "y:1": image}
    assert stack.pull(f"{registry.host}/x") == ""
    registry.pause_at = 100_000
    registry.paused.clear()
    connection = UnixConnection(stack.socket)
    connection.request("POST", f"/images/create?fromImage={registry.host}/y&tag=1")
    registry.paused.wait()

    assert stack.ask("DELETE", f"/images/{registry.host}/x:1")[0] == 200
    registry.pause_at = -1
    registry.go_on.set()
    lines = connection.getresponse().read().splitlines()
    connection.close()

    assert b"Downloaded newer image" in lines[-1]
    assert stack.ask("DELETE", f"/images/{registry.host}/y:1")[0] == 200


def test_broken_connection_is_taken_up_where_it_broke(stack: ImageStack, registry: FakeRegistry, image: Image) -> None:
    """The rest of a layer is asked for, not the whole."""
    registry.images["x:1"] = image
    large = image.layers()[1]
    registry.pause_at, registry.hang_up = 200_000, True
    connection = begin_pull(stack, registry)
    ingests = stack.folder / "cr" / "io.containerd.content.v1.content" / "ingest"
    while sum(data.stat().st_size > 100_000 for data in ingests.glob("*/data")) < 2:  # the first layer stops, too
        os.sched_yield()

    registry.pause_at = -1
    registry.go_on.set()
    lines = connection.getresponse().read().splitlines()
    connection.close()

    assert b"Downloaded newer image" in lines[-1]
    first, second = [headers.get("Range") for path, headers in registry.asked if path.endswith(large)]
    assert first is None
    assert 100_000 < int(str(second).removeprefix("bytes=").removesuffix("-")) <= 200_000
    assert stack.ask("DELETE", f"/images/{registry.host}/x:1")[0] == 200


@FEW
@given(
    status=st.sampled_from([200, 200, 200, 206, 301, 401, 403, 404, 416, 429, 500, 503]),
    headers=st.dictionaries(
        st.sampled_from(["WWW-Authenticate", "Location", "Content-Type", "Content-Encoding", "Docker-Content-Digest"]),
        st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=40),
        max_size=3,
    ),
    body=st.one_of(
        st.binary(max_size=60),
        st.recursive(
            st.none() | st.integers() | st.text(max_size=5),
            lambda inner: (
                st.lists(inner, max_size=3)
                | st.dictionaries(
                    st.sampled_from(["errors", "code", "manifests", "layers", "config", "digest", "token"]), inner
                )
            ),
            max_leaves=8,
        ).map(lambda document: json.dumps(document).encode()),
    ),
    where=st.sampled_from(["/v2/", "/manifests/", "/blobs/"]),
)
def test_nonsense_of_a_registry_is_an_error_of_the_pull(
    stack: ImageStack,
    registry: FakeRegistry,
    status: int,
    headers: dict[str, str],
    body: bytes,
    where: str,
) -> None:
    """Whatever comes instead of an answer: one sentence, no image, and nothing in the store."""
    image = build(layer_of({"a": b"a"}))
    registry.images["x:1"] = image
    registry.answer = lambda path, _: (status, headers, body) if path.endswith(where) or where in path[4:] else None
    before = stack.store()

    said = stack.pull(f"{registry.host}/x")

    assert "internal error" not in said
    if said == "":
        assert stack.ask("DELETE", f"/images/{registry.host}/x:1")[0] == 200
    assert stack.store() == before


def damaged(document: dict[str, Any], path: list[str], value: Any) -> dict[str, Any]:
    """The document with another value somewhere in it."""
    copy = json.loads(json.dumps(document))
    here = copy
    for key in path[:-1]:
        here = here[key] if isinstance(here, dict) else here[0]
    if isinstance(here, dict):
        here[path[-1]] = value
    return copy  # type: ignore[no-any-return]


@FEW
@given(
    path=st.sampled_from(
        [["config"], ["config", "digest"], ["config", "size"], ["config", "mediaType"], ["layers"]]
        + [["layers", "0", key] for key in ("digest", "size", "mediaType")]
        + [["mediaType"], ["schemaVersion"]]
    ),
    value=st.one_of(
        st.none(),
        st.integers(-5, 2**70),
        st.booleans(),
        st.sampled_from(["", "sha256:", f"sha256:{'0' * 64}", "sha256:../../../../etc/passwd", "md5:1", "../../x"]),
        st.lists(st.none(), max_size=2),
        st.just({}),
    ),
)
def test_damaged_manifest_is_an_error_of_the_pull(
    stack: ImageStack, registry: FakeRegistry, path: list[str], value: Any
) -> None:
    """A manifest with one wrong value: one sentence, or the image if the value does not matter."""
    image = build(layer_of({"a": b"a"}))
    manifest = json.loads(image.blobs[image.target["digest"]])
    image.target = image.put("x", json.dumps(damaged(manifest, path, value)).encode())
    kind = {"Content-Type": "application/vnd.oci.image.manifest.v1+json"}
    registry.images["x:1"] = image
    registry.answer = lambda path, _: (
        (200, kind, image.blobs[image.target["digest"]]) if "/manifests/" in path else None
    )
    before = stack.store()

    said = stack.pull(f"{registry.host}/x")

    assert "internal error" not in said
    if said == "":
        assert stack.ask("DELETE", f"/images/{registry.host}/x:1")[0] == 200
    assert stack.store() == before


def docker_archive(image: Image) -> bytes:
    """The image as `docker save` of an old dockerd has it."""
    manifest = json.loads(image.blobs[image.target["digest"]])
    names = {layer["digest"]: f"{layer['digest'][7:]}/layer.tar" for layer in manifest["layers"]}
    entry = {"Config": "config.json", "RepoTags": ["loaded:1"], "Layers": list(names.values())}
    files = {"config.json": image.blobs[image.id]} | {name: image.blobs[digest] for digest, name in names.items()}
    return archive(files | {"manifest.json": json.dumps([entry]).encode()})


def archive(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


@FEW
@given(
    damage=st.lists(st.tuples(st.integers(0, 2**16), st.integers(0, 255)), max_size=6),
    cut=st.one_of(st.none(), st.integers(0, 2**14)),
)
def test_damaged_archive_is_an_error_of_the_load(
    stack: ImageStack, damage: list[tuple[int, int]], cut: int | None
) -> None:
    """Bytes changed or cut off: one sentence, or an image; nothing in the store that no image needs."""
    data = bytearray(docker_archive(build(layer_of({"a": b"a"}), compress=bytes, kind="")))
    for position, value in damage:
        data[position % len(data)] = value
    before = stack.store()

    status, lines = stack.lines("POST", "/images/load?quiet=1", bytes(data[:cut]))

    assert status == 200
    assert not any("internal error" in str(line) for line in lines)
    for one in stack.ask("GET", "/images/json")[1]:
        if "hostbox:latest" not in (one["RepoTags"] or []):
            assert stack.ask("DELETE", f"/images/{one['Id']}?force=1")[0] == 200
    assert stack.store() == before


@pytest.mark.parametrize(
    ("files", "complaint"),
    [
        ({}, "does not contain a manifest.json"),
        ({"manifest.json": b"{"}, "manifest.json"),
        ({"manifest.json": b"7"}, "a manifest lacks"),
        ({"manifest.json": b'[{"Layers":[]}]'}, "'Config'"),
        ({"manifest.json": b'[{"Config":"../../../../etc/passwd","Layers":[]}]'}, "no file ../../../../etc/passwd"),
        ({"manifest.json": b'[{"Config":"c","Layers":["/etc/passwd"]}]', "c": b"{}"}, "no file /etc/passwd"),
        ({"manifest.json": b'[{"Config":"c","Layers":null,"RepoTags":["UP"]}]', "c": b"{}"}, "must be lowercase"),
        ({"manifest.json": b'[{"Config":"c","Layers":["l"]}]', "c": b"{}", "l": b""}, "layers length mismatch"),
        ({"oci-layout": b"{}", "index.json": b'{"manifests":[{"digest":"sha256:../../x"}]}'}, "no file"),
    ],
)
def test_archive_that_makes_no_sense_is_refused(stack: ImageStack, files: dict[str, bytes], complaint: str) -> None:
    """What is missing is named; names only look things up in the archive."""
    before = stack.store()

    _, lines = stack.lines("POST", "/images/load?quiet=1", archive(files))

    assert complaint in lines[-1]["error"]
    assert stack.store() == before


def test_layer_that_the_config_does_not_name_is_refused(stack: ImageStack) -> None:
    """The archive's layer is another than that of which the config has the digest."""
    layer = layer_of({"a": b"a"})
    config = json.dumps({"os": "linux", "rootfs": {"type": "layers", "diff_ids": [f"sha256:{'1' * 64}"]}}).encode()
    manifest = b'[{"Config":"c","Layers":["l"],"RepoTags":["wrong:1"]}]'
    before = stack.store()

    _, lines = stack.lines("POST", "/images/load", archive({"manifest.json": manifest, "c": config, "l": layer}))

    assert f'expected "sha256:{"1" * 64}", got "{digest_of(layer)}"' in lines[-1]["error"]
    assert stack.store() == before


def test_upload_that_breaks_off_leaves_nothing(stack: ImageStack) -> None:
    """A client that dies in the middle of `docker load`."""
    before = stack.store()
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(stack.socket)
        client.sendall(b"POST /images/load HTTP/1.1\r\nHost: d\r\nContent-Length: 1000000\r\n\r\n" + b"x" * 5000)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    assert stack.ask("GET", "/version")[0] == 200
    assert stack.store() == before


def test_old_archives_with_links_between_layers_are_loaded(stack: ImageStack) -> None:
    """Docker before 1.10 wrote a layer that occurs twice once, and a link for the second."""
    layer = layer_of({"a": b"a"})
    diff_ids = [digest_of(layer)] * 2
    config = json.dumps({"os": "linux", "rootfs": {"type": "layers", "diff_ids": diff_ids}}).encode()
    manifest = b'[{"Config":"c","Layers":["one/layer.tar","two/layer.tar"],"RepoTags":["twice:1"]}]'
    buffer = io.BytesIO(archive({"manifest.json": manifest, "c": config, "one/layer.tar": layer}))
    with tarfile.open(fileobj=buffer, mode="a") as tar:
        link = tarfile.TarInfo("two/layer.tar")
        link.type, link.linkname = tarfile.SYMTYPE, "../one/layer.tar"
        tar.addfile(link)

    _, lines = stack.lines("POST", "/images/load", buffer.getvalue())

    assert lines[-1] == {"stream": "Loaded image: twice:1\n"}
    assert stack.ask("DELETE", "/images/twice:1")[0] == 200


def test_spools_are_not_to_be_seen(stack: ImageStack, tmp_path: Path) -> None:
    """The archive that comes in is a file without a name."""
    assert stack.store()["spools"] == set()
