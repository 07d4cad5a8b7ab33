"""Filtered speed: what is watched is recorded as at full speed, what is not is named, and no filter does harm."""

import signal
import struct
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from tests.engine.conftest import TRACEES, Recording
from tracer.engine import bindings, seccomp_filter
from tracer.events import NoteMade, ProcessExecuted, SyscallExited

PYTHON = (sys.executable, "-I", "-S")
Record = Callable[..., Recording]


def watched(recording: Recording) -> set[str]:
    """The names of the calls that the recording says were watched."""
    note = next(note for note in recording.all(NoteMade) if note.topic == "filtered")
    return set(str(note.fields["calls"]).split())


def test_filtered_records_what_it_says_and_nothing_else(record: Record) -> None:
    """The header and a note say so; programs, births and deaths are all there."""
    full = record("sh", "-c", "cat /etc/hostname; true")
    filtered = record("sh", "-c", "cat /etc/hostname; true", speed="filtered")

    names = watched(filtered)
    recorded = {filtered.name(event.number) for event in filtered.all(SyscallExited)}
    assert (full.header.mode, filtered.header.mode) == ("full", "filtered")
    assert recorded <= names
    assert {"openat", "read", "write", "execve"} <= recorded
    assert {"close", "mmap", "rt_sigaction"}.isdisjoint(names)
    assert filtered.programs() == full.programs()
    assert len(filtered.forked("vfork") + filtered.forked("fork") + filtered.forked("clone")) == len(
        full.forked("vfork") + full.forked("fork") + full.forked("clone")
    )
    assert filtered.end().exit_code == 0


def test_a_watched_call_is_recorded_as_at_full_speed(record_tracee: Record, record: Record) -> None:
    """The same calls in the same order, with the same data and the same files."""
    path = str(TRACEES / "split_http_write.py")
    full = record_tracee("split_http_write.py")
    filtered = record(*PYTHON, path, speed="filtered")

    def story(recording: Recording) -> list[tuple[object, ...]]:
        parent = recording.all(ProcessExecuted)[-1].tid
        return [
            (
                recording.name(event.number),
                event.result,
                event.data,
                [name.split(":")[0] for name in event.files.values()],
            )
            for event in recording.all(SyscallExited)
            if event.tid == parent
            and recording.name(event.number) in ("openat", "read", "sendto", "writev", "recvfrom")
        ]

    assert story(filtered) == story(full)


def test_descriptors_that_are_used_again_are_named_right(record: Record) -> None:
    """close and dup are not watched, so nothing is remembered that they could make untrue."""
    recording = record(*PYTHON, str(TRACEES / "fd_passing.py"), speed="filtered")

    reads = recording.calls("read")[-2:]
    assert reads[0].files[0] == "/dev/null"
    assert reads[1].data["1"] == b"through the pipe"
    assert reads[1].files[0].startswith("pipe:[")


def test_a_process_with_a_filter_of_its_own_is_watched_from_there(record: Record) -> None:
    """What its filter denies would fail unseen under ours: it is recorded, in the process and in its child."""
    recording = record(*PYTHON, str(TRACEES / "own_filter.py"), speed="filtered")

    place, note = next(
        (place, event)
        for place, event in enumerate(recording.events)
        if isinstance(event, NoteMade) and event.topic == "watching"
    )
    denied = recording.calls("uname")
    parent = recording.all(ProcessExecuted)[-1].tid
    (child,) = (event.tid for event in recording.forked("fork") + recording.forked("clone"))
    installed = [event for event in recording.calls("prctl") if event.arguments[0] == 22]
    assert note.fields == {"pid": parent}
    assert [(event.tid, event.result) for event in denied] == [(parent, -1), (child, -1)]
    assert all(recording.events.index(event) > place for event in denied)
    assert [(event.tid, event.result) for event in installed] == [(parent, 0)]
    assert {recording.name(event.number) for event in recording.events[place:] if isinstance(event, SyscallExited)} > {
        "wait4"
    }


