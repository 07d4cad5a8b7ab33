"""Recognises stages in the stream of events: a pure fold, each stage at most once, for the first container of a run.

    event ----> layer of its process ----> stages that wait for this kind and name, in this layer
                                              | fields as wanted, and every stage of `after` entered
                                              v
                                          StageEntered(stage, evidence = the event's sequence number)

Nothing here depends on threads or on how independent processes interleave: a pattern looks at the process's seat and
at decoded fields, and `after` names what must have come before. A stage that stops at *entry* is looked for in
`SyscallEntered`, before the call happens, by asking the decoder what the call would amount to; its exit is then of no
interest.

What two cores, and independent processes, do to the order of sightings is `early`'s concern.

Fields that every pattern may ask for, beside those of its kind:

    process    program, verb, path, generation, how, nspid (innermost pid), exit_code, signal, init
    message    title, side, direction, and the decoded fields
    action     the action's fields, and `sealed`: the process has the container's root already
    call       0, 1 ... the raw arguments, path, file, result
"""

from collections.abc import Mapping, Sequence

from tracer.decode import intents
from tracer.events import (
    ActionSeen,
    Event,
    MessageSeen,
    ProcessExecuted,
    ProcessExited,
    ProcessForked,
    Scalar,
    StageEntered,
    SyscallEntered,
    SyscallExited,
)
from tracer.stages.early import EarlySightings
from tracer.stages.layers import Layer, LayerFold
from tracer.stages.pattern import Pattern, Stage

_SAME_AT_BOTH_ENDS = frozenset(("http", "grpc", "ttrpc", "containerd-event"))
"""Protocols whose messages look the same to the reader as to the writer."""


