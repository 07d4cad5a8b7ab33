"""Pids told straight: which process did it, whatever number it has in whose eyes."""

import os
import sys
from collections.abc import Callable

import pytest

from tests.engine.conftest import TRACEES, Recording
from tracer.events import ProcessExecuted, ProcessExited, ProcessForked, SignalDelivered

Record = Callable[..., Recording]


def births(recording: Recording) -> list[ProcessForked]:
    """The processes that were made, in order, without the launched one and without threads."""
    return [event for event in recording.all(ProcessForked) if event.how not in ("launched", "thread")]


def test_a_process_that_executes_again_is_the_same_process(record_tracee: Record) -> None:
    """One pid and one start time, as /proc tells the process itself; each program one generation further."""
    recording = record_tracee("exec_again.py")

    (launched,) = recording.all(ProcessForked)
    told = {tuple((event.data["1"] or b"").split()) for event in recording.calls("write")}
    assert told == {(b"%d" % launched.pid, b"%d" % launched.start_time)}
    assert [event.generation for event in recording.all(ProcessExecuted)] == [1, 2, 3]
    assert {event.tid for event in recording.all(ProcessExecuted)} == {launched.tid}
    assert len(recording.all(ProcessExited)) == 1


@pytest.mark.root
@pytest.mark.parametrize("speed", ["full", "filtered"])
def test_an_inner_pid_that_is_anothers_outer_pid_is_not_mixed_up(record: Record, speed: str) -> None:
    """The child's kill(2) names its grandmother's number, and its own death follows; the grandmother lives on."""
    recording = record(sys.executable, "-I", "-S", str(TRACEES / "colliding_pids.py"), speed=speed)

    launched = recording.forked("launched")[0]
    init, child = births(recording)
    exits = {event.tid: (event.exit_code, event.signal) for event in recording.all(ProcessExited)}
    (kill,) = recording.calls("kill") or recording.entries("kill")
    (terminated,) = (event for event in recording.all(SignalDelivered) if event.signal == 15)
    (made,) = recording.calls("clone3") if speed == "full" else recording.calls("clone3")[-1:]
    assert (init.nspids, child.nspids) == ((init.tid, 1), (child.tid, launched.tid))
    assert child.parent_tid == init.tid
    assert (made.tid, made.result) == (init.tid, launched.tid)
    assert (kill.tid, kill.arguments[0]) == (child.tid, launched.tid)
    assert terminated.tid == child.tid
    assert exits == {child.tid: (None, 15), init.tid: (0, None), launched.tid: (0, None)}


@pytest.mark.root
def test_every_pid_of_a_nested_namespace_is_recorded(record_tracee: Record) -> None:
    """From the outermost to the innermost."""
    recording = record_tracee("nested_pid_namespaces.py")

    outer, inner = births(recording)
    executed = recording.all(ProcessExecuted)[-1]
    assert outer.nspids == (outer.tid, 1)
    assert (len(inner.nspids), inner.nspids[0], inner.nspids[2]) == (3, inner.tid, 1)
    assert executed.nspids == inner.nspids


@pytest.mark.root
def test_a_pid_that_is_used_again_is_another_process(record_tracee: Record) -> None:
    """The start times differ, and what is known of the first process's descriptors does not name the second's."""
    recording = record_tracee("reused_pid.py")

    first, second = births(recording)
    reads = [event for event in recording.calls("read") if event.tid == first.tid]
    gone = [event.exit_code for event in recording.all(ProcessExited) if event.tid == first.tid]
    assert first.tid == second.tid
    assert first.start_time < second.start_time
    assert [event.files[0] for event in reads] == ["/dev/zero", "/dev/null"]
    assert gone == [3, 4]


def test_threads_are_named_with_their_group(record_tracee: Record) -> None:
    """A thread's tid is its own, its pid its leader's; it is no process."""
    recording = record_tracee("leader_exits.py", exit_code=3)

    launched = recording.forked("launched")[0]
    (thread,) = recording.forked("thread")
    assert thread.tid != thread.pid == launched.pid == launched.tid
    assert thread.parent_tid == launched.tid
    assert thread.nspids == (thread.tid,)
    assert thread.start_time >= launched.start_time > 0


def test_start_time_is_the_kernels(record: Record) -> None:
    """Ticks since boot, so a process that is born now has started about now."""
    recording = record("true")

    with open("/proc/uptime") as file:
        now = float(file.read().split()[0]) * os.sysconf("SC_CLK_TCK")
    assert 0 < now - recording.forked("launched")[0].start_time < 60 * os.sysconf("SC_CLK_TCK")
