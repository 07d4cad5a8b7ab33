"""Each odd tracee is recorded exactly as it is; the engine neither hangs nor lies."""

import signal
import struct
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.engine.conftest import Recording
from tracer.engine.capture import STREAM_LIMIT
from tracer.events import NoteMade, ProcessExecuted, ProcessExited, ProcessForked, SignalDelivered

Record = Callable[..., Recording]


def test_fork_then_exec_is_recorded_in_order(record_tracee: Record) -> None:
    """Birth, entry of execve, the new program, its death, the parent's wait."""
    recording = record_tracee("fork_then_exec.py")

    (child,) = (*recording.forked("fork"), *recording.forked("clone"))
    executed = recording.all(ProcessExecuted)[-1]
    (gone,) = (event for event in recording.all(ProcessExited) if event.tid == child.tid)
    places = [recording.events.index(event) for event in (child, executed, gone)]
    assert executed.argv == ("true", "of", "the", "child")
    assert executed.tid == child.tid
    assert executed.generation == 1
    assert gone.exit_code == 0
    assert places == sorted(places)
    assert recording.end().exit_code == 0


def test_vfork_keeps_the_childs_strings_apart(record_tracee: Record) -> None:
    """After vfork and exec, paths come from the new program's memory."""
    recording = record_tracee("vfork_then_exec.py")

    (child,) = (*recording.forked("vfork"), *recording.forked("clone"))
    opened = [event.data["1"] for event in recording.calls("openat") if event.tid == child.tid]
    assert b"/dev/null" in opened
    assert None not in opened
    assert recording.programs()[-1] == "cat"


def test_clone3_is_recorded_with_its_arguments(record_tracee: Record) -> None:
    """The flags are read from memory, and the child is a process, not a thread."""
    recording = record_tracee("clone3.py", exit_code=7)

    child = recording.forked("fork")[-1]
    (call,) = (event for event in recording.calls("clone3") if event.result == child.tid)
    arguments = call.data["0"]
    assert arguments is not None
    assert struct.unpack_from("<5Q", arguments)[4] == signal.SIGCHLD
    assert child.pid == child.tid
    assert recording.end().exit_code == 7


def test_exec_by_another_thread_moves_it_to_the_leaders_tid(record_tracee: Record) -> None:
    """The former tid is named, and nothing else is recorded of it afterwards."""
    recording = record_tracee("thread_exec.py")

    executed = recording.all(ProcessExecuted)[-1]
    threads = {event.tid for event in recording.forked("thread")}
    place = recording.events.index(executed)
    later = {getattr(event, "tid", 0) for event in recording.events[place + 1 :]}
    assert executed.former_tid in threads
    assert executed.tid not in threads
    assert executed.former_tid not in later
    assert recording.calls("write")[-1].tid == executed.tid


def test_split_http_writes_are_captured_whole(record_tracee: Record) -> None:
    """Every piece is there, iovecs gathered, both ends named by inode."""
    recording = record_tracee("split_http_write.py")

    pair = [event for event in recording.calls("sendto", "writev") if event.files[0].startswith("unix:[")]
    request = b"".join(event.data["1"] or b"" for event in pair if event.data["1"] and b"204" not in event.data["1"])
    client = next(event.files[0] for event in pair if event.data["1"] == b'{"Image":"alpine"}'[:18])
    server = next(event.files[0] for event in pair if b"204" in (event.data["1"] or b""))
    own, _, peer = client.removeprefix("unix:[").removesuffix("]").partition("->")
    assert request == (
        b'POST /v1.41/containers/create HTTP/1.1\r\nHost: docker\r\nContent-Length: 17\r\n\r\n{"Image":"alpine"}'
    )
    assert server == f"unix:[{peer}->{own}]"


def test_a_passed_descriptor_is_named_for_what_it_is(record_tracee: Record) -> None:
    """The number meant /dev/null before; the read through the passed pipe says pipe."""
    recording = record_tracee("fd_passing.py")

    (call,) = (event for event in recording.calls("read") if event.data.get("1") == b"through the pipe")
    (message,) = recording.calls("recvmsg")
    assert call.files[0].startswith("pipe:[")
    assert message.data["1"] == b"here"
    assert len(message.data["1.control"] or b"") >= struct.calcsize("QiiI")


@pytest.mark.root
def test_pids_of_a_namespace_are_told_inside_and_outside(record_tracee: Record) -> None:
    """Inner pids 1 and 2 collide with outer ones; both are recorded, and nothing is mixed up."""
    recording = record_tracee("pid_namespace.py")

    inner = [event for event in recording.forked("fork") + recording.forked("clone") if len(event.nspids) == 2]
    executed = recording.all(ProcessExecuted)[-1]
    assert [event.nspids[1] for event in inner] == [1, 2]
    assert [event.nspids[0] for event in inner] == [event.tid for event in inner]
    assert executed.tid == inner[1].tid
    assert executed.nspids == inner[1].nspids
    assert all(event.tid > 2 for event in inner)


def test_a_relative_path_is_told_with_its_folder(record_tracee: Record) -> None:
    """Inherited, moved, and moved by another that shares it."""
    recording = record_tracee("folders.py")

    looked = {event.data["1"]: event.files[0] for event in recording.calls("openat") if event.result == -2}
    assert {name: folder for name, folder in looked.items() if name and b"-" in name[:7]} == {
        b"parent-first": "/usr",
        b"child-first": "/usr",
        b"child-then": "/etc",
        b"parent-then": "/usr",
        b"parent-last": "/dev",
    }


