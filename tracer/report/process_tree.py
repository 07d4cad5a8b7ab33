"""The process tree as text, in the way of pstree(1), with what pstree cannot know: seats, inner pids, former programs.

├─ 4200 shim python -m runtime.shim start
│  └─ 4300→1 container sh (was python3)
"""

import signal
from collections.abc import Iterator

from tracer.model import Branch, Process, TraceModel


def branch_lines(branch: Branch) -> str:
    """The lines before a process in the tree."""
    if branch.depth == 0:
        return ""
    above = "".join("   " if last else "│  " for last in branch.last[1:-1])
    return above + ("└─ " if branch.last[-1] else "├─ ")


def short_command(process: Process, cursor: int) -> str:
    """What it runs at the cursor, and what it ran before: `sh (was python3)`."""
    execution = process.execution_at(cursor)
    if execution is None:
        return "(forked, no exec yet)" if process.how != "attached" else "(attached)"
    words = list(execution.argv) or [execution.program]
    words[0] = words[0].rsplit("/", 1)[-1]
    if words[0].startswith("python") and len(words) > 2 and words[1] == "-m":
        words[:2] = ["python -m"]
    was: list[str] = []
    for former in process.executions:
        name = former.argv[0].rsplit("/", 1)[-1] if former.argv else former.program
        if former.sequence < execution.sequence and (not was or was[-1] != name):
            was.append(name)
    return " ".join(words) + (f"  (was {', '.join(was)})" if was else "")


def describe_end(process: Process) -> str:
    """How it ended: `exit 0`, `SIGKILL`."""
    if process.signal is not None:
        try:
            return signal.Signals(process.signal).name
        except ValueError:
            return f"signal {process.signal}"
    return "ended" if process.exit_code is None else f"exit {process.exit_code}"


def tree_text(model: TraceModel, cursor: int, *, drawn: bool = True) -> Iterator[str]:
    """The tree at a moment, line by line; not drawn, only indented, for those who hear it."""
    for branch in model.processes.tree_at(cursor):
        process = branch.process
        inner = "".join(f"→{pid}" for pid in process.nspids_at(cursor)[1:])
        layer = process.layer_at(cursor) or "other"
        before = branch_lines(branch) if drawn else "  " * branch.depth
        line = f"{before}{process.pid}{inner} {layer} {short_command(process, cursor)}"
        if (threads := process.threads_at(cursor)) > 1:
            line += f" [{threads} threads]"
        yield line if process.alive_at(cursor) else f"{line} [{describe_end(process)}]"
