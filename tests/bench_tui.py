"""Measures the screen on a recording of 1,000,000 events: time to read it, memory, and time a frame while scrolling.

    python tests/bench_tui.py [EVENTS]

Limits (issue 2): at most 50 ms a frame, at most 600 MB. It is run by `make bench` and is no test: its numbers depend on
the machine. Exit status 1 where a limit is broken.
"""

import asyncio
import resource
import statistics
import sys
import tempfile
import time
from pathlib import Path

from tests.tui.story import many_calls
from tracer.session.replay import ReplaySession
from tracer.tui.app import GlassbottomApp
from tracer.tui.screens.trace import TraceScreen

FRAME_MS = 50.0
MEMORY_MB = 600.0
FRAMES = 60


async def measure(path: Path) -> tuple[float, float, list[float], list[float]]:
    """Seconds until the screen first shows rows, until all is read; milliseconds a frame scrolling, and by key."""
    began = time.perf_counter()
    app = GlassbottomApp(ReplaySession(str(path)))
    async with app.run_test(size=(160, 45)) as pilot:
        await pilot.pause()
        shown = time.perf_counter() - began
        await app.workers.wait_for_complete()
        read = time.perf_counter() - began
        screen = app.screen
        assert isinstance(screen, TraceScreen)
        await pilot.press("end", "4", "z")
        await pilot.pause()
        calls = screen.calls
        step = max(1, calls.row_count() // FRAMES)
        scrolled = []
        for frame in range(FRAMES):
            start = time.perf_counter()
            calls.scroll_to(y=frame * step, animate=False, force=True, immediate=True)
            screen._compositor.render_strips()  # the whole screen, as after a resize: more than a scroll needs
            scrolled.append((time.perf_counter() - start) * 1000)
        moved = []
        for _ in range(FRAMES):
            start = time.perf_counter()
            calls.action_page(-1)
            screen._compositor.render_strips()
            moved.append((time.perf_counter() - start) * 1000)
            await asyncio.sleep(0)
    app.session.quit()
    return shown, read, scrolled, moved


def main() -> int:
    """Make the recording, measure, compare with the limits."""
    events = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    with tempfile.TemporaryDirectory(prefix="glassbottom-bench-") as folder:
        path = Path(folder) / "many.jsonl"
        with path.open("w") as file:
            file.writelines(many_calls(events))
        shown, read, scrolled, moved = asyncio.run(measure(path))
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"events            {events:,}")
    print(f"first rows        {shown:6.2f} s")
    print(f"all read          {read:6.2f} s")
    print(f"scroll, a frame   {statistics.median(scrolled):6.1f} ms median, {max(scrolled):.1f} ms worst")
    print(f"page up, a frame  {statistics.median(moved):6.1f} ms median, {max(moved):.1f} ms worst")
    print(f"memory            {memory:6.0f} MB")
    slow = max(statistics.median(scrolled), statistics.median(moved))
    return 1 if slow > FRAME_MS or memory > MEMORY_MB else 0


if __name__ == "__main__":
    sys.exit(main())
