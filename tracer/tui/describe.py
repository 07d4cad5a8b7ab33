"""Everything about one row, for the page that Enter opens."""

import json
import re
from collections import Counter

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from tracer.decode.remarks import environment_changes, filter_lines, setting
from tracer.decode.text import arguments, format_call, result_text
from tracer.events import ActionSeen, MessageSeen, ProcessExecuted, StageEntered, SyscallEntered, SyscallExited
from tracer.model import Execution, Process
from tracer.model.conversation import Sighting
from tracer.report.process_tree import describe_end, short_command
from tracer.tui.short_text import short_title
from tracer.tui.view import TraceView
from tracer.tui.widgets.calls import Calls
from tracer.tui.widgets.containerd_events import ContainerdEvents
from tracer.tui.widgets.conversation import Conversation
from tracer.tui.widgets.event_log import EventLog
from tracer.tui.widgets.process_tree import ProcessTree

_JSON_TOKEN = re.compile(
    r'(?P<key>"(?:[^"\\]|\\.)*")(?=\s*:)|(?P<text>"(?:[^"\\]|\\.)*")|(?P<word>\b(?:true|false|null|-?\d[\d.eE+-]*)\b)'
)


def describe(view: TraceView, pane: EventLog, row: int) -> tuple[str, Group] | None:
    """A heading and a page for a row of a pane."""
    if isinstance(pane, Conversation) and (message := pane.message_at(row)) is not None:
        return message.title, _sightings(view, message.sightings, message.connection)
    if isinstance(pane, ContainerdEvents) and (index := pane.index_of(row)) is not None:
        event = view.model.conversation.events[index]
        return event.topic, _sightings(view, event.sightings, "")
    if isinstance(pane, ProcessTree):
        process = pane.process_at(row)
        return f"process {process.pid}", _process(view, process)
    if isinstance(pane, Calls) and (sequence := pane.sequence_of(row)) is not None:
        return view.model.call_name(sequence), _call(view, sequence)
    return None


def pretty_json(view: TraceView, body: str) -> Text:
    """A body with its keys and values told apart; as it is where it is no JSON."""
    try:
        body = json.dumps(json.loads(body), indent=2, ensure_ascii=False)
    except ValueError:
        return Text(body, style=view.ink.plain)
    page = Text(style=view.ink.plain)
    end = 0
    for token in _JSON_TOKEN.finditer(body):
        page.append(body[end : token.start()], view.ink.dim)
        style = (
            view.ink.layer("client") if token["key"] else view.ink.layer("daemon") if token["text"] else view.ink.lit
        )
        page.append(token[0], style)
        end = token.end()
    page.append(body[end:], view.ink.dim)
    return page


class _Page:
    """Collects labelled lines under headings; long values wrap beside their labels."""

    def __init__(self, view: TraceView) -> None:
        self.ink = view.ink
        self.parts: list[RenderableType] = []
        self._grid: Table | None = None

    def line(self, label: str, value: str) -> None:
        if self._grid is None:
            self._grid = Table.grid(padding=(0, 2))
            self._grid.add_column(style=self.ink.dim, no_wrap=True, min_width=12)
            self._grid.add_column(style=self.ink.plain, overflow="fold")
            self.parts.append(self._grid)
        self._grid.add_row(Text(label), Text(value))

    def heading(self, words: str) -> None:
        self.text(Text(f"\n{words}", style=self.ink.lit))

    def text(self, text: Text) -> None:
        """A paragraph over the whole width."""
        self.parts.append(text)
        self._grid = None

    def done(self) -> Group:
        return Group(*self.parts)


def _who(view: TraceView, process: Process | None, sequence: int) -> str:
    if process is None:
        return "a process that was not seen to start"
    layer = process.layer_at(sequence) or "other"
    return f"{layer} {process.pid}: {short_command(view.model, process, sequence)}"


def _sightings(view: TraceView, sightings: "tuple[Sighting, ...] | list[Sighting]", connection: str) -> Group:
    page = _Page(view)
    first = view.event(sightings[0].sequence)
    for sighting in sightings:
        event = view.event(sighting.sequence)
        side = event.side if isinstance(event, MessageSeen) else "seen"
        page.line(f"{side} by", _who(view, view.model.process_of(sighting.sequence), sighting.sequence))
        for call in sighting.calls[:6]:
            page.line("", _call_line(view, call))
        if len(sighting.calls) > 6:
            page.line("", f"and {len(sighting.calls) - 6} more calls")
    if connection:
        page.line("connection", connection)
    if isinstance(first, MessageSeen):
        if because := _why(view):
            page.line("why", because)
        if first.body:
            page.heading("body")
            page.text(pretty_json(view, first.body))
        if first.fields:
            page.heading("fields")
            for name, value in first.fields.items():
                page.line(f"  {name}", value if isinstance(value, str) else json.dumps(value))
    return page.done()


