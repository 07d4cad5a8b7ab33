"""`python tests/stages_found.py --count 100`: the same story in every recording, whoever sits in the seats.

N recordings each of a container start by our stack, by runc, by crun and by the real Docker. In every one all stages
are found that these parts can show, each kind has one order of stages, every task that was born is seen to end, and no
stop is one that the engine does not know. Prints a line a kind, and what was otherwise; exits with 1 if anything was.
"""

import argparse
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

from tests.seat_stages import expected, read
from tracer.events import Event, NoteMade, ProcessExecuted, ProcessExited, ProcessForked, RecordingEnded, StageEntered
from tracer.run_words import SEATS, take_apart

KINDS = {
    "ours": [],
    "runc": ["--runtime", "runc"],
    "crun": ["--runtime", "crun"],
    "docker": ["--stack", "docker"],
}


def main() -> int:
    """Record, compare, and say."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=10, metavar="N", help="recordings of each kind (default: 10)")
    parser.add_argument("kinds", nargs="*", metavar="KIND", help=f"of {', '.join(KINDS)} (default: all)")
    options = parser.parse_args()
    unknown = set(options.kinds) - KINDS.keys()
    if unknown:
        parser.error(f"there is no kind {', '.join(sorted(unknown))}: each is one of {', '.join(KINDS)}")
    return max(look_at(kind, options.count) for kind in options.kinds or KINDS)


def look_at(kind: str, count: int) -> int:
    """Record one kind `count` times and print what was found; 1 where anything was not as it should be."""
    orders: Counter[tuple[str, ...]] = Counter()
    wrong: list[str] = []
    events = 0
    for number in range(1, count + 1):
        order, problems, length = record(KINDS[kind])
        orders[order] += 1
        events += length
        wrong += [f"recording {number}: {problem}" for problem in problems]
    (usual, _), *others = orders.most_common()
    wrong += [f"{times} of {count} in another order: {_difference(usual, order)}" for order, times in others]
    print(f"{kind}: {count} recordings, {len(usual)} stages, {len(orders)} order(s), {events // count:,} events each")
    for line in wrong:
        print(f"  {line}", flush=True)
    return 1 if wrong else 0


def record(words: list[str]) -> tuple[tuple[str, ...], list[str], int]:
    """Record one run: its stages in their order, what is wrong with it, and how many events that are no calls."""
    with tempfile.TemporaryDirectory(prefix="gb-stages-", dir="/tmp") as folder:
        path = Path(folder, "run.jsonl")
        command = [sys.executable, "-m", "tracer", "record", "-o", str(path), *words, "--", "docker", "run"]
        done = subprocess.run([*command, "--rm", "hostbox", "echo", "hi"], capture_output=True, text=True, check=False)
        if (done.returncode, done.stdout) != (0, "hi\n"):
            return (), [f"exit code {done.returncode}: {done.stdout}{done.stderr}".strip()], 0
        _, events = read(path)
    order = tuple(event.stage for event in events if isinstance(event, StageEntered))
    wanted = expected(take_apart([*words, "--", "docker", "run", "hostbox"], SEATS).seats)
    problems = [f"{stage} not found" for stage in sorted(set(wanted) - set(order))]
    problems += [f"{stage} found, which these parts cannot show" for stage in sorted(set(order) - set(wanted))]
    return order, [*problems, *_lost(events)], len(events)


def _lost(events: list[Event]) -> list[str]:
    """What was not seen: ends of tasks, stops without a name, the recording's own end."""
    born = {event.tid for event in events if isinstance(event, ProcessForked)}
    gone = {event.tid for event in events if isinstance(event, ProcessExited)}
    # A thread that executes a program goes on under its leader's number.
    gone |= {event.former_tid for event in events if isinstance(event, ProcessExecuted)}
    found = [f"task {tid} was born and never ended" for tid in sorted(born - gone)]
    found += [event.text for event in events if isinstance(event, NoteMade) and event.topic == "unknown-stop"]
    if not events or not isinstance(events[-1], RecordingEnded):
        found.append("the recording has no end")
    return found


def _difference(usual: tuple[str, ...], other: tuple[str, ...]) -> str:
    """The stages between the first and the last place at which two orders differ."""
    places = [place for place, (one, two) in enumerate(zip(usual, other, strict=False)) if one != two]
    if not places:
        return "one ends early"
    return ", ".join(other[places[0] : places[-1] + 1])


if __name__ == "__main__":
    sys.exit(main())
