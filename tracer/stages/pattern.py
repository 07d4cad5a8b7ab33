"""What a stage is: a place in the story, and the one observation that shows the story has come to it.

Stages are data (`lessons/*/lesson.toml`), and are parsed strictly: an unknown key, a missing one or a value of the
wrong kind is a `StageError` that names the stage and the key. A pattern is equality or a prefix on decoded fields, and
nothing more: where that is too little, the decoder lacks an action.

    [[stages]]
    id = "root-pivoted"            # kebab-case, unique in its lesson
    layer = "runtime"              # the seat of the process that makes the observation
    title = "The container's root becomes /"
    about = "One or two sentences: what is about to happen, and why here."
    stop = "entry"                 # hold before the call is made; "exit": once it has happened
    source = "runtime/oci/rootfs.py:pivot_root"
    after = ["mounts-made"]        # looked for only once these stages were entered
    behind = ["client-told"]       # entered after these where they are under way, though it may be seen before them
    overtakes = ["program-speaks"] # those of `after` that the kernel may report later than this one, which follows them
    [stages.on]                    # or [[stages.on]] several times: any of them
    action = "RootPivoted"         # or message = "http", process = "executed", call = "listen"
    fields = { put_old = "." }     # a value, a list of values (any of), or { prefix = "..." }
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from tracer.events import Scalar
from tracer.stages.layers import Layer

PatternKind = Literal["message", "action", "process", "call"]
Stop = Literal["entry", "exit"]

_KINDS: tuple[PatternKind, ...] = ("message", "action", "process", "call")
_PROCESS_EVENTS = ("forked", "executed", "exited")
_STAGE_KEYS = frozenset(
    (
        "id",
        "layer",
        "title",
        "about",
        "stop",
        "time_sensitive",
        "source",
        "after",
        "behind",
        "overtakes",
        "on",
        "optional",
        "hold",
    )
)
_REQUIRED = ("id", "layer", "title", "about", "source", "on")


class StageError(ValueError):
    """A stage table is wrong. The message names the stage and the key."""


@dataclass(frozen=True, slots=True)
class Prefix:
    """Matches a text that begins with `text`."""

    text: str


Wanted = Scalar | tuple[Scalar, ...] | Prefix
"""What a field must be: equal to it, to one of them, or begin with it."""


@dataclass(frozen=True, slots=True)
class Pattern:
    """The observation that shows a stage has been reached."""

    kind: PatternKind
    name: str
    """The message's protocol, the action's name, `forked`/`executed`/`exited`, or the system call's name."""
    fields: Mapping[str, Wanted] = field(default_factory=dict)

    def accepts(self, observed: Mapping[str, Scalar]) -> bool:
        """True where every wanted field is there and as wanted."""
        return all(name in observed and _is_wanted(observed[name], wanted) for name, wanted in self.fields.items())


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage of a lesson."""

    id: str
    layer: Layer
    title: str
    about: str
    """What is about to happen and why here, in one or two sentences."""
    source: str
    """Where our stack makes it happen: `runtime/oci/rootfs.py:pivot_root`."""
    on: tuple[Pattern, ...]
    """Any of these: runtimes may spell one thing in ways that no decoder can make the same."""
    stop: Stop = "exit"
    """`entry`: the hold comes before the call is made (actions and calls only)."""
    time_sensitive: bool = False
    """True where a real program has a deadline running here: a long hold changes the story."""
    after: tuple[str, ...] = ()
    """Stages that must have been entered before this one is looked for."""
    behind: tuple[str, ...] = ()
    """Stages of independent processes that come first when the story is told: where one of them is under way (all that
    it is `after` was seen), this stage is entered only once that one was."""
    overtakes: tuple[str, ...] = ()
    """Those of `after` that other processes show, and that may be reported later than this one: what was printed is
    read off the pipe before the kernel reports that the write has returned."""
    optional: bool = False
    """True where a run may be right without it (another runtime spells it in a way that leaves no trace)."""
    hold: bool = True
    """False: seen and shown, but nobody is held there. A learner who types at the prompt must not be stopped by it."""


def parse_stages(tables: Sequence[Mapping[str, object]]) -> tuple[Stage, ...]:
    """The stages of a lesson, in its order. Raises StageError, naming stage and key."""
    stages: list[Stage] = []
    for index, table in enumerate(tables, start=1):
        stage = _parse_stage(table, index)
        known = {earlier.id for earlier in stages}
        if stage.id in known:
            raise StageError(f"stage {stage.id!r}: the id is used twice")
        for key, names in (("after", stage.after), ("behind", stage.behind), ("overtakes", stage.overtakes)):
            for name in names:
                if name not in known:
                    raise StageError(f"stage {stage.id!r}: key {key!r} names {name!r}, which is no earlier stage")
        stages.append(stage)
    return tuple(stages)


def _parse_stage(table: Mapping[str, object], index: int) -> Stage:
    where = f"stage {table.get('id')!r}" if isinstance(table.get("id"), str) else f"stage number {index}"
    for key in table:
        if key not in _STAGE_KEYS:
            raise StageError(f"{where}: unknown key {key!r}")
    for key in _REQUIRED:
        if key not in table:
            raise StageError(f"{where}: key {key!r} is missing")
    try:
        layer = Layer(str(table["layer"]))
    except ValueError:
        seats = ", ".join(layer.value for layer in Layer)
        raise StageError(f"{where}: key 'layer' is {table['layer']!r}, not one of {seats}") from None
    on = _parse_patterns(table["on"], where)
    stop = table.get("stop", "exit")
    if stop not in ("entry", "exit"):
        raise StageError(f"{where}: key 'stop' is {stop!r}, not 'entry' or 'exit'")
    for pattern in on:
        if stop == "entry" and pattern.kind not in ("action", "call"):
            raise StageError(f"{where}: key 'stop' is 'entry', but a {pattern.kind} is only seen when it has happened")
    behind = _names(table, "behind", where)
    if stop == "entry" and behind:
        raise StageError(
            f"{where}: key 'stop' is 'entry', but what is behind others may be entered when it is too late"
        )
    return Stage(
        id=_text(table, "id", where),
        layer=layer,
        title=_text(table, "title", where),
        about=_text(table, "about", where),
        source=_text(table, "source", where),
        on=on,
        stop="entry" if stop == "entry" else "exit",
        time_sensitive=_flag(table, "time_sensitive", where),
        after=_names(table, "after", where),
        behind=behind,
        overtakes=_names(table, "overtakes", where),
        optional=_flag(table, "optional", where),
        hold=_flag(table, "hold", where, default=True),
    )


def _parse_patterns(value: object, where: str) -> tuple[Pattern, ...]:
    if isinstance(value, Mapping):
        return (_parse_pattern(value, where),)
    if isinstance(value, Sequence) and not isinstance(value, str) and value:
        return tuple(_parse_pattern(item, where) for item in value)
    raise StageError(f"{where}: key 'on' is neither a table nor a list of tables")


def _parse_pattern(value: object, where: str) -> Pattern:
    if not isinstance(value, Mapping):
        raise StageError(f"{where}: key 'on' holds something that is no table")
    kinds = [kind for kind in _KINDS if kind in value]
    for key in value:
        if key != "fields" and key not in _KINDS:
            raise StageError(f"{where}: unknown key 'on.{key}'")
    if len(kinds) != 1:
        raise StageError(f"{where}: key 'on' needs exactly one of {', '.join(_KINDS)}")
    kind = kinds[0]
    name = _text(value, kind, where)
    if kind == "process" and name not in _PROCESS_EVENTS:
        raise StageError(f"{where}: key 'on.process' is {name!r}, not one of {', '.join(_PROCESS_EVENTS)}")
    fields = value.get("fields", {})
    if not isinstance(fields, Mapping):
        raise StageError(f"{where}: key 'on.fields' is not a table")
    return Pattern(
        kind, name, {str(key): _wanted(item, f"{where}: key 'on.fields.{key}'") for key, item in fields.items()}
    )


def _wanted(value: object, where: str) -> Wanted:
    if isinstance(value, str | int | bool):
        return value
    if isinstance(value, Sequence) and value:
        if all(isinstance(item, str | int | bool) for item in value):
            return tuple(value)
        raise StageError(f"{where} lists something that is no text, number or truth value")
    if isinstance(value, Mapping) and list(value) == ["prefix"] and isinstance(value["prefix"], str):
        return Prefix(value["prefix"])
    raise StageError(f"{where} is not a value, a list of values or {{ prefix = ... }}")


def _is_wanted(value: Scalar, wanted: Wanted) -> bool:
    if isinstance(wanted, Prefix):
        return isinstance(value, str) and value.startswith(wanted.text)
    if isinstance(wanted, tuple):
        return value in wanted
    return value == wanted


def _text(table: Mapping[str, object], key: str, where: str) -> str:
    value = table[key]
    if not isinstance(value, str) or not value.strip():
        raise StageError(f"{where}: key {key!r} is not a text")
    return value


def _flag(table: Mapping[str, object], key: str, where: str, *, default: bool = False) -> bool:
    value = table.get(key, default)
    if not isinstance(value, bool):
        raise StageError(f"{where}: key {key!r} is not true or false")
    return value


def _names(table: Mapping[str, object], key: str, where: str) -> tuple[str, ...]:
    value = table.get(key, ())
    if isinstance(value, str) or not isinstance(value, Sequence) or not all(isinstance(item, str) for item in value):
        raise StageError(f"{where}: key {key!r} is not a list of stage ids")
    return tuple(value)
