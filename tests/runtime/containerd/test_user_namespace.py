"""Rootless: the same snapshots and layers as root of a user namespace only, on one mapped id."""

import io
import json
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import pytest

INSIDE = """
import asyncio, json, os, stat, subprocess, sys
from runtime.containerd import mounts
from runtime.containerd.archive.apply import apply_layer
from runtime.containerd.archive.stream import LayerStream
from runtime.containerd.archive.whiteouts import OverlayWhiteouts
from runtime.containerd.errors import ContainerdError
from runtime.containerd.metadata import Metadata
from runtime.containerd.snapshots.overlayfs import Overlayfs
from runtime.containerd.snapshots.snapshotter import ACTIVE, Snapshotter

async def main(directory):
    found = {"inside": mounts.in_user_namespace(), "problem": mounts.overlay_problem(directory)}
    snapshotter = Snapshotter(Overlayfs(directory), directory + "/o", Metadata(directory + "/m"))
    snapshotter.sweep()
    first = await snapshotter.prepare("ns", "k", "", ACTIVE, {})
    with open(first[0].source + "/hidden", "w"), open(first[0].source + "/shown", "w"):
        pass
    snapshotter.commit("ns", "l", "k", {})
    second = await snapshotter.prepare("ns", "k2", "l", ACTIVE, {})
    options = dict(o.partition("=")[::2] for o in second[0].options)
    for name in ("layer", "foreign"):
        try:
            stream = LayerStream(os.open(f"{directory}/{name}", os.O_RDONLY))
            await apply_layer(stream, options["upperdir"], OverlayWhiteouts(), options["lowerdir"].split(":"))
        except ContainerdError as error:
            found[name] = str(error)
    found["options"] = list(second[0].options)
    os.mkdir(directory + "/merged")
    mounts.mount("overlay", directory + "/merged", "overlay", ",".join(second[0].options))
    found["seen"] = sorted(os.listdir(directory + "/merged"))
    mounts.unmount_all(directory + "/merged")
    print(json.dumps(found))

asyncio.run(main(sys.argv[1]))
"""


def layer(*entries: tuple[str, bytes, int]) -> bytes:
    """A tar of names, types and owners."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, kind, owner in entries:
            info = tarfile.TarInfo(name)
            info.type, info.uid, info.gid = kind, owner, owner
            tar.addfile(info)
    return buffer.getvalue()


@pytest.mark.slow
def test_overlay_and_whiteouts_work_for_the_root_of_a_user_namespace(tmp_path: Path, require: Any) -> None:
    """A hidden file is hidden, by `userxattr`; a device is left out, an owner without a mapping refused, in words."""
    require("unshare")
    probe = subprocess.run(["unshare", "-Urm", "true"], capture_output=True, text=True, check=False)
    if probe.returncode != 0:
        pytest.skip(f"user namespaces cannot be made here: {probe.stderr.strip()}")
    (tmp_path / "layer").write_bytes(layer((".wh.hidden", tarfile.REGTYPE, 0), ("null", tarfile.CHRTYPE, 0)))
    (tmp_path / "foreign").write_bytes(layer(("owned", tarfile.REGTYPE, 4321)))

    done = subprocess.run(
        ["unshare", "-Urm", sys.executable, "-c", INSIDE, str(tmp_path)], capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["inside"]
    assert found["problem"] == ""
    assert "userxattr" in found["options"]
    assert found["seen"] == ["owned", "shown"]
    assert "device node null is left out: it cannot be made in a user namespace" in done.stderr
    assert 'failed to unpack "owned": invalid argument (owner 4321:4321 may not be mapped' in found["foreign"]
