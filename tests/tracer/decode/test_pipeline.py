"""From calls to messages: whose, on which connection, in which direction."""

import struct

from hypothesis import given
from hypothesis import strategies as st

from tracer.decode.pipeline import Pipeline
from tracer.decode.streams import Connections, open_file
from tracer.events import ActionSeen, Event, MessageSeen, ProcessExecuted, ProcessForked, SyscallExited

NAMES = dict(enumerate(["read", "write", "sendto", "recvfrom", "openat"]))
READ, WRITE, SENDTO, RECVFROM, OPENAT = NAMES
PING = b"GET /_ping HTTP/1.1\r\nContent-Length: 0\r\n\r\n"
PONG = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nOK"
CLIENT_END = 'unix:[11->12,"/run/d.sock"]'
DAEMON_END = 'unix:[12->11,"/run/d.sock"]'


class Run:
    """A pipeline with a client (pid 10) and a daemon (pid 20, thread 21)."""

    def __init__(self) -> None:
        self.pipeline = Pipeline(NAMES)
        self.sequence = 0
        for pid, program in ((10, "docker"), (20, "dockerd")):
            self.feed(ProcessForked(0, 0, pid, pid, "launched"))
            self.feed(ProcessExecuted(0, pid, pid, f"/usr/bin/{program}", (program, "run"), (), "/", 1))
        self.feed(ProcessForked(0, 20, 21, 20, "thread"))

    def feed(self, event: Event) -> list[Event]:
        self.sequence += 1
        return self.pipeline.feed(self.sequence, event)

    def call(self, number: int, tid: int, fd: int, file: str, data: bytes, flags: int = 0) -> list[MessageSeen]:
        event = SyscallExited(0, tid, number, (fd, 1, len(data), flags, 0, 0), len(data), 0, {"1": data}, {0: file})
        return [found for found in self.feed(event) if isinstance(found, MessageSeen)]


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


@given(st.sampled_from([SENDTO, RECVFROM]), st.binary(max_size=80))
def test_damaged_netlink_never_raises(number: int, data: bytes) -> None:
    """Lengths that lie end the reading of that buffer."""
    Run().call(number, 20, 9, "netlink:[5]", netlink(16, 5, 1, data) + data)
