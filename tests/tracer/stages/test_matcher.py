"""Stages as data, and their recognition."""

import itertools
import struct
from collections.abc import Mapping

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tracer.events import ActionSeen, Event, MessageSeen, ProcessExecuted, ProcessExited, ProcessForked, SyscallEntered
from tracer.stages.matcher import Matcher
from tracer.stages.pattern import StageError, parse_stages

NAMES = {155: "pivot_root", 50: "listen"}


def table(id: str, **more: object) -> dict[str, object]:
    """A stage that is entered when the runtime executes something, unless told otherwise."""
    return {
        "id": id,
        "layer": "runtime",
        "title": "A title",
        "about": "Why.",
        "source": "runtime/oci/init.py:main",
        "on": {"process": "executed"},
    } | more


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"colour": "red"}, "unknown key 'colour'"),
        ({"layer": "kernel"}, "key 'layer' is 'kernel', not one of client"),
        ({"stop": "never"}, "key 'stop' is 'never'"),
        ({"stop": "entry"}, "only seen when it has happened"),
        ({"on": {"action": "A", "message": "http"}}, "exactly one of"),
        ({"on": {"action": "A", "feilds": {}}}, "unknown key 'on.feilds'"),
        ({"on": {"process": "born"}}, "key 'on.process' is 'born'"),
        ({"on": {"action": "A", "fields": {"x": {"suffix": "y"}}}}, "key 'on.fields.x'"),
        ({"on": []}, "key 'on' is neither"),
        ({"after": "first"}, "key 'after' is not a list"),
        ({"after": ["nobody"]}, "names 'nobody', which is no earlier stage"),
        ({"behind": ["nobody"]}, "key 'behind' names 'nobody', which is no earlier stage"),
        ({"overtakes": ["nobody"]}, "key 'overtakes' names 'nobody', which is no earlier stage"),
        ({"stop": "entry", "on": {"action": "A"}, "behind": ["first"]}, "entered when it is too late"),
        ({"title": " "}, "key 'title' is not a text"),
        ({"time_sensitive": 1}, "key 'time_sensitive' is not true or false"),
    ],
)
def test_wrong_stage_is_refused_by_stage_and_key(change: Mapping[str, object], words: str) -> None:
    """Whoever writes a lesson is told where the mistake is."""
    with pytest.raises(StageError, match=r"stage 'second'") as caught:
        parse_stages([table("first"), table("second", **change)])
    assert words in str(caught.value)


def test_missing_key_and_double_id_are_refused() -> None:
    """Neither a nameless stage nor two of one name."""
    with pytest.raises(StageError, match="stage number 1: key 'id' is missing"):
        parse_stages([{key: value for key, value in table("x").items() if key != "id"}])
    with pytest.raises(StageError, match="used twice"):
        parse_stages([table("x"), table("x")])


def executed(pid: int, *argv: str) -> ProcessExecuted:
    return ProcessExecuted(0, pid, pid, argv[0], argv, (), "/", 1)


def message(pid: int, side: str, title: str = "GET /x", connection: str = "unix:1-2") -> MessageSeen:
    assert side in ("sent", "received")
    return MessageSeen(
        0, pid, pid, connection, "http", "request", "sent" if side == "sent" else "received", title, {}, "", ()
    )


def run(matcher: Matcher, events: list[Event]) -> list[str]:
    return [found.stage for number, event in enumerate(events) for found in matcher.feed(number, event)]


def seated() -> list[Event]:
    """A client (1), a daemon (2) and a runtime (3)."""
    found: list[Event] = []
    for pid, argv in ((1, ("docker", "run")), (2, ("dockerd",)), (3, ("runc", "create", "c"))):
        found += [ProcessForked(0, 0, pid, pid, "launched"), executed(pid, *argv)]
    return found


def test_stage_is_entered_once_by_its_layer() -> None:
    """The same action elsewhere, or once more, is not the stage."""
    stages = parse_stages([table("pivot", on={"action": "RootPivoted", "fields": {"new_root": "."}})])
    matcher = Matcher(stages, NAMES)
    good = ActionSeen(0, 3, 3, "RootPivoted", {"new_root": "."}, ())
    elsewhere = ActionSeen(0, 2, 2, "RootPivoted", {"new_root": "."}, ())
    otherwise = ActionSeen(0, 3, 3, "RootPivoted", {"new_root": "/x"}, ())

    assert run(matcher, [*seated(), elsewhere, otherwise, good, good]) == ["pivot"]
    assert matcher.entered == {"pivot"}


def test_entry_stage_is_entered_before_the_call_happens() -> None:
    """A stop at entry needs the call's number among those that are fed at entry."""
    matcher = Matcher(parse_stages([table("pivot", stop="entry", on={"action": "RootPivoted"})]), NAMES)
    entry = SyscallEntered(0, 3, 155, (1, 2), {"0": b".", "1": b"."})

    assert matcher.entry_numbers == {155}
    assert run(matcher, [*seated(), entry]) == ["pivot"]


