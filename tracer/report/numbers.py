"""The story in numbers, for the reports: sentences and JSON made of the model's statistics; sizes, times in words."""

from collections import Counter
from collections.abc import Iterator, Mapping

from tracer.model import TraceModel
from tracer.model.statistics import BEFORE, Statistics, Tally

TRACED_TIME = (
    "Times are traced time: the tracer's stops and all waiting are in them. They compare calls of this run with each "
    "other and say nothing about speed."
)
_UNITS = (("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30))


def numbers_text(statistics: Statistics, model: TraceModel) -> Iterator[str]:
    """By layer, by purpose and by stage; each line can be understood by itself."""
    layers, total = statistics.by_layer(), statistics.total
    yield f"The story in numbers. {TRACED_TIME}"
    for seat, tally in [*layers.items(), ("in all", total)]:
        yield f"  {seat}: {_counts(tally)}{_times(tally)}."
    for sentence in not_counted(model, model.applied - 1):
        yield f"  {sentence}"
    yield ""
    yield "What the calls were for, of which each has one purpose:"
    for purpose, count in total.purposes.most_common():
        seats = Counter({seat: tally.purposes[purpose] for seat, tally in layers.items() if tally.purposes[purpose]})
        yield f"  {purpose}: {count:,} ({_listed(seats)})."
    yield ""
    yield "By stage, from its beginning to the next one's:"
    order = list(model.stage_table)
    for stage, tally in statistics.by_stage().items():
        title = str(model.stage_table.get(stage, {}).get("title", stage))
        number = f"{order.index(stage) + 1}. " if stage in order else ""
        yield f"  {'Before the first stage' if stage == BEFORE else number + title}: {_counts(tally)}."


def not_counted(model: TraceModel, cursor: int) -> list[str]:
    """What was not watched up to there, and so is in none of the numbers: a sentence each, in the engine's words."""
    notes = [note.text for sequence, note in model.notes if note.topic == "filtered" and sequence <= cursor]
    return [f"Not counted, since it was not watched: {text}." for text in notes]


def numbers_json(statistics: Statistics, model: TraceModel) -> dict[str, object]:
    """The same for programs."""
    return {
        "times": TRACED_TIME,
        "not_counted": not_counted(model, model.applied - 1),
        "total": _tally(statistics.total),
        "layers": {seat: _tally(tally) for seat, tally in statistics.by_layer().items()},
        "stages": [{"stage": stage or None, **_tally(tally)} for stage, tally in statistics.by_stage().items()],
    }


def _counts(tally: Tally) -> str:
    failed = f", {tally.errors.total():,} failed ({_listed(tally.errors)})" if tally.errors else ""
    if tally.interrupted:
        failed += f", {tally.interrupted:,} interrupted and begun again"
    moved = f"; {size(tally.read_bytes)} read, {size(tally.written_bytes)} written"
    return f"{tally.calls:,} call{'' if tally.calls == 1 else 's'}{failed}{moved}"


def _times(tally: Tally) -> str:
    if not tally.calls:
        return ""
    return f"; half took less than {duration(tally.within_us(0.5))}, 99 % less than {duration(tally.within_us(0.99))}"


def _listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in Counter(counts).most_common())


def _tally(tally: Tally) -> dict[str, object]:
    times = {str(2**index): count for index, count in enumerate(tally.durations) if count}
    return {
        "calls": tally.calls,
        "errors": dict(tally.errors.most_common()),
        "interrupted": tally.interrupted,
        "read_bytes": tally.read_bytes,
        "written_bytes": tally.written_bytes,
        "traced_less_than_us": times,
        "purposes": dict(tally.purposes.most_common()),
    }


def size(count: int) -> str:
    """Bytes for people, in powers of 1024."""
    if count < 1024:
        return f"{count} B"
    unit, scale = next((pair for pair in _UNITS if count < 1000 * pair[1]), _UNITS[-1])
    return f"{count / scale:,.1f} {unit}"


def duration(microseconds: int) -> str:
    """Traced time for people, to the power of two that it is known to."""
    if microseconds < 1000:  # 1,024 is a millisecond here: the power of two is all that is known
        return f"{microseconds} µs"
    if microseconds < 1_000_000:
        return f"{microseconds / 1000:.0f} ms"
    return f"{microseconds / 1_000_000:.0f} s"
