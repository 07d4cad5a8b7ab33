"""Wire speed: daemons are stopped only where they talk, and whatever they execute is watched whole."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from tests.engine.conftest import program
from tracer.events import NoteMade, ProcessExecuted, RecordingEnded, SyscallExited

if TYPE_CHECKING:
    from tests.engine.conftest import Session

Start = Callable[..., "Session"]
UNWATCHED = {"brk", "mmap", "munmap", "mprotect", "rt_sigaction", "getuid", "arch_prctl"}
"""What every program does on its way, and no stage or pane asks for."""


def test_wire_speed_watches_daemons_where_they_talk_and_all_others_whole(session: Start, tmp_path: Path) -> None:
    """Of the shell in the background no memory calls; of what it runs, and of the foreground, every call."""
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    daemon = program("sh", "-c", f"cat /etc/hostname > {fifo}; exec sleep 1000", label="daemon")

    run = session(["cat", str(fifo)], background=[daemon], speed="wire")
    assert run.finish() == 0

    assert run.header is not None
    names = {number: signature.name for number, signature in run.header.syscalls.items()}
    programs: dict[int, str] = {}
    calls: dict[str, set[str]] = {}
    for event in run.events:
        if isinstance(event, ProcessExecuted):
            programs[event.tid] = " ".join(event.argv)
        elif isinstance(event, SyscallExited):
            calls.setdefault(programs.get(event.tid, ""), set()).add(names[event.number])
    (note,) = [event for event in run.events if isinstance(event, NoteMade) and event.topic == "filtered"]
    assert run.header.mode == note.fields["speed"] == "wire"
    assert note.text.startswith("of daemon themselves, calls other than these")
    assert (calls[" ".join(daemon.argv)] | calls["sleep 1000"]) & UNWATCHED == set()
    assert {"brk", "mmap"} <= calls["cat /etc/hostname"]
    assert {"brk", "mmap"} <= calls[f"cat {fifo}"]
    assert isinstance(run.events[-1], RecordingEnded)
