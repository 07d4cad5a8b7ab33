"""Pane 3: who made whom. Pids outside and inside, seats, what each became by execve(2), and how it ended."""

from collections.abc import Sequence

from tracer.model import Branch, Link, Process
from tracer.report.process_tree import branch_lines, describe_end, short_command
from tracer.tui.widgets.event_log import EventLog, Piece


class ProcessTree(EventLog):
    """One line a process; its threads are a number."""

    BORDER_TITLE = "3 processes"
    empty = "no process yet"

    _branches: Sequence[Branch] = ()
    hidden: frozenset[int] = frozenset()
    """Indexes of the processes whose children are folded away."""

    def row_count(self) -> int:
        self._branches = list(self.view.model.processes.tree_at(self.view.cursor, self.hidden))
        return len(self._branches)

    def process_at(self, row: int) -> Process:
        return self._branches[row].process

    def write_row(self, row: int, width: int) -> Sequence[Piece]:
        branch = self._branches[row]
        process, cursor, ink = branch.process, self.view.cursor, self.view.ink
        layer = process.layer_at(cursor)
        alive = process.alive_at(cursor)
        acting = self.view.process is process
        glyph = ("◆" if acting else "●") if alive else "×"
        inner = process.nspids_at(cursor)[1:]
        pid = f"{process.pid}" + (f"→{'→'.join(map(str, inner))}" if inner else "")
        text = ink.plain if alive else ink.dim
        pieces: list[Piece] = [
            (branch_lines(branch), ink.dim),
            (f"{glyph} ", ink.lit if acting else ink.good if alive else ink.dim),
            (f"{pid} ", ink.strong if alive else ink.dim),
            (f"{layer or 'other'} ", ink.layer(layer) if alive else ink.dim),
        ]
        if not alive:
            pieces.append((f"{describe_end(process)}  ", ink.bad if process.signal or process.exit_code else ink.dim))
        pieces.append((short_command(self.view.model, process, cursor), text))
        if (threads := process.threads_at(cursor)) > 1 and alive:
            pieces.append((f"  {threads} threads", ink.dim))
        if process.index in self.hidden and process.children:
            pieces.append((f"  ▸ {len(process.children)} folded", ink.lit))
        return pieces

    def link_of(self, row: int) -> Link:
        return self.view.links.process(self.process_at(row).index)

    def linked_row(self) -> int | None:
        acting = self.view.process
        rows = [row for row, branch in enumerate(self._branches) if acting is branch.process]
        return rows[0] if rows else None

    def toggle_fold(self) -> None:
        """Fold away what is below the chosen process, or show it again."""
        if 0 <= self.chosen < len(self._branches):
            self.hidden = self.hidden ^ {self.process_at(self.chosen).index}
            self.update_rows(follow=False)
