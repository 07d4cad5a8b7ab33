"""From calls to messages: whose, on which connection, in which direction."""

import errno
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracer.decode.pipeline import Pipeline
from tracer.decode.streams import Connections, open_file
from tracer.events import (
    ActionSeen,
    Event,
    MessageSeen,
    NoteMade,
    ProcessExecuted,
    ProcessExited,
    ProcessForked,
    SyscallExited,
)

NAMES = dict(
    enumerate(["read", "write", "sendto", "recvfrom", "openat", "splice", "sendfile", "sendmmsg", "io_uring_setup"])
)
READ, WRITE, SENDTO, RECVFROM, OPENAT, SPLICE, SENDFILE, SENDMMSG, IO_URING_SETUP = NAMES
PING = b"GET /_ping HTTP/1.1\r\nContent-Length: 0\r\n\r\n"
PONG = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nOK"
CLIENT_END = 'unix:[11->12,"/run/d.sock"]'
DAEMON_END = 'unix:[12->11,"/run/d.sock"]'


class Run:
    """A pipeline with a client (pid 10) and a daemon (pid 20, thread 21)."""

    def __init__(self) -> None:
        self.pipeline = Pipeline(NAMES)
        self.sequence = 0
        self.notes: list[NoteMade] = []
        for pid, program in ((10, "docker"), (20, "dockerd")):
            self.feed(ProcessForked(0, 0, pid, pid, "launched"))
            self.feed(ProcessExecuted(0, pid, pid, f"/usr/bin/{program}", (program, "run"), (), "/", 1))
        self.feed(ProcessForked(0, 20, 21, 20, "thread"))

    def feed(self, event: Event) -> list[Event]:
        self.sequence += 1
        return self.pipeline.feed(self.sequence, event)

    def call(self, number: int, tid: int, fd: int, file: str, data: bytes, flags: int = 0) -> list[MessageSeen]:
        event = SyscallExited(0, tid, number, (fd, 1, len(data), flags, 0, 0), len(data), 0, {"1": data}, {0: file})
        found = self.feed(event)
        self.notes += [each for each in found if isinstance(each, NoteMade)]
        return [each for each in found if isinstance(each, MessageSeen)]

    def move(
        self, number: int, tid: int, files: dict[int, str], size: int, fds: tuple[int, int] = (8, 9)
    ) -> list[Event]:
        arguments = (fds[0], 0, 0, 0, size, 0) if number == SPLICE else (*fds, 0, size)
        return self.feed(SyscallExited(0, tid, number, arguments, size, 0, {}, files))


def test_both_ends_of_a_message_share_a_connection() -> None:
    """What the client sent and the daemon received is one connection, whichever thread wrote or read."""
    run = Run()

    [sent] = run.call(SENDTO, 10, 3, CLIENT_END, PING)
    [received] = run.call(RECVFROM, 21, 7, DAEMON_END, PING)
    [answered] = run.call(WRITE, 20, 7, DAEMON_END, PONG)

    assert {message.connection for message in (sent, received, answered)} == {"unix:11-12"}
    assert [(m.pid, m.side, m.direction) for m in (sent, received, answered)] == [
        (10, "sent", "request"),
        (20, "received", "request"),
        (20, "sent", "response"),
    ]
    assert received.tid == 21


def test_connection_keeps_the_name_of_its_first_message() -> None:
    """A client may write before its peer is known; both ends then go by that name."""
    names = Connections()

    first = names.name(open_file("unix:[11]"))

    assert first == "unix:11"
    assert names.name(open_file(DAEMON_END)) == first
    assert names.name(open_file(CLIENT_END)) == first


def test_peeked_bytes_are_counted_once() -> None:
    """MSG_PEEK leaves the bytes in the socket: they will be read again."""
    run = Run()

    assert run.call(RECVFROM, 20, 7, DAEMON_END, PING, flags=2) == []
    assert len(run.call(RECVFROM, 20, 7, DAEMON_END, PING)) == 1


def test_client_terminal_is_stdio() -> None:
    """What the client reads from 0 and writes to 1 and 2 is the container's input and output."""
    run = Run()

    [typed] = run.call(READ, 10, 0, "/dev/pts/3", b"ls\n")
    [shown] = run.call(WRITE, 10, 2, "/dev/pts/3", b"oops\n")

    assert (typed.protocol, typed.side, typed.fields["stream"]) == ("stdio", "received", "stdin")
    assert (shown.side, shown.fields["stream"], shown.body) == ("sent", "stderr", "oops\n")
    assert typed.connection == "tty:/dev/pts/3"


