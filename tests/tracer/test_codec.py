"""Every event survives the file, and damage is named by its line."""

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracer import codec, commands, events
from tracer.codec import RecordingError

TEXT = st.text(st.characters(codec="utf-8"), max_size=40)
NUMBER = st.integers(-(2**63), 2**64 - 1)
COUNT = st.integers(0, 2**63)
TID = st.integers(0, 2**22)
DATA = st.dictionaries(st.sampled_from(["0", "1", "1.name", "4"]), st.none() | st.binary(max_size=300), max_size=3)
FILES = st.dictionaries(st.integers(0, 5), TEXT, max_size=3)
ARGUMENTS = st.lists(st.integers(0, 2**64 - 1), max_size=6).map(tuple)
TEXTS = st.lists(TEXT, max_size=4).map(tuple)
FIELDS = st.dictionaries(TEXT, TEXT | NUMBER | st.booleans() | st.none(), max_size=4)
CALLS = st.lists(COUNT, max_size=3).map(tuple)
MAYBE = st.none() | st.integers(0, 255)
WITH_CALLS = (
    '{"glassbottom": 1, "created": "", "kernel": "", "architecture": "", "command": [], "seats": {}, "stages": [], '
    '"syscalls": %s}'
)

EVENTS = st.one_of(
    st.builds(
        events.ProcessForked, COUNT, TID, TID, TID, st.sampled_from(["fork", "thread"]), CALLS, COUNT, NUMBER
    ),
    st.builds(events.ProcessExecuted, COUNT, TID, TID, TEXT, TEXTS, TEXTS, TEXT, TID, CALLS),
    st.builds(events.ProcessExited, COUNT, TID, TID, MAYBE, MAYBE),
    st.builds(events.SyscallEntered, COUNT, TID, NUMBER, ARGUMENTS, DATA, FILES),
    st.builds(events.SyscallExited, COUNT, TID, NUMBER, ARGUMENTS, NUMBER, COUNT, DATA, FILES),
    st.builds(events.SignalDelivered, COUNT, TID, TID, NUMBER, TID),
    st.builds(
        events.MessageSeen,
        COUNT, TID, TID, TEXT, TEXT, st.sampled_from(["request", "data"]), st.just("sent"), TEXT, FIELDS, TEXT, CALLS,
    ),
    st.builds(events.ActionSeen, COUNT, TID, TID, TEXT, FIELDS, CALLS),
    st.builds(events.StageEntered, COUNT, TID, TID, TEXT, COUNT),
    st.builds(events.StopReached, COUNT, TID, st.sampled_from(["stage", "event", "interrupt"]), st.none() | TEXT),
    st.builds(events.HoldReleased, COUNT),
    st.builds(events.NoteMade, COUNT, TEXT, TEXT, FIELDS),
    st.builds(events.RecordingEnded, COUNT, MAYBE, TEXT),
)  # fmt: skip


@given(EVENTS)
def test_an_event_survives_its_line(event: events.Event) -> None:
    """Whatever it holds: one line, and the same event again."""
    line = codec.encode_event(event)

    assert line.endswith("\n")
    assert line.count("\n") == 1
    assert codec.decode_event(line.encode().decode()) == event


@given(st.binary(max_size=2000))
def test_every_byte_of_a_tracee_survives(data: bytes) -> None:
    """Captured memory is any bytes at all."""
    event = events.SyscallExited(1, 2, 3, (4,), len(data), 0, {"1": data})

    assert codec.decode_event(codec.encode_event(event)) == event


@given(COUNT, TID, ARGUMENTS, NUMBER, DATA, FILES)
def test_the_hot_path_writes_what_the_general_one_reads(
    time_ns: int,
    tid: int,
    arguments: tuple[int, ...],
    result: int,
    data: dict[str, bytes | None],
    files: dict[int, str],
) -> None:
    """A line put together by hand is the same event."""
    line = codec.encode_syscall_exited(time_ns, tid, 257, arguments, result, 5, data, files)

    assert codec.decode_event(line) == events.SyscallExited(time_ns, tid, 257, arguments, result, 5, data, files)


