"""Volumes through the real docker CLI: what a new one begins with, what may be said of one; dockerd first, then ours.

The image `seed` is hostbox with a directory /data of every kind of file, and odd owners, modes and times.
"""

import asyncio
import functools
import io
import json
import shutil
import subprocess
import tarfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from runtime.daemon import hostbox
from runtime.daemon.image_content import digest_of
from tests.swap.test_docker_cli import BINARIES, Case, Engine, image_archive, load_cases, plain, stack_up

pytestmark = [pytest.mark.root, pytest.mark.swap, pytest.mark.slow]

CASES = load_cases("docker_cli_volumes.toml")
CLEAN = "docker rm -f $(docker ps -aq); docker volume rm $(docker volume ls -q)"
TREE: dict[str, tuple[bytes, int, int, int, str]] = {
    "data": (tarfile.DIRTYPE, 0o2750, 1000, 2000, ""),
    "data/absolute": (tarfile.SYMTYPE, 0o777, 0, 0, "/data/one"),
    "data/device": (tarfile.CHRTYPE, 0o620, 0, 5, ""),
    "data/fifo": (tarfile.FIFOTYPE, 0o644, 7, 8, ""),
    "data/one": (tarfile.REGTYPE, 0o640, 33, 44, ""),
    "data/same": (tarfile.LNKTYPE, 0o640, 33, 44, "data/one"),
    "data/sub": (tarfile.DIRTYPE, 0o700, 1, 1, ""),
    "data/sub/two": (tarfile.REGTYPE, 0o4711, 0, 0, ""),
    "empty": (tarfile.DIRTYPE, 0o1777, 5, 6, ""),
    "file": (tarfile.REGTYPE, 0o644, 0, 0, ""),
    "link": (tarfile.SYMTYPE, 0o777, 0, 0, "/data/sub/.."),
}
"""Name -> kind, mode, owner, group, and where a link leads to."""


def seed_archive() -> bytes:
    """The image `seed` in `docker load` form."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, (kind, mode, uid, gid, link) in TREE.items():
            entry = tarfile.TarInfo(name)
            entry.type, entry.mode, entry.uid, entry.gid, entry.linkname = kind, mode, uid, gid, link
            entry.devmajor, entry.devminor, entry.mtime = 1, 3, 978307200
            content = f"{name}\n".encode() if kind == tarfile.REGTYPE else b""
            entry.size = len(content)
            if name == "data/sub/two":  # not a hard link: that takes the capabilities away again under dockerd
                entry.pax_headers = {"SCHILY.xattr.security.capability": "\x01\x00\x00\x02\x00\x04" + "\x00" * 14}
            tar.addfile(entry, io.BytesIO(content))
    layer = buffer.getvalue()
    built = asyncio.run(hostbox.build())
    config = json.loads(built.config)
    config["rootfs"]["diff_ids"].append(digest_of(layer))
    config["history"].append({"created_by": "seed"})
    return image_archive("seed:latest", json.dumps(config).encode(), [*built.layers, layer])


@pytest.fixture(scope="module")
def engines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Engine]]:
    """Each daemon, with the image, from when it is first asked for until the last test."""
    missing = [name for name in BINARIES if shutil.which(name) is None]
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)}")
    archive = seed_archive()

    def engine(seat: str) -> Engine:
        engine = up.enter_context(stack_up(seat, tmp_path_factory.mktemp("volumes")))
        subprocess.run(["docker", "-H", engine.host, "load"], input=archive, check=True, capture_output=True)
        return engine

    with ExitStack() as up:
        yield functools.cache(engine)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
@pytest.mark.parametrize("seat", ["dockerd", "ours"])
def test_docker_cli_does_the_same_with_volumes(engines: Callable[[str], Engine], seat: str, case: Case) -> None:
    """Exit code, output and complaints are those of the real dockerd."""
    engine = engines(seat)

    done = engine.run(case.script, case.stdin)
    engine.run(CLEAN)

    assert (case.code, case.out, case.err) == (done.returncode, plain(done.stdout), plain(done.stderr))
