"""The process tree as text, in the way of pstree(1), with what pstree cannot know: seats, inner pids, former programs.

├─ 4200 shim python -m runtime.shim start
│  └─ 4300→1 container sh (was python3)
"""

import signal
from collections.abc import Iterator

from tracer.model import NOBODY, Branch, Execution, Process, TraceModel
from tracer.stages.layers import Layer, recognise


def branch_lines(branch: Branch) -> str:
    """The lines before a process in the tree."""
    if branch.depth == 0:
        return ""
    above = "".join("   " if last else "│  " for last in branch.last[1:-1])
    return above + ("└─ " if branch.last[-1] else "├─ ")


def short_command(model: TraceModel, process: Process, cursor: int) -> str:
    """What it runs at the cursor, and what it ran before: `sh  (was glassbottom-oci)`."""
    execution = process.execution_at(cursor)
    if execution is None:
        parent = model.processes.all[process.parent] if process.parent != NOBODY else None
        forked = parent.execution_at(process.born) if parent else None
        if parent and forked is None:  # a fork of a fork
            return short_command(model, parent, process.born)
        return f"(fork of {_program(forked)})" if forked else "(attached)"
    was: list[str] = []
    for former in process.executions:
        name = _program(former)
        if former.sequence < execution.sequence and (not was or was[-1] != name):
            was.append(name)
    return _short_words(execution) + (f"  (was {', '.join(was)})" if was else "")


def _program(execution: Execution) -> str:
    seat = recognise(execution.path, execution.argv)
    if seat is not None:
        return seat.program
    return execution.argv[0].rsplit("/", 1)[-1] if execution.argv else execution.program


def _short_words(execution: Execution) -> str:
    """The program and what it was asked to do; options before the verb, which are paths mostly, are left out."""
    words = list(execution.argv) or [execution.program]
    seat = recognise(execution.path, execution.argv)
    if seat is None:
        return " ".join([_program(execution), *map(_short_word, words[1:])])
    has_verb = seat.layer in (Layer.CLIENT, Layer.SHIM, Layer.RUNTIME)
    rest = words[words.index(seat.verb) :] if has_verb and seat.verb in words else [seat.verb] * has_verb
    return " ".join([seat.program, *map(_short_word, rest)])


def _short_word(word: str) -> str:
    """A long path is its end, a container's id its first twelve letters."""
    end = word.rsplit("/", 1)[-1]
    end = end[:12] if len(end) == 64 and end.isalnum() else end[:24]
    return f"…/{end}" if len(word) > 28 and "/" in word else end if len(word) == 64 else word


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
        line = f"{before}{process.pid}{inner} {layer} {short_command(model, process, cursor)}"
        if (threads := process.threads_at(cursor)) > 1:
            line += f" [{threads} threads]"
        yield line if process.alive_at(cursor) else f"{line} [{describe_end(process)}]"
