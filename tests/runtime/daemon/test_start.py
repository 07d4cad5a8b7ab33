"""The daemon's start: the default image is built in time and once, and a socket is found however it appears."""

import asyncio
import socket
from pathlib import Path

import pytest

from runtime.daemon import default_image, hostbox
from runtime.daemon.default_image import DefaultImage
from runtime.daemon.errors import NotFoundError
from runtime.daemon.image_import import BuiltImage
from runtime.daemon.socket_watch import SocketWatch

IMAGE = BuiltImage((b"layer",), b"{}")


class Images:
    """Stands for the images that containerd knows: whether the default one is among them."""

    def __init__(self, *, has_it: bool) -> None:
        self._has_it = has_it

    async def find(self, name: str) -> None:
        if not self._has_it:
            raise NotFoundError(f"No such image: {name}")


class Work:
    """How often an image was built, and what was installed."""

    def __init__(self) -> None:
        self.begun = self.built = 0
        self.installed: list[BuiltImage] = []

    async def build(self) -> BuiltImage:
        self.begun += 1
        await asyncio.sleep(0)
        self.built += 1
        return IMAGE

    async def install(self, _installer: object, _name: str, image: BuiltImage) -> None:
        self.installed.append(image)


@pytest.fixture(name="work")
def _work(monkeypatch: pytest.MonkeyPatch) -> Work:
    work = Work()
    monkeypatch.setattr(hostbox, "build", work.build)
    monkeypatch.setattr(default_image, "install_built", work.install)
    return work


@pytest.mark.parametrize(
    ("first_start", "has_it", "begun_early", "built", "installed"),
    [(True, False, 1, 1, [IMAGE]), (False, False, 0, 1, [IMAGE]), (False, True, 0, 0, []), (True, True, 1, 1, [])],
)
async def test_default_image_is_built_once_where_it_is_missing(
    work: Work,
    tmp_path: Path,
    first_start: bool,
    has_it: bool,
    begun_early: int,
    built: int,
    installed: list[BuiltImage],
) -> None:
    """On a first start before anybody asks for it; later only when it has been asked for in vain."""
    image = DefaultImage(str(tmp_path / "new" if first_start else tmp_path))
    for _ in range(3):
        await asyncio.sleep(0)  # containerd is waited for
    early = work.begun
    await image.provide(Images(has_it=has_it), None)  # type: ignore[arg-type]
    image.close()

    assert (early, work.built, work.installed) == (begun_early, built, installed)


async def test_default_image_is_not_built_to_the_end_for_nobody(work: Work, tmp_path: Path) -> None:
    """The start failed meanwhile: no task is left, and no complaint of one."""
    image = DefaultImage(str(tmp_path / "new"))
    await asyncio.sleep(0)
    image.close()
    await asyncio.sleep(0)

    assert (work.begun, work.built) == (1, 0)
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_a_host_without_a_shell_is_no_reason_not_to_start(
    work: Work, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """There is no default image, and the log says why."""

    async def refuse() -> BuiltImage:
        raise hostbox.NoUserlandError("no shell")

    monkeypatch.setattr(hostbox, "build", refuse)
    image = DefaultImage(str(tmp_path / "new"))
    await image.provide(Images(has_it=False), None)  # type: ignore[arg-type]

    assert work.installed == []
    assert "no default image: no shell" in caplog.text


@pytest.mark.parametrize("how", ["bound", "linked", "there already"])
async def test_a_socket_is_found_however_it_appears(tmp_path: Path, how: str) -> None:
    """Bound under its name, or linked to when it listens elsewhere already."""
    path, elsewhere = tmp_path / "wanted.sock", tmp_path / "other"
    elsewhere.mkdir()
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)

    def appear() -> None:
        listener.bind(str(elsewhere / "real.sock" if how == "linked" else path))
        listener.listen()
        if how == "linked":
            path.symlink_to(elsewhere / "real.sock")
        path.chmod(0o660)

    with listener, SocketWatch() as watch:
        if how == "there already":
            appear()
        waiting = asyncio.ensure_future(watch.wait(str(path)))
        await asyncio.sleep(0.05)
        assert waiting.done() == (how == "there already")
        if how != "there already":
            appear()
        await asyncio.wait_for(waiting, 10)
