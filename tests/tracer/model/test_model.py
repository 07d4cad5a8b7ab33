"""The model: the tree, the conversation, folding and links at any moment of a recording."""

import random
from pathlib import Path

import pytest

from tests.tui.story import CLIENT, CONTAINERD, DAEMON, INIT, NUMBERS, RUNTIME, SHIM, Story, docker_run
from tracer import events as e
from tracer.codec import decode_event, decode_header
from tracer.model import Link, TraceModel
from tracer.model.links import links_of_containerd_event, links_of_event, links_of_message, links_of_process
from tracer.model.phases import BEFORE
from tracer.stages.layers import Layer


def model_of(story: Story) -> TraceModel:
    model = TraceModel(decode_header(story.header))
    for line in story.lines:
        model.apply_line(line.encode())
    return model


@pytest.fixture(name="model", scope="module")
def _model() -> TraceModel:
    return model_of(docker_run())


def pids(model: TraceModel, cursor: int) -> list[tuple[int, int]]:
    return [(branch.depth, branch.process.pid) for branch in model.processes.tree_at(cursor)]


def test_tree_shows_who_made_whom(model: TraceModel) -> None:
    """Every process stands below its maker."""
    assert pids(model, model.applied) == [
        (0, CONTAINERD), (1, SHIM), (2, RUNTIME), (3, INIT), (0, DAEMON), (0, CLIENT),
    ]  # fmt: skip


def test_tree_at_an_earlier_moment_lacks_what_came_later(model: TraceModel) -> None:
    """The cursor decides: before the shim was made, it is not there, and asking changes nothing."""
    before = next(process.born for process in model.processes.all if process.pid == SHIM) - 1

    assert pids(model, before) == [(0, CONTAINERD), (0, DAEMON), (0, CLIENT)]
    assert len(pids(model, model.applied)) == 6


def test_process_seats_follow_what_it_executes(model: TraceModel) -> None:
    """The runtime's child is in the runtime's seat until the user's program is executed in it."""
    init = next(process for process in model.processes.all if process.pid == INIT)
    executed = init.executions[-1].sequence

    assert init.layer_at(executed - 1) is Layer.RUNTIME
    assert init.layer_at(executed) is Layer.CONTAINER
    assert init.nspids_at(executed) == (INIT, 1)


def test_process_of_a_reused_pid_is_another_process() -> None:
    """A pid that comes back names a new process; the old one's end stays."""
    story = Story()
    story.fork(0, 500, "launched")
    story.add(e.ProcessExited(1, 500, 500, 7, None))
    story.fork(0, 500, "launched")
    model = model_of(story)

    first, second = model.processes.all

    assert (first.exit_code, second.ended) == (7, -1)
    assert model.processes.of_task(500) == second.index


def test_threads_are_counted_and_their_calls_are_the_processes() -> None:
    """A thread makes no branch; exec by one of them ends the others."""
    story = Story()
    story.fork(0, 500, "launched")
    story.add(e.ProcessForked(1, 500, 501, 500, "thread"))
    call = story.call(501, "openat")
    executed = story.add(e.ProcessExecuted(2, 500, 501, "/bin/x", ("x",), (), "/", 1))
    model = model_of(story)

    process = model.processes.all[0]

    assert list(process.calls) == [call]
    assert process.threads_at(call) == 2
    assert process.threads_at(executed) == 1


def test_messages_are_seen_by_both_ends_and_paired(model: TraceModel) -> None:
    """One row a message, and each response knows its request."""
    titles = [(message.title, message.partner) for message in model.conversation.messages]

    assert all(message.sent and message.received for message in model.conversation.messages)
    assert titles[0] == ("POST /v1.41/containers/create?name=alpine", 1)
    assert titles[1] == ("201 Created", 0)


def test_message_sightings_may_come_in_any_order() -> None:
    """The kernel may wake the reader before the writer returns: it is one message all the same."""
    story = Story()
    story.fork(0, CLIENT, "launched")
    story.fork(0, DAEMON, "launched")
    for side, pid in (("received", DAEMON), ("sent", CLIENT)):
        story.add(e.MessageSeen(1, pid, pid, "unix:1-2", "http", "request", side, "GET /_ping", {}, "", ()))  # type: ignore[arg-type]
    model = model_of(story)

    (message,) = model.conversation.messages

    assert message.sent is not None
    assert message.sent.process == 0
    assert message.received is not None
    assert message.received.process == 1


def test_containerd_event_is_one_row_however_often_it_is_passed_on(model: TraceModel) -> None:
    """Shim to containerd to daemon: four sightings, one event."""
    topics = [(event.topic, len(event.sightings)) for event in model.conversation.events]

    assert topics == [("/tasks/create", 4), ("/tasks/start", 2), ("/tasks/exit", 2)]


def test_phases_fold_and_their_counts_add_up(model: TraceModel) -> None:
    """Linking is one line; all segments together are all calls."""
    for process in model.processes.all:
        fold = model.phases_of(process, model.applied)
        segments = list(fold.segments(len(process.calls)))

        assert sum(segment.stop - segment.start for segment in segments) == len(process.calls)
        assert [segment.start for segment in segments[1:]] == [segment.stop for segment in segments[:-1]]
    client = next(process for process in model.processes.all if process.pid == CLIENT)
    assert next(model.phases_of(client, model.applied).segments(9999)).name == "dynamic linking"
    daemon = next(process for process in model.processes.all if process.pid == DAEMON)
    assert next(model.phases_of(daemon, model.applied).segments(9999)).name == BEFORE