def test_a_child_that_no_tracer_sees_is_said_to_be_missing(record_tracee: Record) -> None:
    """CLONE_UNTRACED: nothing of it is recorded but that it was asked for, and its maker goes on as without us."""
    recording = record_tracee("untraced.py", exit_code=6)

    (call,) = recording.calls("clone3")
    (note,) = (note for note in recording.all(NoteMade) if note.topic == "untraced")
    assert call.result not in {event.tid for event in recording.all(ProcessForked)}
    assert note.fields == {"tid": call.tid}


def test_a_double_fork_keeps_its_real_maker(record_tracee: Record) -> None:
    """The grandchild is recorded as the middle's child, though its parent in /proc is the subreaper by then."""
    recording = record_tracee("double_fork.py", exit_code=5)

    middle, grandchild = recording.forked("fork") or recording.forked("clone")
    exits = {event.tid: event.exit_code for event in recording.all(ProcessExited)}
    assert grandchild.parent_tid == middle.tid
    assert exits[middle.tid] == 0
    assert exits[grandchild.tid] == 5


def test_clone_parent_keeps_its_real_maker(record_tracee: Record) -> None:
    """Its parent in /proc is another: the recording names the task that made the call."""
    recording = record_tracee("clone_parent.py")

    middle = (recording.forked("fork") or recording.forked("clone"))[0]
    (call,) = (event for event in recording.calls("clone3") if event.tid == middle.tid)
    (child,) = (event for event in recording.forked("fork") + recording.forked("clone") if event.tid == call.result)
    assert child.parent_tid == middle.tid


def test_a_process_outlives_its_leader(record_tracee: Record) -> None:
    """The thread's calls are read and named although /proc/PID is a zombie's, and the exit code is the group's."""
    recording = record_tracee("leader_exits.py", exit_code=3)

    leader = recording.forked("launched")[0].tid
    (thread,) = recording.forked("thread")
    write = recording.calls("write")[-1]
    exits = {event.tid: event.exit_code for event in recording.all(ProcessExited)}
    assert (write.tid, write.data["1"]) == (thread.tid, b"still here\n")
    assert 0 in write.files
    assert exits[leader] == 3
    assert recording.end().exit_code == 3


@pytest.mark.slow
def test_tasks_killed_in_their_calls_are_survived(record_tracee: Record) -> None:
    """Every task that was born is gone at the end, all of them of the signal, and no stop was unknown."""
    recording = record_tracee("killed.py")

    born = {event.tid for event in recording.forked("fork") + recording.forked("clone") + recording.forked("thread")}
    gone = {event.tid: event for event in recording.all(ProcessExited)}
    assert born <= gone.keys()
    assert {gone[tid].signal for tid in born} == {signal.SIGKILL}
    assert not [note for note in recording.all(NoteMade) if note.topic == "unknown-stop"]


def test_a_flood_is_captured_within_bounds(record_tracee: Record) -> None:
    """The beginning of each transfer, and the result says that it was more."""
    recording = record_tracee("flood.py")

    block = bytes(range(256)) * (STREAM_LIMIT // 256)
    sent = [event for event in recording.calls("sendto") if event.arguments[2] == 600 * 1024]
    assert len(sent) == 5
    assert all(event.result == 600 * 1024 and event.data["1"] == block for event in sent)


def test_unreadable_pointers_are_said_to_be_unreadable(record_tracee: Record) -> None:
    """None where nothing can be read, the part before the hole where something can, and the call's own error."""
    recording = record_tracee("hostile_memory.py")

    last = recording.calls("openat")[-4:]
    write = recording.calls("write")[-1]
    assert [(event.data.get("1"), event.result) for event in last] == [
        (None, -14),
        (None, -14),
        (None, -14),
        (b"/edge", -14),
    ]
    assert "1" not in last[0].data
    assert (write.data["1"], write.result) == (None, -14)


def test_a_stopped_process_stays_stopped_until_continued(record_tracee: Record) -> None:
    """SIGSTOP takes effect under the engine as without it: PTRACE_LISTEN keeps the group stop."""
    recording = record_tracee("stopped.py")

    numbers = [event.signal for event in recording.all(SignalDelivered)]
    assert signal.SIGSTOP in numbers
    assert numbers.index(signal.SIGSTOP) < numbers.index(signal.SIGCONT)


def test_a_signal_is_recorded_with_its_sender_and_delivered(record_tracee: Record) -> None:
    """The handler ran (exit code 0), and who sent it is known."""
    recording = record_tracee("signals.py")

    child = (recording.forked("fork") or recording.forked("clone"))[-1]
    (delivered,) = (event for event in recording.all(SignalDelivered) if event.signal == signal.SIGUSR1)
    assert (delivered.code, delivered.sender_pid) == (0, child.pid)


def test_unix_sockets_are_named_with_path_and_peer(record_tracee: Record, tmp_path: Path) -> None:
    """Both ends of an accepted connection name each other and the server's path."""
    path = f"{tmp_path}/server.sock"
    recording = record_tracee("sockets.py", path)

    from_server = next(event for event in recording.calls("sendto") if event.data["1"] == b"from the server")
    from_client = next(event for event in recording.calls("sendto") if event.data["1"] == b"from the client")
    (connect,) = recording.calls("connect")
    server, client = (
        event.files[0].removeprefix("unix:[").removesuffix("]").split(",") for event in (from_server, from_client)
    )
    assert server[1] == client[1] == f'"{path}"'
    assert server[0].split("->") == client[0].split("->")[::-1]
    assert (connect.data["1"] or b"").startswith(b"\x01\x00" + path.encode())