def test_entry_stage_reads_a_filter_as_one_of_its_machine() -> None:
    """40 is mount on aarch64 and sendfile on x86_64."""
    program = b"".join(struct.pack("<HBBI", *step) for step in ((32, 0, 0, 0), (21, 0, 1, 40), (6, 0, 0, 0)))
    program += struct.pack("<HBBI", 6, 0, 0, 0x7FFF0000)
    on = {"action": "SeccompInstalled", "fields": {"summary": "kill thread for mount; allow else"}}
    stages = parse_stages([table("filter", stop="entry", on=on)])
    entry = SyscallEntered(0, 3, 277, (1, 0, 4096), {"2": b"", "2.program": program})

    assert run(Matcher(stages, {277: "seccomp"}, "aarch64"), [*seated(), entry]) == ["filter"]
    assert run(Matcher(stages, {277: "seccomp"}, "x86_64"), [*seated(), entry]) == []


def test_any_of_several_patterns_will_do() -> None:
    """Runtimes spell one thing differently."""
    on = [{"action": "RootPivoted"}, {"action": "RootChanged"}]
    matcher = Matcher(parse_stages([table("root", on=on)]), NAMES)

    assert run(matcher, [*seated(), ActionSeen(0, 3, 3, "RootChanged", {}, ())]) == ["root"]


def test_process_patterns_know_verb_and_end() -> None:
    """`runc create` begins and ends; a thread's end is not a process's."""
    stages = parse_stages(
        [
            table("begins", on={"process": "executed", "fields": {"verb": "create"}}),
            table("ends", on={"process": "exited", "fields": {"verb": ["create", "run"]}}, after=["begins"]),
        ]
    )
    thread_end, end = ProcessExited(0, 30, 3, 0, None), ProcessExited(0, 3, 3, 0, None)

    assert run(Matcher(stages, NAMES), [*seated(), thread_end]) == ["begins"]
    assert run(Matcher(stages, NAMES), [*seated(), end]) == ["begins", "ends"]


def both_ends() -> list[dict[str, object]]:
    return [
        table("asks", layer="client", on={"message": "http", "fields": {"side": "sent"}}),
        table("hears", layer="daemon", on={"message": "http", "fields": {"side": "received"}}, after=["asks"]),
    ]


def test_reader_reported_before_its_writer_still_counts() -> None:
    """Two cores: the kernel may report the daemon's read before the client's write has returned."""
    matcher = Matcher(parse_stages(both_ends()), NAMES)

    assert run(matcher, [*seated(), message(2, "received"), message(1, "sent")]) == ["asks", "hears"]


def test_what_follows_an_early_reader_counts_too() -> None:
    """The daemon may have gone on before the client's write is reported: its stages come in their order."""
    follows = [
        table("goes-on", layer="daemon", on={"message": "grpc"}, after=["hears"]),
        table("makes", layer="daemon", on={"action": "FifoMade"}, after=["goes-on"]),
    ]
    asks_next = MessageSeen(0, 2, 2, "unix:5-6", "grpc", "request", "sent", "Tasks/Create", {}, "", ())
    fifo = ActionSeen(0, 2, 2, "FifoMade", {}, ())
    matcher = Matcher(parse_stages([*both_ends(), *follows]), NAMES)

    entered = run(matcher, [*seated(), message(2, "received"), asks_next, fifo, message(1, "sent")])

    assert entered == ["asks", "hears", "goes-on", "makes"]


def test_what_has_been_read_was_written() -> None:
    """The write may be reported long after its reader has gone on: from somebody who has spoken before it counts."""
    wanted = {"side": "sent", "title": "GET /x"}
    follows = [
        table("asks", layer="client", on={"message": "http", "fields": wanted}),
        table("makes", layer="daemon", stop="entry", on={"action": "RootPivoted"}, after=["asks"]),
    ]
    matcher = Matcher(parse_stages(follows), NAMES)
    before = message(1, "sent", "HEAD /", "unix:8-9")
    makes = SyscallEntered(0, 2, 155, (1, 2), {"0": b".", "1": b"."})

    events: list[Event] = [*seated(), before, message(2, "received"), makes, message(1, "sent")]

    assert run(matcher, events) == ["asks", "makes"]


def test_earlier_message_of_another_kind_does_not_count() -> None:
    """Only the other end of the same message is waited for: another title, or another connection, is another."""
    matcher = Matcher(parse_stages(both_ends()), NAMES)
    early = [message(2, "received", title="GET /other"), message(2, "received", connection="unix:8-9")]

    assert run(matcher, [*seated(), *early, message(1, "sent")]) == ["asks"]


CHAINS: list[list[Event]] = [
    [
        ProcessForked(0, 0, 1, 1, "launched"),
        executed(1, "docker", "run"),
        ActionSeen(0, 1, 1, "TerminalModeSet", {"raw": True}, ()),
        ProcessExited(0, 1, 1, 0, None),
    ],
    [
        ProcessForked(0, 0, 3, 3, "launched"),
        executed(3, "runc", "create", "c"),
        ActionSeen(0, 3, 3, "HostnameSet", {"name": "x"}, ()),
        ActionSeen(0, 3, 3, "RootPivoted", {}, ()),
    ],
    [ProcessForked(0, 0, 2, 2, "launched"), executed(2, "dockerd"), ActionSeen(0, 2, 2, "FifoMade", {}, ())],
]
INDEPENDENT = [
    table("client-raw", layer="client", on={"action": "TerminalModeSet"}),
    table("client-gone", layer="client", on={"process": "exited"}, after=["client-raw"]),
    table("hostname", on={"action": "HostnameSet"}),
    table("pivot", on={"action": "RootPivoted"}, after=["hostname"]),
    table("fifo", layer="daemon", on={"action": "FifoMade"}),
]


