"""The story in numbers: every call is counted once, whichever way it is looked at."""

import pytest

from tests.tui.story import CLIENT, DAEMON, Story, docker_run
from tracer import events as e
from tracer.codec import decode_header, encode_event
from tracer.lessons import FIRST, load_lesson
from tracer.model import TraceModel
from tracer.model.purposes import ELSE, NOT_SEEN_TO_START, TALKING
from tracer.model.statistics import BEFORE, OTHER, Statistics, Tally
from tracer.session.recording import Recording


def statistics_of(story: Story) -> Statistics:
    """Everything the story tells, counted."""
    model = TraceModel(decode_header(story.header))
    statistics = Statistics(model)
    for line in story.lines:
        model.apply_line(line.encode())
        statistics.take(line.encode())
    for _ in statistics.sort_out():
        pass
    return statistics


def started(story: Story) -> None:
    story.fork(0, CLIENT, "launched")
    story.execute(CLIENT, "python3", "-m", "runtime.client", "run", "hostbox")


def test_statistics_count_calls_errors_and_bytes() -> None:
    """Reads give bytes in, writes bytes out, and a failed call neither, but an errno's name."""
    story = Story()
    started(story)
    story.call(CLIENT, "read", 3, 1, 4096, result=1000)
    story.call(CLIENT, "recvfrom", 4, 1, 4096, result=24)
    story.call(CLIENT, "write", 1, 1, 10, result=10)
    story.call(CLIENT, "read", 3, 1, 4096, result=-11)
    story.call(CLIENT, "openat", 1, 1, 0, result=-2)
    story.call(CLIENT, "openat", 1, 1, 0, result=5000)

    total = statistics_of(story).total

    assert total.calls == 7  # the execve is one
    assert total.errors == {"EAGAIN": 1, "ENOENT": 1}
    assert (total.read_bytes, total.written_bytes) == (1024, 10)


def test_statistics_tell_interrupted_calls_from_failed_ones() -> None:
    """What the kernel begins again has not failed, and rt_sigreturn's result is somebody's register."""
    story = Story()
    started(story)
    for result in (-512, -513, -514, -516):
        story.call(CLIENT, "wait4", -1, 0, 0, result=result)
    for register in (-512, -11, -4):
        story.call(CLIENT, "rt_sigreturn", result=register)
    story.call(CLIENT, "wait4", -1, 0, 0, result=-4)
    statistics = statistics_of(story)

    assert statistics.total.calls == 9  # the execve is one
    assert statistics.total.errors == {"EINTR": 1}
    assert statistics.by_layer()["client"].interrupted == 4


def test_statistics_leave_out_the_time_in_which_everything_was_held() -> None:
    """A call that took 100 ms, of which 99.5 were a pause, took half a millisecond of traced time."""
    story = Story()
    started(story)
    begun = story.tick()
    story.add(e.StopReached(begun + 200_000, CLIENT, "interrupt"))
    story.add(e.HoldReleased(begun + 99_700_000))
    story.add(e.SyscallExited(begun + 100_000_000, CLIENT, 0, (3, 1, 1), 1, begun))

    total = statistics_of(story).total

    assert total.within_us(1.0) == 512
    assert sum(total.durations) == total.calls == 2


def test_statistics_tell_how_long_was_enough() -> None:
    """To the next power of two, for a share of the calls."""
    tally = Tally(calls=4)
    for microseconds, count in ((3, 2), (100, 1), (5_000_000, 1)):
        tally.durations[microseconds.bit_length()] += count

    assert [tally.within_us(share) for share in (0.5, 0.75, 1.0)] == [4, 128, 8_388_608]


def test_statistics_of_nothing_are_empty() -> None:
    """A recording that has only just begun."""
    statistics = statistics_of(Story())

    assert statistics.total == Tally()
    assert statistics.by_layer() == {}
    assert statistics.by_stage() == {}