def test_trailing_defaults_are_left_out() -> None:
    """A call without captured data is a short line."""
    event = events.SyscallExited(10, 20, 39, (), 20, 5)

    assert codec.encode_event(event) == '["exit",10,20,39,[],20,5]\n'


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ('["exit", 1, 2', "line 7: not JSON (expecting ',' delimiter, column 14); the recording is truncated or"),
        ('["dreamt", 1]', "line 7: unknown event 'dreamt', perhaps of a newer glassbottom"),
        ("{}", "line 7: unknown event"),
        ("[" * 100_000, "line 7: not JSON (too deeply nested)"),
        ('["exited", 1]', "line 7: a damaged 'exited' event (1 of its 5 values are there)"),
        ('["exit", 1, 2, 3, 4, 0, 0]', "line 7: a damaged 'exit' event ('4' where a list should be)"),
        ('["exit", 1, 2, 3, [], 0, 0, 5]', "line 7: a damaged 'exit' event (a value in it is not of the kind that"),
        ('["exit", 1, 2, 3, [], 0, 0, {"1": 2}]', "'exit' event (a value in it is not of the kind that stands there)"),
        ('["exit", 1, 2, 3, [], 0, 0, {"1": "\u2192"}]', "(a value in it is not of the kind that stands there)"),
    ],
)
def test_a_damaged_line_is_named(line: str, complaint: str) -> None:
    """The reader learns which line and what is wrong."""
    with pytest.raises(RecordingError) as caught:
        codec.decode_event(line, 7)

    assert complaint in str(caught.value)


def test_a_header_survives_its_line() -> None:
    """Tables, stages and seats included."""
    header = events.RecordingHeader(
        version=codec.VERSION,
        created="2026-11-24T10:00:00Z",
        kernel="6.18",
        architecture="x86_64",
        command=("docker", "run", "hostbox"),
        seats={"daemon": "python -m runtime.daemon"},
        stages=({"id": "client-parses", "on": {"process": "executed"}},),
        syscalls={0: events.SyscallSignature("read", (("fd", "unsigned int"),))},
        lesson="docker_run",
        typed=("docker", "run", "-e", "A=b c", "hostbox"),
    )

    assert codec.decode_header(codec.encode_header(header)) == header


def test_a_header_of_an_older_or_a_newer_glassbottom_is_read() -> None:
    """Keys that came later may be missing, and those that come later still are passed over."""
    line = (
        '{"glassbottom": 1, "created": "", "kernel": "", "architecture": "", "command": ["docker"], "seats": {}, '
        '"stages": [], "syscalls": {}, "of-tomorrow": 1}'
    )

    header = codec.decode_header(line)

    assert (header.command, header.typed, header.mode) == (("docker",), (), "full")


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("hello", "not a glassbottom recording"),
        ('{"glassbottom": 99}', "recording format 99; this glassbottom reads format 1"),
        (
            '{"glassbottom": 1, "kernel": "6.18"}',
            "a damaged header (it has no created, architecture, command, seats, stages, syscalls); nothing can be read",
        ),
        (WITH_CALLS % "7", "a damaged header ('7' where an object should be); nothing can be read"),
        (WITH_CALLS % '{"1": 7}', "a damaged header ('7' where a call's name and arguments should be)"),
        (WITH_CALLS % '{"1": ["read", ["fd"]]}', "where a call's name and arguments should be"),
        (WITH_CALLS % '{"one": ["read", []]}', "a value in it is not of the kind that stands there"),
    ],
)
def test_a_foreign_header_is_refused(line: str, complaint: str) -> None:
    """Another file, a newer format, half a header."""
    with pytest.raises(RecordingError) as caught:
        codec.decode_header(line)

    assert complaint in str(caught.value)


def test_commands_survive_their_line() -> None:
    """Each of them, programs included."""
    program = commands.Program(("docker", "run"), ("PATH=/bin",), "/", "/run/docker.sock", "daemon")
    launch = commands.Launch(
        (program,), program, ({"id": "a"},), "docker_run", {"client": "docker"}, True, typed=("docker",)
    )
    given_commands: list[commands.Command] = [
        launch,
        commands.Resume(),
        commands.StepEvent(),
        commands.StepStage(),
        commands.Interrupt(),
        commands.ArmBreakpoint("a", armed=False),
        commands.Quit(),
    ]

    assert [codec.decode_command(codec.encode_command(command)) for command in given_commands] == given_commands


def test_every_kind_of_event_has_a_strategy_here() -> None:
    """A new kind of event is a new line above."""
    kinds = {cls for cls in vars(events).values() if dataclasses.is_dataclass(cls)}
    described = {events.RecordingHeader, events.SyscallSignature}

    assert len(kinds - described) == 13
