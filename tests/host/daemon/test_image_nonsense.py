"""Whatever a registry or an archive says instead of an image: one sentence, and nothing in the store."""

import io
import json
import socket
import struct
import tarfile
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.host.daemon.conftest import ImageStack
from tests.registries import FakeRegistry, Image, build, digest_of, layer_of

pytestmark = [pytest.mark.root, pytest.mark.slow]

FEW = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


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
    image_stack: ImageStack,
    fake_registry: FakeRegistry,
    status: int,
    headers: dict[str, str],
    body: bytes,
    where: str,
) -> None:
    """Whatever comes instead of an answer: one sentence, no image, and nothing in the store."""
    image = build(layer_of({"a": b"a"}))
    fake_registry.images["x:1"] = image
    fake_registry.answer = lambda path, _: (
        (status, headers, body) if path.endswith(where) or where in path[4:] else None
    )
    before = image_stack.store()

    said = image_stack.pull(f"{fake_registry.host}/x")

    assert "internal error" not in said
    if said == "":
        assert image_stack.ask("DELETE", f"/images/{fake_registry.host}/x:1")[0] == 200
    assert image_stack.store() == before


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
    image_stack: ImageStack, fake_registry: FakeRegistry, path: list[str], value: Any
) -> None:
    """A manifest with one wrong value: one sentence, or the image if the value does not matter."""
    image = build(layer_of({"a": b"a"}))
    manifest = json.loads(image.blobs[image.target["digest"]])
    image.target = image.put("x", json.dumps(damaged(manifest, path, value)).encode())
    kind = {"Content-Type": "application/vnd.oci.image.manifest.v1+json"}
    fake_registry.images["x:1"] = image
    fake_registry.answer = lambda path, _: (
        (200, kind, image.blobs[image.target["digest"]]) if "/manifests/" in path else None
    )
    before = image_stack.store()

    said = image_stack.pull(f"{fake_registry.host}/x")

    assert "internal error" not in said
    if said == "":
        assert image_stack.ask("DELETE", f"/images/{fake_registry.host}/x:1")[0] == 200
    assert image_stack.store() == before


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
    image_stack: ImageStack, damage: list[tuple[int, int]], cut: int | None
) -> None:
    """Bytes changed or cut off: one sentence, or an image; nothing in the store that no image needs."""
    data = bytearray(docker_archive(build(layer_of({"a": b"a"}), compress=bytes, kind="")))
    for position, value in damage:
        data[position % len(data)] = value
    before = image_stack.store()

    status, lines = image_stack.lines("POST", "/images/load?quiet=1", bytes(data[:cut]))

    assert status == 200
    assert not any("internal error" in str(line) for line in lines)
    for one in image_stack.ask("GET", "/images/json")[1]:
        if "hostbox:latest" not in (one["RepoTags"] or []):
            assert image_stack.ask("DELETE", f"/images/{one['Id']}?force=1")[0] == 200
    assert image_stack.store() == before


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
def test_archive_that_makes_no_sense_is_refused(
    image_stack: ImageStack, files: dict[str, bytes], complaint: str
) -> None:
    """What is missing is named; names only look things up in the archive."""
    before = image_stack.store()

    _, lines = image_stack.lines("POST", "/images/load?quiet=1", archive(files))

    assert complaint in lines[-1]["error"]
    assert image_stack.store() == before


def test_layer_that_the_config_does_not_name_is_refused(image_stack: ImageStack) -> None:
    """The archive's layer is another than that of which the config has the digest."""
    layer = layer_of({"a": b"a"})
    config = json.dumps({"os": "linux", "rootfs": {"type": "layers", "diff_ids": [f"sha256:{'1' * 64}"]}}).encode()
    manifest = b'[{"Config":"c","Layers":["l"],"RepoTags":["wrong:1"]}]'
    before = image_stack.store()

    _, lines = image_stack.lines("POST", "/images/load", archive({"manifest.json": manifest, "c": config, "l": layer}))

    assert f'expected "sha256:{"1" * 64}", got "{digest_of(layer)}"' in lines[-1]["error"]
    assert image_stack.store() == before


def test_upload_that_breaks_off_leaves_nothing(image_stack: ImageStack) -> None:
    """A client that dies in the middle of `docker load`."""
    before = image_stack.store()
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(image_stack.socket)
        client.sendall(b"POST /images/load HTTP/1.1\r\nHost: d\r\nContent-Length: 1000000\r\n\r\n" + b"x" * 5000)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    assert image_stack.ask("GET", "/version")[0] == 200
    assert image_stack.store() == before


def test_old_archives_with_links_between_layers_are_loaded(image_stack: ImageStack) -> None:
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

    _, lines = image_stack.lines("POST", "/images/load", buffer.getvalue())

    assert lines[-1] == {"stream": "Loaded image: twice:1\n"}
    assert image_stack.ask("DELETE", "/images/twice:1")[0] == 200