def test_statistics_add_up_by_layer_stage_and_purpose() -> None:
    """Whichever way the calls are divided, all of them are there."""
    statistics = statistics_of(docker_run())
    total = statistics.total

    for parts in (statistics.by_layer(), statistics.by_stage()):
        assert sum(tally.calls for tally in parts.values()) == total.calls
        assert sum(tally.read_bytes for tally in parts.values()) == total.read_bytes
        assert all(tally.purposes.total() == tally.calls == sum(tally.durations) for tally in parts.values())


def test_statistics_give_a_call_to_the_stage_and_seat_it_was_made_in() -> None:
    """Stages in the order of the story, seats in the order of the layers."""
    statistics = statistics_of(docker_run())
    stages, layers = statistics.by_stage(), statistics.by_layer()

    assert list(stages)[:3] == [BEFORE, "client-parses", "client-asks-create"]
    assert list(layers) == ["client", "daemon", "containerd", "shim", "runtime", "container"]
    assert stages["client-parses"].purposes["dynamic linking"] == 34  # the execve showed the stage, and is before it
    assert layers["client"].purposes["dynamic linking"] == 35
    assert layers["client"].purposes[TALKING] == 8  # two requests, two answers; output twice in, twice out
    assert layers["daemon"].purposes["before the story: start-up of the stack"] > 50
    assert layers["runtime"].purposes["making namespaces"] >= 1


def test_statistics_count_calls_of_a_process_that_was_not_seen_to_start() -> None:
    """Nobody's calls are calls too."""
    story = Story()
    story.call(DAEMON, "read", 3, 1, 1, result=1)

    statistics = statistics_of(story)

    assert statistics.by_layer()[OTHER].purposes == {NOT_SEEN_TO_START: 1}


def test_statistics_name_a_lonely_call_by_its_sort() -> None:
    """Too few in a row to be folded: still files, memory or signals; what has no sort is everything else."""
    story = Story()
    started(story)
    story.linking(CLIENT)
    story.call(CLIENT, "connect", 5, 1, 110)
    story.call(CLIENT, "openat", 1, 1, 0, result=3)
    story.call(CLIENT, "brk")

    purposes = statistics_of(story).total.purposes

    assert (purposes["files"], purposes["memory"], purposes[ELSE]) == (1, 1, 1)


def test_statistics_read_odd_lines_as_the_codec_does() -> None:
    """The short way through a line gives what decoding it gives."""
    call = e.SyscallExited(5_000_000, CLIENT, 0, (3, 1, 9), 9, 1_000_000, {"1": b'],["exit"'}, {0: "/tmp/[1]"})
    story = Story()
    started(story)
    story.add(call)
    spaced = encode_event(call).replace(",", " , ")
    story.lines.append(spaced)

    total = statistics_of(story).total

    assert total.read_bytes == 18
    assert total.within_us(1.0) == 4096


@pytest.mark.slow
def test_statistics_of_the_bundled_recording_add_up() -> None:
    """26,166 calls of a real run: none is lost, and the phases with names of their own are found."""
    recording = Recording(load_lesson(FIRST).recording)
    recording.read_all()
    model = TraceModel(recording.header)
    statistics = Statistics(model)
    for line in recording.lines(0, len(recording)):
        model.apply_line(line)
        statistics.take(line)
    for _ in statistics.sort_out():
        pass
    recording.close()
    total = statistics.total

    assert total.calls == len(model.calls) == total.purposes.total() == sum(total.durations)
    assert {"dynamic linking", "interpreter start", "sealing the rootfs", "building the rootfs"} <= set(total.purposes)
    assert statistics.by_layer()["runtime"].purposes["sealing the rootfs"] > 10


def test_statistics_of_a_clock_that_went_back_count_no_time() -> None:
    """A damaged recording may say anything: a hold that ends before it began, or beyond any clock."""
    story = Story()
    started(story)
    story.add(e.StopReached(90_000, 0, "interrupt"))
    story.add(e.HoldReleased(72_000))
    story.call(CLIENT, "read", 3, 1, 4096, result=1000)
    story.add(e.StopReached(72_000, 0, "interrupt"))
    story.add(e.HoldReleased(2**70))

    assert statistics_of(story).total.read_bytes == 1000