@given(st.permutations([number for number, chain in enumerate(CHAINS) for _ in chain]))
def test_any_shuffle_of_independent_processes_gives_the_same_stages(order: list[int]) -> None:
    """Each process keeps its own order; how they interleave is a matter of luck."""
    chains = [iter(chain) for chain in CHAINS]
    events = [next(chains[number]) for number in order]

    found = run(Matcher(parse_stages(INDEPENDENT), NAMES), events)

    assert sorted(found) == sorted(str(stage["id"]) for stage in INDEPENDENT)
    for first, second in itertools.pairwise([["client-raw", "hostname"], ["client-gone", "pivot"]]):
        assert all(found.index(a) < found.index(b) for a, b in zip(first, second, strict=True))


TOLD = [
    table("starts", layer="client", on={"action": "Asked"}),
    table("runs", layer="runtime", on={"action": "Ran"}),
    table("told", layer="client", on={"action": "Told"}, after=["starts"], behind=["runs"]),
    table("speaks", on={"action": "Spoke"}, after=["runs"], behind=["told"], optional=True),
    table("heard", layer="daemon", on={"action": "Heard"}, after=["speaks"], optional=True),
    table("ends", on={"action": "Ended"}, after=["runs"], behind=["told", "heard"]),
    table("over", layer="daemon", on={"action": "Over"}, after=["ends"]),
]


def act(pid: int, name: str) -> Event:
    return ActionSeen(0, pid, pid, name, {}, ())


@given(st.permutations("client runtime runtime runtime daemon daemon".split()))
def test_independent_stages_are_told_in_one_order_however_they_interleave(order: list[str]) -> None:
    """What is seen while a stage before it is under way is entered behind it, and what follows from it after that."""
    chains = {
        "client": iter([act(1, "Told")]),
        "runtime": iter([act(3, "Ran"), act(3, "Spoke"), act(3, "Ended")]),
        "daemon": iter([act(2, "Heard"), act(2, "Over")]),
    }
    events = [next(chains[name]) for name in order]
    heard, spoke = events.index(act(2, "Heard")), events.index(act(3, "Spoke"))
    over, ended = events.index(act(2, "Over")), events.index(act(3, "Ended"))
    assume(heard > spoke and over > ended)  # the one is the effect of the other

    found = run(Matcher(parse_stages(TOLD), NAMES), [*seated(), act(1, "Asked"), *events])

    assert found == [stage["id"] for stage in TOLD]


def test_a_stage_does_not_wait_for_one_that_is_not_under_way() -> None:
    """A program that says nothing ends all the same; nobody hears what nobody said."""
    events = [act(1, "Asked"), act(3, "Ran"), act(1, "Told"), act(3, "Ended"), act(2, "Over")]

    assert run(Matcher(parse_stages(TOLD), NAMES), [*seated(), *events]) == ["starts", "runs", "told", "ends", "over"]


PRINTED = [
    table("speaks", on={"action": "Spoke"}),
    table("printed", layer="client", on={"action": "Printed"}, after=["speaks"], overtakes=["speaks"]),
    table("ends", on={"action": "Ended"}, after=["speaks"], behind=["printed"]),
]


def test_a_stage_may_be_reported_before_the_one_that_it_overtakes() -> None:
    """A pipe is read before its writer is told so; what waits for the reader is not lost."""
    events = [act(1, "Printed"), act(3, "Spoke"), act(3, "Ended")]

    assert run(Matcher(parse_stages(PRINTED), NAMES), [*seated(), *events]) == ["speaks", "printed", "ends"]


def test_nothing_waits_for_a_program_that_could_not_be_executed() -> None:
    """The init of a container has ended: it will not execute anything any more."""
    stages = [
        table("seals", on={"action": "RootPivoted"}),
        table("executes", on={"action": "ProgramExecuted"}, after=["seals"]),
        table("told", layer="client", on={"action": "Told"}, behind=["executes"]),
    ]
    events = [act(3, "RootPivoted"), act(1, "Told"), ProcessExited(0, 3, 3, 1, None)]

    assert run(Matcher(parse_stages(stages), NAMES), [*seated(), *events]) == ["seals", "told"]


def test_nothing_waits_for_a_client_that_has_ended() -> None:
    """It was not to print anything: the rest of the story is told without it."""
    seats = [executed(1, "docker", "run", "hostbox"), executed(3, "runc", "init")]
    events = [act(3, "Spoke"), act(3, "Ended"), ProcessExited(0, 1, 1, 0, None)]

    assert run(Matcher(parse_stages(PRINTED), NAMES), [*seats, *events]) == ["speaks", "ends"]
