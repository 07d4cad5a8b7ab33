"""skopeo at the other end: it reads what our daemon saves, and our daemon loads what it writes."""

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.registries import build, busybox_layer, docker_registry, layer_of
from tests.swap.test_images import Engine, up

pytestmark = [pytest.mark.root, pytest.mark.swap, pytest.mark.slow]


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """The built-in stack."""
    missing = [name for name in ("docker", "docker-registry", "skopeo", "busybox") if shutil.which(name) is None]
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)}")
    with up("ours", tmp_path_factory.mktemp("skopeo")) as one:
        yield one


def test_skopeo_reads_what_is_saved_in_both_layouts(engine: Engine, tmp_path: Path) -> None:
    """One archive is an OCI layout, with the manifest's own digest, and a docker-archive."""
    archive = str(tmp_path / "a.tar")
    image = build(busybox_layer(), layer_of({"etc/top": b"top"}))
    with docker_registry(tmp_path / "r") as registry:
        registry.push(image, "x:1", tmp_path)
        engine.must("pull", f"{registry.host}/x:1")
        engine.must("tag", f"{registry.host}/x:1", "saved:1")
    engine.must("save", "-o", archive, "saved:1")

    layout = _skopeo_inspect(f"oci-archive:{archive}:1")
    docker_archive = _skopeo_inspect(f"docker-archive:{archive}:docker.io/library/saved:1")

    assert layout["Digest"] == image.target["digest"]
    assert len(layout["Layers"]) == len(docker_archive["Layers"]) == 2


def _skopeo_inspect(name: str) -> dict[str, Any]:
    done = subprocess.run(["skopeo", "inspect", name], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    document: dict[str, Any] = json.loads(done.stdout)
    return document


@pytest.mark.parametrize("compression", ["gzip", "zstd"])
def test_layouts_made_by_skopeo_are_loaded(engine: Engine, tmp_path: Path, compression: str) -> None:
    """An OCI archive of layers in gzip or zstd (which dockerd 20.10 does not know)."""
    source = build(busybox_layer(name=b"from skopeo"), compress=bytes, kind="").write_layout(tmp_path / "layout", "x")
    target = f"oci-archive:{tmp_path}/a.tar:made:1"
    options = ["--insecure-policy", "copy", "--quiet", "--dest-compress-format", compression]
    subprocess.run(["skopeo", *options, source, target], check=True, capture_output=True)

    said = engine.must("load", "-i", str(tmp_path / "a.tar"))

    assert said == "Loaded image: made:1\n"
    assert engine.must("run", "--rm", "--net", "none", "made:1", "cat", "/etc/name") == "from skopeo"