def test_ordinary_files_are_not_messages() -> None:
    """A program that reads its libraries says nothing to anybody."""
    assert Run().call(READ, 10, 5, "/usr/lib/libc.so.6", b"GET / HTTP/1.1\r\n\r\n") == []


def test_unknown_protocol_is_counted() -> None:
    """Bytes that no decoder knows are said to be there."""
    run = Run()

    run.call(WRITE, 20, 9, "unix:[77->78]", b"\x7fELF")
    run.call(WRITE, 20, 9, "unix:[77->78]", b"more")

    assert run.pipeline.undecoded == 8


POST = b"POST /images/load HTTP/1.1\r\nContent-Type: application/x-tar\r\nContent-Length: 6000000\r\n\r\n"


def test_spliced_body_is_counted_and_said_to_be_unseen() -> None:
    """sendfile(2) and splice(2) show their bytes to no process; the message after them is decoded as if they had."""
    run = Run()

    assert run.call(SENDTO, 10, 3, CLIENT_END, POST + b"begin") == []
    assert run.move(SENDFILE, 10, {0: CLIENT_END, 1: "/tmp/image.tar"}, 5_000_000) == []
    [loaded] = run.move(SPLICE, 10, {0: "pipe:[5]", 2: CLIENT_END}, 999_995)
    [ping] = run.call(SENDTO, 10, 3, CLIENT_END, PING)

    assert isinstance(loaded, MessageSeen)
    assert loaded.title == "POST /images/load"
    assert loaded.body == "[6000000 bytes of application/x-tar, 5999995 of which were not seen]"
    assert ping.title == "GET /_ping"
    assert run.pipeline.undecoded == 0


@pytest.mark.parametrize("before", [b"", b"GET /_p", POST[:-2]])
def test_gap_in_a_head_ends_the_decoding_with_a_note(before: bytes) -> None:
    """What comes after bytes that were not seen could be anything: nothing is guessed, and that is said once."""
    run = Run()
    run.call(SENDTO, 10, 3, CLIENT_END, PING)

    run.call(SENDTO, 10, 3, CLIENT_END, before)
    run.notes += [
        each for each in run.move(SPLICE, 10, {0: "pipe:[5]", 2: CLIENT_END}, 30) if isinstance(each, NoteMade)
    ]
    told = run.call(SENDTO, 10, 3, CLIENT_END, b"\r\n\r\n" + PING)

    [note] = run.notes
    assert told == []
    assert (note.topic, note.fields) == ("lost", {"pid": 10})
    assert note.text.startswith("what process 10 says and hears on unix:11-12 is not decoded from here on: bytes that")
    assert run.call(SENDTO, 10, 3, CLIENT_END, PING) == []
    assert run.pipeline.undecoded > 0


def test_gap_in_grpc_is_never_bridged() -> None:
    """Header compression remembers every byte."""
    run = Run()
    run.call(WRITE, 20, 7, DAEMON_END, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(3) + b"\4" + bytes(5))

    [note] = run.move(SPLICE, 20, {0: "pipe:[5]", 2: DAEMON_END}, 9)

    assert isinstance(note, NoteMade)
    assert note.text.endswith(": 9 bytes of it were not seen")


def test_output_that_is_spliced_is_there_without_its_text() -> None:
    """busybox cat writes by sendfile: the container has spoken, and how much."""
    run = Run()

    [shown] = run.move(SENDFILE, 10, {0: "/dev/pts/3", 1: "/etc/motd"}, 14, (1, 3))

    assert isinstance(shown, MessageSeen)
    assert (shown.side, shown.title) == ("sent", "stdout [14 bytes that were not seen]")
    assert shown.fields["bytes"] == 14


def test_messages_of_sendmmsg_follow_on_each_other() -> None:
    """Several buffers in one call."""
    run = Run()
    data = {"1.0": PING[:10], "1.0.length": b"10", "1.1": PING[10:], "1.1.length": b"%d" % len(PING[10:])}

    [ping] = run.feed(SyscallExited(0, 10, SENDMMSG, (3, 1, 2, 0), 2, 0, data, {0: CLIENT_END}))

    assert isinstance(ping, MessageSeen)
    assert ping.title == "GET /_ping"