def _why(view: TraceView) -> str:
    return " ▸ ".join(short_title(view.model.conversation.messages[index].title) for index in view.links.why)


def _call_line(view: TraceView, sequence: int) -> str:
    event = view.event(sequence)
    if isinstance(event, SyscallEntered | SyscallExited):
        header = view.model.header
        return format_call(event, header.syscalls.get(event.number), machine=header.architecture)
    return f"event {sequence}"


def _call(view: TraceView, sequence: int) -> Group:
    page = _Page(view)
    event = view.event(sequence)
    if not isinstance(event, SyscallEntered | SyscallExited):
        page.line("damaged", "this line of the recording cannot be read")
        return page.done()
    signature = view.model.header.syscalls.get(event.number)
    machine = view.model.header.architecture
    page.text(Text(format_call(event, signature, machine=machine) + "\n", style=view.ink.strong))
    page.line("made by", _who(view, view.model.process_of(sequence), sequence))
    page.line("task", str(event.tid))
    page.line("event", f"{sequence} of the recording")
    if because := _why(view):
        page.line("why", because)
    page.heading("arguments")
    for argument in arguments(event, signature, machine):
        page.line(f"  {argument.name}", argument.text)
    page.line("  returned", result_text(event, signature) or "not yet: it waits, or is held before it begins")
    if told := setting(event, signature):
        page.line("  sets", told)
    if rules := filter_lines(event, machine):
        page.heading("filter")
        page.line("  in all", rules[0])
        page.line("  program", "\n".join(rules[1:]))
    if any(event.data.values()):
        page.heading("memory")
    for key, data in event.data.items():
        page.line(f"  argument {key}", "(could not be read)" if data is None else _bytes(data))
    if made := view.model.carried.get(sequence):
        page.heading("what it amounts to")
        for derived in made:
            _derived(view, page, derived)
    return page.done()


def _environment(view: TraceView, execution: Execution | None) -> tuple[str, ...]:
    """The environment that a program was given; empty where that was before the recording."""
    event = view.event(execution.sequence) if execution else None
    return event.environment if isinstance(event, ProcessExecuted) else ()


def _derived(view: TraceView, page: _Page, sequence: int) -> None:
    event = view.event(sequence)
    if isinstance(event, MessageSeen):
        page.line("message", f"{event.protocol} {event.title} ({event.side})")
    elif isinstance(event, ActionSeen):
        page.line("action", f"{event.action} {' '.join(f'{key}={value}' for key, value in event.fields.items())}")
    elif isinstance(event, StageEntered):
        table = view.model.stage_table.get(event.stage, {})
        page.line("stage", str(table.get("title", event.stage)))


def _bytes(data: bytes) -> str:
    """Text as text, anything else as the first lines of a hex dump."""
    text = data.rstrip(b"\0")
    if all(byte in b"\t\r\n" or 32 <= byte < 127 for byte in text):
        return text.decode("ascii")
    rows = [data[at : at + 16] for at in range(0, min(len(data), 256), 16)]
    dump = [f"{row.hex(' '):<48} {''.join(chr(b) if 32 <= b < 127 else '.' for b in row)}" for row in rows]
    return "\n".join([*dump, f"({len(data)} bytes)"] if len(data) > 256 else dump)


def _process(view: TraceView, process: Process) -> Group:
    page = _Page(view)
    cursor = view.cursor
    model = view.model
    inner = process.nspids_at(cursor)[1:]
    page.line("pid", f"{process.pid}" + (f", inside its pid namespace {', '.join(map(str, inner))}" if inner else ""))
    page.line("layer", process.layer_at(cursor) or "none of the six")
    parent = model.processes.all[process.parent] if process.parent < len(model.processes.all) else None
    maker = "not seen: it ran before the recording" if process.how == "attached" else "the tracer, which launched it"
    page.line("made by", _who(view, parent, process.born) if parent else maker)
    page.line("threads", str(process.threads_at(cursor)))
    page.line("state", "alive" if process.alive_at(cursor) else describe_end(process))
    calls, count = model.calls_of(process, cursor)
    tally = Counter(model.call_name(calls[place]) for place in range(min(count, 200_000)))
    page.line("calls", f"{count:,}: " + ", ".join(f"{name} {times:,}" for name, times in tally.most_common(12)))
    before = _environment(view, parent.execution_at(process.born) if parent else None)
    for execution in process.executions:
        if execution.sequence > cursor:
            break
        page.heading(f"exec {execution.generation or 'before the recording'}: {execution.path}")
        event = view.event(execution.sequence)
        page.line("argv", " ".join(execution.argv))
        if isinstance(event, ProcessExecuted):
            page.line("cwd", event.cwd)
            changes = sorted(environment_changes(before, event.environment))
            before = event.environment
            page.line("changes", "\n".join(changes) or "none: it has the environment of its parent")
            for place, variable in enumerate(event.environment):
                page.line("" if place else "environment", variable)
    return page.done()
