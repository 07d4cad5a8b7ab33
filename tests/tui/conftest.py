"""The app over the generated recording, read to its end; and the command on a pty, which leaves nothing behind."""

import shutil
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest
from textual.pilot import Pilot

from tests.tui.story import Story, docker_run
from tests.tui.watched import Starter, Watched, programs_of
from tracer.cleanup import cleanup_stack
from tracer.session.replay import ReplaySession
from tracer.stack import load
from tracer.tui.app import GlassbottomApp
from tracer.tui.screens.trace import TraceScreen

Opened = tuple[Pilot[int], TraceScreen]
Opener = Callable[..., AbstractAsyncContextManager[Opened]]


@pytest.fixture(name="opened")
def _opened(tmp_path: Path) -> Opener:
    """Open a story (or a file) in a terminal of some size."""

    @asynccontextmanager
    async def opened(
        size: tuple[int, int] = (160, 45), story: Story | None = None, path: Path | None = None
    ) -> AsyncIterator[Opened]:
        file = path or (story or docker_run()).write(tmp_path / "story.jsonl")
        app = GlassbottomApp(ReplaySession(str(file)))
        async with app.run_test(size=size) as pilot:
            await app.workers.wait_for_complete()
            await pilot.pause()
            screen = app.screen
            assert isinstance(screen, TraceScreen)
            yield pilot, screen
        app.session.quit()

    return opened


@pytest.fixture
def start() -> Iterator[Starter]:
    """Start commands; afterwards none may have left anything, neither a file nor a process."""
    folder = Path(tempfile.mkdtemp(prefix="gb-", dir="/tmp"))
    started: list[Watched] = []

    def begin(words: tuple[str, ...], *, controlling: bool = True) -> Watched:
        started.append(Watched(words, folder, controlling=controlling))
        return started[-1]

    yield begin
    for one in started:
        one.process.kill()
        one.process.wait()
        if one.master >= 0:
            one.hang_up()
    left = [str(path) for path in folder.rglob("*")] + programs_of(folder)
    for registry in folder.glob("glassbottom/*/"):
        cleanup_stack(load(str(registry)))
    shutil.rmtree(folder)
    assert left == []


async def press(pilot: Pilot[int], *keys: str) -> None:
    """Press keys one after another, each answered before the next."""
    for key in keys:
        await pilot.press(key)
        await pilot.pause()