def test_io_uring_is_noted() -> None:
    """It reads and writes without a call that could be seen."""
    run = Run()

    [note] = run.feed(SyscallExited(0, 10, IO_URING_SETUP, (8, 1), 5, 0))

    assert isinstance(note, NoteMade)
    assert note.topic == "io-uring"


@given(st.lists(st.tuples(st.integers(0, len(PING) * 2), st.integers(1, 20)), max_size=3))
def test_gaps_anywhere_never_raise_and_never_make_up_a_message(gaps: list[tuple[int, int]]) -> None:
    """Whatever is cut out of two requests, what is decoded is one that was said whole."""
    run = Run()
    said = bytearray(PING * 2)
    place = 0
    found: list[Event] = []
    for start, size in sorted(gaps):
        if start > place:
            found += run.call(SENDTO, 10, 3, CLIENT_END, bytes(said[place:start]))
        found += run.move(SPLICE, 10, {0: "pipe:[5]", 2: CLIENT_END}, size)
        place = max(place, start + size)
    found += run.call(SENDTO, 10, 3, CLIENT_END, bytes(said[place:]))

    assert {event.title for event in found if isinstance(event, MessageSeen)} <= {"GET /_ping"}


def netlink(kind: int, flags: int, sequence: int, payload: bytes) -> bytes:
    return struct.pack("<IHHII", 16 + len(payload), kind, flags, sequence, 0) + payload


def attribute(kind: int, value: bytes) -> bytes:
    padded = value + bytes(-len(value) % 4)
    return struct.pack("<HH", 4 + len(value), kind) + padded


def test_netlink_request_is_an_action_once_the_kernel_has_agreed() -> None:
    """RTM_NEWLINK asks for a link; the acknowledgement says whether there is one."""
    run = Run()
    info = attribute(18, attribute(1, b"veth\0"))
    request = netlink(16, 0x605, 7, bytes(16) + attribute(3, b"veth1\0") + info)
    done = netlink(2, 0, 7, bytes(4) + request[:16])

    [asked] = run.call(SENDTO, 20, 9, "netlink:[5]", request)
    event = SyscallExited(0, 20, RECVFROM, (9, 1, 99, 0, 0, 0), len(done), 0, {"1": done}, {0: "netlink:[5]"})
    answered, action = run.feed(event)

    assert asked.title == "RTM_NEWLINK veth1 kind=veth"
    assert isinstance(answered, MessageSeen)
    assert answered.title == "RTM_NEWLINK veth1 kind=veth: done"
    assert isinstance(action, ActionSeen)
    assert (action.action, action.fields["name"]) == ("LinkCreated", "veth1")


def test_netlink_request_without_acknowledgement_is_an_action_when_nothing_has_come() -> None:
    """Nothing to read, or a process that ends without having read an error."""
    request = netlink(16, 0x601, 7, bytes(16) + attribute(3, b"veth1\0") + attribute(18, attribute(1, b"veth\0")))
    file = {0: "netlink:[ROUTE:5]"}
    nothing = SyscallExited(0, 21, RECVFROM, (9, 1, 99, 0, 0, 0), -errno.EAGAIN, 0, {}, file)
    for end in (nothing, ProcessExited(0, 20, 20, 0, None)):
        run = Run()
        run.call(SENDTO, 20, 9, file[0], request)

        [action] = run.feed(end)

        assert isinstance(action, ActionSeen)
        assert (action.action, action.calls) == ("LinkCreated", (run.sequence - 1,))
        assert run.feed(end) == []


def test_what_a_process_had_begun_is_forgotten_when_it_ends() -> None:
    """Thousands of processes that drop a capability and never call capset leave nothing behind."""
    pipeline = Pipeline({0: "prctl", 1: "capset"})
    for pid in range(100, 200):
        pipeline.feed(0, SyscallExited(0, pid, 0, (24, 21, 0, 0, 0, 0), 0, 0, {}, {}))
        pipeline.feed(1, ProcessExited(0, pid, pid, 0, None))

    [action] = pipeline.feed(2, SyscallExited(0, 100, 1, (0, 1, 0, 0, 0, 0), 0, 0, {"1": bytes(24)}, {}))

    assert isinstance(action, ActionSeen)
    assert action.calls == (2,)


@given(st.sampled_from([SENDTO, RECVFROM]), st.binary(max_size=80))
def test_damaged_netlink_never_raises(number: int, data: bytes) -> None:
    """Lengths that lie end the reading of that buffer."""
    Run().call(number, 20, 9, "netlink:[5]", netlink(16, 5, 1, data) + data)
