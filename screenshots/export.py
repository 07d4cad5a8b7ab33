"""Drives the app over a recording and writes what it shows: SVG always, PNG where rsvg-convert is installed.

    python screenshots/export.py                    the bundled recording -> screenshots/*.svg, *.png
    python screenshots/export.py FILE --out DIR     any other recording

The same keys as a person would press, in the same app; nothing is drawn for the occasion. Two sizes: 160x45, where all
panes fit, and 80x24.
"""

import argparse
import asyncio
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from textual.pilot import Pilot

from tracer.codec import RecordingError
from tracer.session.replay import ReplaySession
from tracer.tui.app import GlassbottomApp

HERE = Path(__file__).resolve().parent
RECORDINGS = HERE.parent / "lessons" / "010_docker_run"
SIZES = ((160, 45), (80, 24))
PNG_WIDTH = {160: 1600, 80: 960}


@dataclass(frozen=True)
class Shot:
    """One picture: where in the story, what is pressed there, and what is pressed to be back."""

    name: str
    stage: str
    """A word of the stage's id; empty for the first stage."""
    keys: tuple[str, ...] = ()
    back: tuple[str, ...] = ()


SHOTS = (
    Shot("first-pause", ""),
    Shot("help", "", ("question_mark",), ("escape",)),
    Shot("request", "client-asks-create", ("1", "enter"), ("escape", "4")),
    Shot("pivot", "root-pivoted"),
    Shot("calls", "root-pivoted", ("z",), ("z",)),
    Shot("shell", "container-exits", ("6",), ("4",)),
    Shot("numbers", "container-exits", ("i",), ("i",)),
)
"""In the order of the story: the app is opened once for each size, and stepped on."""


async def export(path: Path, out: Path) -> list[Path]:
    """Take every shot in every size; the files written."""
    written = []
    for width, height in SIZES:
        app = GlassbottomApp(ReplaySession(str(path)))
        async with app.run_test(size=(width, height)) as pilot:
            await app.workers.wait_for_complete()
            await pilot.pause()
            for shot in SHOTS:
                await _go_to(pilot, app, shot.stage)
                await _press(pilot, shot.keys)
                await app.workers.wait_for_complete()
                await pilot.pause()
                target = out / f"{shot.name}-{width}x{height}.svg"
                target.write_text(app.export_screenshot(title="glassbottom"), encoding="utf-8")
                written.append(target)
                await _press(pilot, shot.back)
        app.session.quit()
    return written


async def _press(pilot: Pilot[int], keys: Sequence[str]) -> None:
    for key in keys:
        await pilot.press(key)
        await pilot.pause()


async def _go_to(pilot: Pilot[int], app: GlassbottomApp, word: str) -> None:
    """Step to the first stage whose id has the word in it, as a person would: with the step key."""
    while word and (stage := app.model.stage_at(app.view.cursor)) is not None and word not in stage.stage:
        before = app.view.cursor
        await _press(pilot, ("space",))
        if app.view.cursor == before:
            return


def to_png(svg: Path, converter: str) -> None:
    """Turn one SVG into a PNG beside it."""
    width = PNG_WIDTH[int(svg.stem.rsplit("-", 1)[1].split("x")[0])]
    drawn = _without_leading_spaces(svg.read_text(encoding="utf-8"))
    target = svg.with_suffix(".png")
    subprocess.run([converter, "-w", str(width), "-o", str(target)], input=drawn.encode(), check=True)


def _without_leading_spaces(svg: str) -> str:
    """Move texts that begin with spaces to where their first letter is: librsvg drops the spaces, not the place."""

    def moved(match: re.Match[str]) -> str:
        x, between, length, rest, spaces, text = match.groups()
        count = spaces.count("&")
        width = float(length) / (count + len(re.sub(r"&[^;]+;", "x", text)))
        return f'x="{float(x) + count * width:.1f}"{between}{rest}>{text}</text>'

    return re.sub(r'x="([\d.]+)"( y="[\d.]+") textLength="([\d.]+)"([^>]*)>((?:&#160;)+)([^<]+)</text>', moved, svg)


def main(arguments: Sequence[str] | None = None) -> int:
    """Export, and say what was written."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recording", nargs="?", help="a recording (default: the first lesson's)")
    parser.add_argument("--out", default=str(HERE), metavar="DIR", help="where to write (default: screenshots/)")
    options = parser.parse_args(arguments)
    found = [Path(options.recording)] if options.recording else sorted(RECORDINGS.glob("recording.jsonl*"))
    if not found:
        print("there is no bundled recording yet; name one", file=sys.stderr)
        return 1
    Path(options.out).mkdir(parents=True, exist_ok=True)
    try:
        written = asyncio.run(export(found[0], Path(options.out)))
    except RecordingError as error:
        print(error, file=sys.stderr)
        return 1
    converter = shutil.which("rsvg-convert")
    if converter is None:
        print("rsvg-convert is not installed (Debian: librsvg2-bin): only SVG was written", file=sys.stderr)
    for svg in written:
        print(svg)
        if converter is not None:
            to_png(svg, converter)
    return 0


if __name__ == "__main__":
    sys.exit(main())
