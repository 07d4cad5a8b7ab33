"""The default image: the same bytes each time, and everything a program needs to run in it."""

import io
import json
import shutil
import subprocess
import tarfile
from datetime import UTC, datetime
from pathlib import Path

import pytest

from runtime.daemon import hostbox, library_search
from runtime.daemon.elf import read_elf
from runtime.daemon.image_content import digest_of
from runtime.daemon.image_import import BuiltImage


def names(layer: bytes) -> set[str]:
    with tarfile.open(fileobj=io.BytesIO(layer)) as tar:
        return set(tar.getnames())


@pytest.fixture
def _no_busybox(monkeypatch: pytest.MonkeyPatch) -> None:
    found = shutil.which
    monkeypatch.setattr(shutil, "which", lambda name, path=None: None if name == "busybox" else found(name, path=path))


async def test_hostbox_is_the_same_twice() -> None:
    """Equal input gives equal digests: nothing of the moment goes in."""
    assert await hostbox.build() == await hostbox.build()


async def test_hostbox_is_as_old_as_the_newest_file_in_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """A date that says something and is the same tomorrow; SOURCE_DATE_EPOCH sets another."""
    by_itself = json.loads((await hostbox.build()).config)["created"]
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    as_told = json.loads((await hostbox.build()).config)["created"]

    assert "2010" < by_itself < datetime.now(UTC).isoformat()
    assert "2023-11-14T22:13:20Z" == as_told


async def test_hostbox_config_names_its_layers(require: object) -> None:
    """Two layers, named by their digests; its os-release says what it is."""
    image: BuiltImage = await hostbox.build()

    config = json.loads(image.config)
    assert [digest_of(layer) for layer in image.layers] == config["rootfs"]["diff_ids"]
    assert {"etc/passwd", "etc/os-release", "etc/hosts"} <= names(image.layers[1])
    assert {"bin/sh", "tmp", "proc", "etc"} <= names(image.layers[0]) | {"etc"}


@pytest.mark.slow
@pytest.mark.root
@pytest.mark.usefixtures("_no_busybox")
async def test_hostbox_without_busybox_runs_by_itself(tmp_path: Path) -> None:
    """sh and coreutils with their libraries: chroot into nothing but the image, and they work."""
    image = await hostbox.build()
    for layer in image.layers:
        with tarfile.open(fileobj=io.BytesIO(layer)) as tar:
            tar.extractall(tmp_path, filter="fully_trusted")

    done = subprocess.run(
        ["chroot", str(tmp_path), "/bin/sh", "-c", "ls / | head -1; id -un; env | grep -c PATH"],
        capture_output=True,
        text=True,
        env={"PATH": hostbox.PATH},
    )

    assert ("bin\nroot\n1\n", "") == (done.stdout, done.stderr)


def test_elf_needs_are_those_that_the_loader_reports() -> None:
    """Our reader finds every library that a dynamic program of this host maps."""
    needed = library_search.needed_files("/bin/sh")

    assert "/bin/sh" == needed[0]
    elf = read_elf(Path("/bin/sh").read_bytes())
    assert elf
    assert elf.interpreter in needed
    assert all(any(path.endswith(f"/{name}") for path in needed) for name in elf.needed)


@pytest.mark.parametrize("data", [b"", b"\x7fELF", b"#!/bin/sh\n", b"\x7fELF\x02\x01" + b"\xff" * 80])
def test_elf_reader_takes_no_offence_at_other_files(data: bytes) -> None:
    """Not ELF, cut short, or nonsense: None."""
    assert read_elf(data) is None