class Matcher:
    """The fold. `entry_numbers` and `exit_numbers` are the calls that it must be fed beside everything else."""

    entry_numbers: frozenset[int]
    """Calls whose SyscallEntered must be fed: those that a stage may stop before."""
    exit_numbers: frozenset[int]
    """Calls whose SyscallExited must be fed: those that a pattern names as plain calls."""

    def __init__(self, stages: Sequence[Stage], syscall_names: Mapping[int, str], machine: str = "x86_64") -> None:
        self._names = syscall_names
        self._machine = machine
        self._stages = {stage.id: stage for stage in stages}
        self._layers = LayerFold()
        self._entered: set[str] = set()
        self._early = EarlySightings()
        self._gone: set[Layer] = set()
        """Layers whose program has ended: what they have not shown by now, they never will."""
        self._speakers: dict[Layer, tuple[int, int]] = {}
        """Who spoke last in each layer, tid and pid."""
        self._waiting: dict[tuple[str, str], list[tuple[Stage, Pattern]]] = {}
        entry_names: set[str] = set()
        exit_names: set[str] = set()
        for stage in stages:
            for pattern in stage.on:
                kind: str = pattern.kind
                if stage.stop == "entry":
                    entry_names |= {pattern.name} if kind == "call" else intents.calls_of(pattern.name)
                    kind = "entry-" + kind
                elif kind == "call":
                    exit_names.add(pattern.name)
                self._waiting.setdefault((kind, pattern.name), []).append((stage, pattern))
        self.entry_numbers = frozenset(number for number, name in syscall_names.items() if name in entry_names)
        self.exit_numbers = frozenset(number for number, name in syscall_names.items() if name in exit_names)

    @property
    def entered(self) -> frozenset[str]:
        """The stages that were entered so far."""
        return frozenset(self._entered)

    def feed(self, sequence: int, event: Event) -> list[StageEntered]:
        """The stages that this event enters."""
        if isinstance(event, SyscallEntered):
            return self._call_entered(sequence, event)
        if isinstance(event, SyscallExited):
            name = self._names.get(event.number, "")
            pid = self._layers.pid_of(event.tid)
            return self._match(("call", name), sequence, event.time_ns, event.tid, pid, _call_fields(event))
        if isinstance(event, ProcessExited):
            # Of a process, not of each of its threads.
            if event.tid != event.pid:
                return []
            return self._exited(sequence, event)
        if isinstance(event, MessageSeen):
            return self._message(sequence, event)
        self._layers.feed(event)
        if isinstance(event, ActionSeen):
            fields = {**event.fields, "sealed": self._layers.is_sealed(event.pid)}
            return self._match(("action", event.action), sequence, event.time_ns, event.tid, event.pid, fields)
        if isinstance(event, ProcessExecuted):
            return self._process("executed", sequence, event, {"path": event.path, "generation": event.generation})
        if isinstance(event, ProcessForked) and event.how != "thread":
            nspid = event.nspids[-1] if event.nspids else None
            return self._process("forked", sequence, event, {"how": event.how, "nspid": nspid})
        return []

    def _exited(self, sequence: int, event: ProcessExited) -> list[StageEntered]:
        found = self._process("exited", sequence, event, {"exit_code": event.exit_code, "signal": event.signal})
        gone = self._told_by(event.pid)
        if gone:
            self._gone |= gone
            found += self._enter_kept()
        return found

    def _told_by(self, pid: int) -> set[Layer]:
        """The layers whose stages end with this process: the client's, or what becomes of the container's init."""
        seat = self._layers.seat_of(pid)
        if seat is not None and seat.layer is Layer.CLIENT and seat.verb == "run":
            return {Layer.CLIENT}
        if self._layers.is_init(pid) or self._layers.is_sealed(pid):
            return {Layer.RUNTIME, Layer.CONTAINER}
        return set()

    def _message(self, sequence: int, event: MessageSeen) -> list[StageEntered]:
        key = ("message", event.protocol)
        if not self._waiting.get(key):
            return []
        fields = {**event.fields, "title": event.title, "side": event.side, "direction": event.direction}
        found: list[StageEntered] = []
        if event.side == "received" and event.protocol in _SAME_AT_BOTH_ENDS:
            found += self._written(key, sequence, event, fields)
        found += self._match(key, sequence, event.time_ns, event.tid, event.pid, fields)
        layer = self._layers.layer_of(event.pid)
        if layer is not None and event.side == "sent":
            self._speakers[layer] = (event.tid, event.pid)
        if event.side == "received":
            self._keep_readers(key, sequence, event, fields)
        elif found:
            self._early.writer_seen(event)
            found += self._enter_kept()
        return found

    def _written(
        self, key: tuple[str, str], sequence: int, event: MessageSeen, fields: Mapping[str, Scalar]
    ) -> list[StageEntered]:
        """What has been read was written: the stages of its writer, who is of another layer, and has spoken before."""
        found: list[StageEntered] = []
        written = {**fields, "side": "sent"}
        for layer, (tid, pid) in list(self._speakers.items()):
            if layer is not self._layers.layer_of(event.pid):
                found += self._match(key, sequence, event.time_ns, tid, pid, written, only_side="sent")
        return found

    def _keep_readers(
        self, key: tuple[str, str], sequence: int, event: MessageSeen, fields: Mapping[str, Scalar]
    ) -> None:
        layer = self._layers.layer_of(event.pid)
        for stage, pattern in self._waiting[key]:
            if stage.layer is layer and self._missing(stage) and pattern.accepts(fields):
                entered = StageEntered(event.time_ns, event.tid, event.pid, stage.id, sequence)
                self._early.keep_reader(stage, entered, event)

    def _call_entered(self, sequence: int, event: SyscallEntered) -> list[StageEntered]:
        name = self._names.get(event.number, "")
        pid = self._layers.pid_of(event.tid)
        found: list[StageEntered] = []
        if ("entry-call", name) in self._waiting:
            key = ("entry-call", name)
            found += self._match(key, sequence, event.time_ns, event.tid, pid, _call_fields(event))
        intent = intents.intent(name, event.arguments, event.data, event.files, self._machine)
        if intent is not None:
            key = ("entry-action", intent.action)
            fields = {**intent.fields, "sealed": self._layers.is_sealed(pid)}
            found += self._match(key, sequence, event.time_ns, event.tid, pid, fields)
        return found

    def _process(
        self,
        name: str,
        sequence: int,
        event: ProcessExecuted | ProcessExited | ProcessForked,
        fields: Mapping[str, Scalar],
    ) -> list[StageEntered]:
        pid = event.tid
        seat = self._layers.seat_of(pid)
        own: dict[str, Scalar] = {"program": seat.program if seat else "", "verb": seat.verb if seat else ""}
        own["init"] = self._layers.is_init(pid)
        return self._match(("process", name), sequence, event.time_ns, event.tid, pid, {**own, **fields})

    def _match(
        self,
        key: tuple[str, str],
        sequence: int,
        time_ns: int,
        tid: int,
        pid: int,
        fields: Mapping[str, Scalar],
        *,
        only_side: str = "",
    ) -> list[StageEntered]:
        waiting = self._waiting.get(key)
        if not waiting:
            return []
        layer = self._layers.layer_of(pid)
        found: list[StageEntered] = []
        for stage, pattern in waiting:
            if only_side and pattern.fields.get("side") != only_side:
                continue
            if stage.layer is layer and stage.id not in self._entered and pattern.accepts(fields):
                entered = StageEntered(time_ns, tid, pid, stage.id, sequence)
                if self._may_be_entered(stage):
                    found.append(entered)
                else:
                    self._early.keep(stage, entered, self._missing(stage))
        # Only now: one event is not evidence of a stage and of the one after it.
        for entered in found:
            self._enter(self._stages[entered.stage])
        return found + self._enter_kept() if found else found

    def _enter_kept(self) -> list[StageEntered]:
        """What was kept and may be entered now, in order."""
        found: list[StageEntered] = []
        while (sighting := self._early.next_ready(self._may_be_entered)) is not None:
            self._enter(sighting.stage)
            found.append(sighting.entered)
        return found

    def _enter(self, stage: Stage) -> None:
        self._entered.add(stage.id)
        for waiting in self._waiting.values():
            waiting[:] = [pair for pair in waiting if pair[0] is not stage]

    def _may_be_entered(self, stage: Stage) -> bool:
        return not self._missing(stage) and not any(self._is_under_way(name) for name in stage.behind)

    def _is_under_way(self, name: str) -> bool:
        """Whether a stage is still to come, and everything that it comes after was seen."""
        if name in self._entered:
            return False
        if self._stages[name].layer in self._gone and name not in self._early:
            return False  # output that the client was told not to attach to, a program that could not be executed
        return all(before in self._entered or before in self._early for before in self._stages[name].after)

    def _missing(self, stage: Stage) -> list[str]:
        """The stages that this one comes after, and that were not entered yet."""
        return [name for name in stage.after if name not in self._entered]


def _call_fields(event: SyscallEntered | SyscallExited) -> dict[str, Scalar]:
    """A plain call's fields: `0`, `1` ... the raw arguments, `path` a text argument, `file` the first descriptor."""
    fields: dict[str, Scalar] = {str(index): value for index, value in enumerate(event.arguments)}
    for value in event.data.values():
        if value is not None:
            fields["path"] = value.split(b"\0", 1)[0].decode("utf-8", "replace")
            break
    for value_text in event.files.values():
        fields["file"] = value_text
        break
    if isinstance(event, SyscallExited):
        fields["result"] = event.result
    return fields