def test_a_killed_engine_leaves_no_process_that_is_denied_its_calls(tmp_path: Path) -> None:
    """SIGKILL to the engine kills all that has its filter, before any of them sees an ENOSYS."""
    mark = tmp_path / "mark"
    mark.touch()
    command = [sys.executable, "-m", "tracer.engine", "--recording", str(tmp_path / "r.jsonl"), "--speed", "filtered"]
    command += ["--", *PYTHON, str(TRACEES / "enosys_witness.py"), str(mark)]
    engine = subprocess.Popen(command, stdout=subprocess.PIPE)
    assert engine.stdout is not None
    assert engine.stdout.readline() == b"started\n"
    tracees = children(engine.pid)

    engine.send_signal(signal.SIGKILL)
    engine.wait()

    assert engine.stdout.read() == b"", "the pipe closes with its last writer"
    engine.stdout.close()
    assert len(tracees) == 9
    deadline = time.monotonic() + 10
    while any(alive(pid) for pid in tracees):
        assert time.monotonic() < deadline
    assert mark.stat().st_size == 0


def test_without_the_capability_new_privileges_are_given_up_first(tmp_path: Path, require: Callable[..., None]) -> None:
    """Who may not install a filter as it is gets filtered speed all the same."""
    require("setpriv")
    path = tmp_path / "recording.jsonl"
    command = ["setpriv", "--bounding-set=-sys_admin", sys.executable, "-m", "tracer.engine", "--speed", "filtered"]
    command += ["--recording", str(path), "--", "grep", "-E", "NoNewPrivs|Seccomp_filters", "/proc/self/status"]

    finished = subprocess.run(command, check=True, capture_output=True, text=True)

    assert finished.stdout.split() == ["NoNewPrivs:", "1", "Seccomp_filters:", "1"]
    assert Recording(path).programs() == ["grep"]
    assert Recording(path).calls("openat")


def test_the_filter_traces_its_calls_and_every_foreign_one() -> None:
    """The program, run by hand: trace, trace, allow."""
    arch = bindings.AUDIT_ARCH["x86_64"]
    program = seccomp_filter.program({2, 257}, arch)

    assert verdict(program, 257, arch) == verdict(program, 2, arch) == 0x7FF00000
    assert verdict(program, 0, arch) == verdict(program, 3, arch) == 0x7FFF0000
    assert verdict(program, 3, 0x40000003) == 0x7FF00000
    assert verdict(program, 0x40000003, arch) == 0x7FF00000


def test_the_filter_lets_sigurg_pass() -> None:
    """Go's threads interrupt each other by it; every other signal, and every other call with that number, is traced."""
    arch = bindings.AUDIT_ARCH["x86_64"]
    program = seccomp_filter.program({2, 234, 257}, arch, tgkill=234)

    assert verdict(program, 234, arch, signal.SIGURG) == 0x7FFF0000
    assert verdict(program, 234, arch, signal.SIGTERM) == 0x7FF00000
    assert verdict(program, 257, arch, signal.SIGURG) == verdict(program, 2, arch, signal.SIGURG) == 0x7FF00000


def test_signals_to_threads_are_recorded_but_for_sigurg(record: Record) -> None:
    """And the note says so."""
    send = "import signal, threading; signal.signal(10, lambda *_: None)\n"
    send += "for number in (23, 10, 23): signal.pthread_kill(threading.get_ident(), number)"
    recording = record(*PYTHON, "-c", send, speed="filtered")

    assert [event.arguments[2] for event in recording.calls("tgkill")] == [signal.SIGUSR1]
    note = next(note for note in recording.all(NoteMade) if note.topic == "filtered")
    assert "of tgkill not SIGURG" in note.text


def verdict(program: bytes, number: int, arch: int, argument: int = 0) -> int:
    """What a BPF program of the four instructions that filters are made of returns."""
    lines = list(struct.iter_unpack("<HBBI", program))
    place = accumulator = 0
    while True:
        code, true, false, operand = lines[place]
        place += 1
        if code == 0x20:
            accumulator = {0: number, 4: arch, 32: argument}[operand]
        elif code == 0x06:
            return int(operand)
        else:
            place += true if (accumulator == operand if code == 0x15 else accumulator >= operand) else false


def children(pid: int) -> list[int]:
    """All descendants of a process."""
    with open(f"/proc/{pid}/task/{pid}/children") as file:
        found = [int(word) for word in file.read().split()]
    return [each for child in found for each in (child, *children(child))]


def alive(pid: int) -> bool:
    """Whether it is there and not a zombie."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