def test_phases_are_the_same_however_they_are_asked_for() -> None:
    """Asked call by call while the recording grows, or once at the end: the same segments."""
    story = docker_run()
    grown, whole = TraceModel(decode_header(story.header)), model_of(story)
    for line in story.lines:
        grown.apply_line(line.encode())
        for process in grown.processes.all:
            grown.phases_of(process, grown.applied)

    for process in whole.processes.all:
        expected = list(whole.phases_of(process, whole.applied).segments(len(process.calls)))
        if process.pid not in (DAEMON, CONTAINERD):  # what is before the story is known only once it begins
            again = grown.phases_of(grown.processes.all[process.index], grown.applied)
            assert list(again.segments(len(process.calls))) == expected


def test_phases_never_fold_a_call_that_mattered() -> None:
    """A call that turns out to have carried a message is taken out of its run, even if it was folded before."""
    story = Story()
    story.fork(0, 500, "launched")
    calls = [story.call(500, "read", 3) for _ in range(20)]
    model = model_of(story)
    process = model.processes.all[0]
    folded = list(model.phases_of(process, model.applied).segments(20))

    model.apply(e.MessageSeen(1, 500, 500, "c", "http", "request", "received", "GET /", {}, "", (calls[10],)))
    after = list(model.phases_of(process, model.applied).segments(20))

    assert [(segment.start, segment.stop) for segment in folded] == [(0, 20)]
    assert [(segment.start, segment.stop, segment.name) for segment in after] == [
        (0, 10, "files"), (10, 11, ""), (11, 20, "files"),
    ]  # fmt: skip


def test_row_counts_agree_with_segments(model: TraceModel) -> None:
    """A row for each folded run and for each single call, at any moment."""
    client = next(process for process in model.processes.all if process.pid == CLIENT)
    fold = model.phases_of(client, model.applied)

    for count in range(1, len(client.calls) + 1):
        rows = sum(1 if one.name else one.stop - one.start for one in fold.segments(count))
        assert fold.row_count(count) == rows


def test_choosing_a_call_lights_up_what_it_carried(model: TraceModel) -> None:
    """From a write to the message, to both programs, and to the requests it happened under."""
    message = next(one for one in model.conversation.messages if one.title == "Tasks/Create")
    assert message.sent is not None
    call = message.sent.calls[0]

    links = links_of_event(model, call)

    assert links.message(message.index) is Link.DIRECT
    pids_lit = {model.processes.all[index].pid for index in links.processes}
    assert pids_lit == {DAEMON, CONTAINERD}
    assert model.conversation.messages[links.why[0]].title.endswith("/start")


def test_choosing_a_request_lights_up_what_it_led_to(model: TraceModel) -> None:
    """A POST /start leads to the shim, the runtime and the container's first process, and to containerd's events."""
    start = next(one for one in model.conversation.messages if one.title.endswith("/start"))

    links = links_of_message(model, start)

    during = {model.processes.all[index].pid for index in links.during_processes}
    assert during == {SHIM, RUNTIME, INIT}
    assert {model.conversation.events[index].topic for index in links.during_events} == {
        "/tasks/create",
        "/tasks/start",
    }
    assert start.partner in links.messages


def test_choosing_an_action_tells_why(model: TraceModel) -> None:
    """A mount in the container's init happened under start, Tasks/Create and the shim's Create, in this order."""
    pivot = next(action for action in model.actions if action.action == "RootPivoted")

    links = links_of_event(model, pivot.sequence)

    assert [model.conversation.messages[index].title.split("/")[-1] for index in links.why] == [
        "start",
        "Create",
        "Create",
    ]
    assert set(pivot.calls) <= links.calls


def test_choosing_a_process_and_an_event_light_up_their_own(model: TraceModel) -> None:
    """A process lights up what it said; an event everyone who passed it on."""
    shim = next(process for process in model.processes.all if process.pid == SHIM)

    of_process = links_of_process(model, shim.index)
    of_event = links_of_containerd_event(model, 0)

    assert {model.conversation.messages[index].protocol for index in of_process.messages} == {"ttrpc"}
    assert shim.birth_call in of_process.calls
    assert {model.processes.all[index].pid for index in of_event.processes} == {SHIM, CONTAINERD, DAEMON}


def test_waiting_call_is_there_while_it_waits(model: TraceModel) -> None:
    """Between a call's entry and its exit the process is in it, and neither before nor after."""
    init = next(process for process in model.processes.all if process.pid == INIT)
    ((entry, done),) = init.waiting.items()

    assert model.waiting_at(init, entry - 1) == []
    assert model.waiting_at(init, entry) == [entry]
    assert model.waiting_at(init, done) == []
    assert model.call_name(entry) == "read"


def test_model_is_the_same_from_lines_and_from_events(tmp_path: Path) -> None:
    """Reading calls off their lines without decoding them changes nothing."""
    story = docker_run()
    by_line, by_event = model_of(story), TraceModel(decode_header(story.header))

    for line in story.lines:
        by_event.apply(decode_event(line))

    assert by_line.numbers == by_event.numbers
    assert by_line.owners == by_event.owners
    assert by_line.calls == by_event.calls


def test_model_takes_any_order_of_independent_processes() -> None:
    """Two processes that have nothing to do with each other may interleave at will."""
    story = Story()
    story.fork(0, 500, "launched")
    story.fork(0, 600, "launched")
    head = len(story.lines)
    for pid in (500, 600):
        for name in ("openat", "read", "close", "socket"):
            story.call(pid, name, 3)
    shuffled = list(story.lines)
    tail = shuffled[head:]
    random.Random(7).shuffle(tail)
    shuffled[head:] = tail
    other = Story()
    other.lines = shuffled

    one, two = model_of(story), model_of(other)

    assert [len(p.calls) for p in one.processes.all] == [len(p.calls) for p in two.processes.all]
    assert sorted(one.numbers) == sorted(two.numbers)
    assert NUMBERS["socket"] in one.numbers
