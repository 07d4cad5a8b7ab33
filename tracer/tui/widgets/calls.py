"""Pane 4: system calls, decoded one by one, ordinary runs folded into phases with honest counts.

▸ dynamic linking  61 calls
  openat(AT_FDCWD, "config.json", O_RDONLY|O_CLOEXEC) = 3
  sendto(6<unix:containerd.sock>, "PRI * HTTP/2…) = 84  ⇒ Tasks/Create
◔ still in wait4(4301, ...)                                a call the process is in now
"""

from array import array
from bisect import bisect_right
from collections.abc import Sequence

from tracer.decode.text import format_call
from tracer.events import ActionSeen, MessageSeen, SyscallEntered, SyscallExited
from tracer.model import Link, Process
from tracer.model.phases import PhaseFold, Segment
from tracer.tui.short_text import short_files, short_paths, short_title
from tracer.tui.widgets.event_log import EventLog, Piece

UNFINISHED = " <unfinished ...>"
"""What strace and `format_call` write where a result would stand; here it is said in words."""
LEAST_ARGUMENTS = 12
"""So many columns of the arguments are shown however long the rest is."""
SHOWN_BY_THE_CALL = frozenset({"stdio"})
"""Protocols whose messages are the very bytes that the call shows."""


class Calls(EventLog):
    """The calls of the process that acts (or of everyone), up to the cursor."""

    BORDER_TITLE = "4 system calls"
    empty = "this process has made no call yet"

    flat = False
    """Everything unfolded."""
    _process: Process | None = None
    _calls: "array[int]" = array("I")
    _count = 0
    _waiting: Sequence[int] = ()
    _fold: PhaseFold | None = None

    def __init__(self, *arguments: object, **named: object) -> None:
        super().__init__(*arguments, **named)  # type: ignore[arg-type]
        self._opened: dict[int, list[int]] = {}
        """Process index -> first places of the runs that were unfolded by hand, in order."""

    def row_count(self) -> int:
        view = self.view
        cursor = view.cursor
        self._process = None if view.everyone else view.process
        self._calls, self._count = view.model.calls_of(self._process, cursor)
        self._fold, self._waiting = None, ()
        if self._process is not None:
            self._waiting = view.model.waiting_at(self._process, cursor)
            if not self.flat:
                self._fold = view.model.phases_of(self._process, cursor)
        return self._folded_rows() + len(self._waiting)

    def write_row(self, row: int, width: int) -> Sequence[Piece]:
        segment, place = self._locate(row)
        if segment is not None:
            return self._write_segment(segment, width)
        if place >= self._count:
            entry = self._waiting[place - self._count]
            return [(f"◔ {self._waits(entry)} ", self.view.ink.lit), *self._write_call(entry, width - 11)]
        inside = self._fold is not None and bool(self._fold.at_place(place).name)
        return [
            ("  " + ("  " if inside else ""), self.view.ink.dim),
            *self._write_call(self._calls[place], width - (4 if inside else 2)),
        ]

    def sequence_of(self, row: int) -> int | None:
        """The event a row stands for, None for a folded run."""
        segment, place = self._locate(row)
        return None if segment is not None else self._sequence(place)

    def link_of(self, row: int) -> Link:
        links = self.view.links
        segment, place = self._locate(row)
        if segment is None:
            return links.call(self._sequence(place))
        return Link.NONE

    def linked_row(self) -> int | None:
        rows = [sequence for sequence in self.view.links.calls if sequence <= self.view.cursor]
        places = [at for sequence in rows if (at := self._place_of(sequence)) is not None]
        return self._row_of(max(places)) if places else None

    # --- folding --------------------------------------------------------------------------------------------------

    def toggle_fold(self) -> None:
        """Unfold the chosen run, or fold the run that the chosen call belongs to."""
        if self._fold is None or self._process is None or not 0 <= self.chosen < self._rows:
            return
        segment, place = self._locate(self.chosen)
        if segment is None:
            if place >= self._count:
                return
            segment = self._fold.at_place(place)
        opened = self._opened.setdefault(self._process.index, [])
        if segment.name and segment.start in opened:
            opened.remove(segment.start)
        elif segment.name:
            opened.insert(bisect_right(opened, segment.start), segment.start)
        self.update_rows(follow=False)
        self.choose(self._row_of(segment.start, header=True), by_hand=False)

    def toggle_flat(self) -> None:
        """Unfold everything, or fold it again."""
        place = self.search_place()
        self.flat = not self.flat
        self.update_rows(follow=False)
        if place >= 0:
            self.choose(self._row_of(place), by_hand=False)

    # --- searching goes through all calls, folded or not ------------------------------------------------------------

    def search_size(self) -> int:
        return self._count

    def search_text(self, place: int) -> str:
        event = self.view.event(self._calls[place])
        return self._full_text(event) if isinstance(event, SyscallEntered | SyscallExited) else ""

    def search_place(self) -> int:
        if not 0 <= self.chosen < self._rows:
            return -1
        segment, place = self._locate(self.chosen)
        return segment.start if segment is not None else place

    def reveal(self, place: int) -> None:
        if self._fold is not None and self._process is not None and (segment := self._fold.at_place(place)).name:
            opened = self._opened.setdefault(self._process.index, [])
            if segment.start not in opened:
                opened.insert(bisect_right(opened, segment.start), segment.start)
                self.update_rows(follow=False)
        self.choose(self._row_of(place))

    # --- rows and places --------------------------------------------------------------------------------------------

    def _folded_rows(self) -> int:
        if self._fold is None:
            return self._count
        rows = self._fold.row_count(self._count)
        return rows + sum(min(segment.stop, self._count) - segment.start for segment in self._open_segments())

    def _open_segments(self) -> list[Segment]:
        if self._fold is None or self._process is None:
            return []
        starts = [start for start in self._opened.get(self._process.index, []) if start < self._count]
        segments = [(start, self._fold.at_place(start)) for start in starts]
        return [segment for start, segment in segments if segment.start == start and segment.name]

    def _locate(self, row: int) -> tuple[Segment | None, int]:
        """What a row shows: a folded (or opened) run's header, or the call at a place."""
        folded = self._rows - len(self._waiting)
        if row >= folded:
            return None, self._count + row - folded
        if self._fold is None:
            return None, row
        for segment in self._open_segments():
            length = min(segment.stop, self._count) - segment.start
            if row <= segment.row:
                break
            if row <= segment.row + length:
                return None, segment.start + row - segment.row - 1
            row -= length
        segment = self._fold.at_row(row)
        return (segment, segment.start) if segment.name else (None, segment.start + row - segment.row)

    def _row_of(self, place: int, *, header: bool = False) -> int:
        if place >= self._count or self._fold is None:
            return place if self._fold is None else self._rows - len(self._waiting) + place - self._count
        segment = self._fold.at_place(place)
        opened = self._open_segments()
        before = sum(min(one.stop, self._count) - one.start for one in opened if one.start < segment.start)
        if not segment.name:
            return before + segment.row + place - segment.start
        is_open = any(one.start == segment.start for one in opened)
        return before + segment.row + (1 + place - segment.start if is_open and not header else 0)

    def _place_of(self, sequence: int) -> int | None:
        if sequence in self._waiting:
            return self._count + list(self._waiting).index(sequence)
        place = bisect_right(self._calls, sequence, hi=self._count) - 1
        return place if place >= 0 and self._calls[place] == sequence else None

    def _sequence(self, place: int) -> int:
        return self._calls[place] if place < self._count else self._waiting[place - self._count]

    # --- writing ----------------------------------------------------------------------------------------------------

    def _write_segment(self, segment: Segment, width: int) -> Sequence[Piece]:
        ink = self.view.ink
        stop = min(segment.stop, self._count)
        opened = any(one.start == segment.start for one in self._open_segments())
        count = stop - segment.start
        pieces: list[Piece] = [
            ("▾ " if opened else "▸ ", ink.lit),
            (segment.name, ink.strong),
            (f"  {count:,} call{'s' if count != 1 else ''}", ink.dim),
        ]
        if stop == self._count and not opened:  # the run is still going on: show what it is at
            room = width - sum(len(text) for text, _ in pieces) - 4
            pieces += [("  … ", ink.dim), *self._write_call(self._calls[stop - 1], room)]
        return pieces

    def _full_text(self, event: SyscallEntered | SyscallExited) -> str:
        header = self.view.model.header
        return format_call(event, header.syscalls.get(event.number), machine=header.architecture)

    def _waits(self, entry: int) -> str:
        """What an unfinished call is up to: a stage that is come to at its entry has it held before it begins."""
        stage = self.view.model.stage_at(self.view.cursor)
        return "about to" if stage is not None and stage.evidence == entry else "still in"

    def _write_call(self, sequence: int, room: int) -> Sequence[Piece]:
        """One call. Where it is too long its arguments are cut, not its result, nor what it amounts to."""
        ink = self.view.ink
        event = self.view.event(sequence)
        if not isinstance(event, SyscallEntered | SyscallExited):
            return [("(this line of the recording is damaged)", ink.bad)]
        text = self._full_text(event)
        if text.endswith(UNFINISHED):
            text = text.removesuffix(UNFINISHED) + ")"
        who: list[Piece] = []
        if self._process is None and (process := self.view.model.process_of(sequence)) is not None:
            layer = process.layer_at(sequence)
            who = [(f"{layer or process.pid!s:<11}", ink.layer(layer))]
            room -= len(who[0][0])
        name, bracket, rest = short_paths(short_files(text)).partition("(")
        arguments, equals, result = rest.rpartition(" = ") if isinstance(event, SyscallExited) else (rest, "", "")
        failed = result.startswith("-1 ")  # not `? ERESTARTSYS`, of a call that begins again
        amounts = f"  ⇒ {made}" if (made := self._amounts_to(sequence)) else ""
        arguments = bracket + (arguments if equals else rest)
        room -= len(name) + len(equals) + len(result) + len(amounts)
        if len(arguments) > max(room, LEAST_ARGUMENTS):
            arguments = arguments[: max(room, LEAST_ARGUMENTS) - 2].rstrip("…") + "…)"
        return [
            *who,
            (name, ink.strong),
            (arguments, ink.plain),
            (equals, ink.dim),
            (result, ink.bad if failed else ink.good),
            (amounts, ink.lit),
        ]

    def _amounts_to(self, sequence: int) -> str:
        """The message that the call carried whole, or the action that it was, if any."""
        made = self.view.model.carried.get(sequence, ())
        for event in (self.view.event(one) for one in made if one <= self.view.cursor):
            if isinstance(event, MessageSeen) and event.protocol not in SHOWN_BY_THE_CALL:
                return short_title(event.title)
            if isinstance(event, ActionSeen) and event.action != "Connected":
                return event.action
        return ""
