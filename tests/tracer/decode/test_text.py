"""Calls as lines: as strace prints them, and never an exception."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracer.decode.shapes import SHAPES
from tracer.decode.text import arguments, format_call, result_text
from tracer.engine.capture import notation
from tracer.events import SyscallEntered, SyscallExited, SyscallSignature

Data = dict[str, bytes | None]
AT_FDCWD = (1 << 64) - 100


def signature(name: str, arguments: str) -> SyscallSignature:
    """A signature from `fd:int path:const char *, ...`."""
    pairs = [word.split(":", 1) for word in arguments.split(", ")] if arguments else []
    return SyscallSignature(name, tuple((pair[0], pair[1]) for pair in pairs))


OPENAT = signature("openat", "dirfd:int, filename:const char *, flags:int, mode:umode_t")
MOUNT = signature("mount", "dev_name:char *, dir_name:char *, type:char *, flags:unsigned long, data:void *")
WRITE = signature("write", "fd:unsigned int, buf:const char *, count:size_t")
PRCTL = signature("prctl", "option:int, arg2:unsigned long, arg3:unsigned long, arg4:unsigned long, arg5:unsigned long")


def line(
    sig: SyscallSignature,
    args: tuple[int, ...],
    result: int = 0,
    data: Data | None = None,
    files: dict[int, str] | None = None,
) -> str:
    return format_call(SyscallExited(0, 1, 0, args, result, 0, data or {}, files or {}), sig)


@pytest.mark.parametrize(
    ("actual", "expected"),
    [
        (
            line(OPENAT, (AT_FDCWD, 1, 0o2000000, 0), 3, {"1": b"/etc/ld.so.cache"}),
            'openat(AT_FDCWD, "/etc/ld.so.cache", O_RDONLY|O_CLOEXEC) = 3</etc/ld.so.cache>',
        ),
        (
            line(OPENAT, (AT_FDCWD, 1, 0o101, 0o644), -13, {"1": b"x"}),
            'openat(AT_FDCWD, "x", O_WRONLY|O_CREAT, 0644) = -1 EACCES (Permission denied)',
        ),
        (
            line(MOUNT, (1, 2, 3, 4096 | 16384, 0), 0, {"0": b"/a", "1": b"/b", "2": b""}),
            'mount("/a", "/b", 0x3, MS_BIND|MS_REC, NULL) = 0',
        ),
        (
            line(WRITE, (1, 1, 6), 6, {"1": b"hi\n\x001"}, {0: "pipe:[5]"}),
            'write(1<pipe:[5]>, "hi\\n\\0001"..., 6) = 6',
        ),
        (
            line(PRCTL, (24, 21, 0, 0, 0)),
            "prctl(PR_CAPBSET_DROP, CAP_SYS_ADMIN) = 0",
        ),
        (
            line(PRCTL, (38, 1, 0, 0, 0)),
            "prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) = 0",
        ),
        (
            line(signature("unshare", "unshare_flags:unsigned long"), (0x20020000,), -1),
            "unshare(CLONE_NEWNS|CLONE_NEWPID) = -1 EPERM (Operation not permitted)",
        ),
        (
            line(
                signature("connect", "sockfd:int, addr:struct sockaddr *, addrlen:int"),
                (3, 1, 20),
                0,
                {"1": b"\1\0/run/d.sock\0"},
                {0: "unix:[5]"},
            ),
            'connect(3<unix:[5]>, {sa_family=AF_UNIX, sun_path="/run/d.sock"}, 20) = 0',
        ),
        (
            line(
                signature("prlimit64", "pid:pid_t, resource:unsigned int, new_rlim:const x *, old_rlim:x *"),
                (0, 7, 1, 0),
                0,
                {"2": struct.pack("<2Q", 1024, (1 << 64) - 1)},
            ),
            "prlimit64(0, RLIMIT_NOFILE, {rlim_cur=1024, rlim_max=RLIM64_INFINITY}, NULL) = 0",
        ),
        (
            line(signature("kill", "pid:int, sig:int"), ((1 << 64) - 1, 9)),
            "kill(-1, SIGKILL) = 0",
        ),
        (
            line(signature("nosuchcall", "first:unsigned long, second:int"), (0x1000, 5)),
            "nosuchcall(0x1000, 5) = 0",
        ),
        (
            line(signature("read", "fd:unsigned int, buf:char *, count:size_t"), (3, 0x7F00, 100), -512),
            "read(3, 0x7f00, 100) = ? ERESTARTSYS (To be restarted if SA_RESTART is set)",
        ),
    ],
)
def test_line_is_as_strace_prints_it(actual: str, expected: str) -> None:
    """Names, flags, structures and errors in the words that people search for."""
    assert actual == expected


def test_call_that_has_not_returned_says_so() -> None:
    """What blocks is unfinished; what never returns has no result."""
    blocked = SyscallEntered(0, 1, 0, (5, 0x7F00, 10), {}, {0: "pipe:[3]"})
    read = signature("read", "fd:unsigned int, buf:char *, count:size_t")

    assert format_call(blocked, read) == "read(5<pipe:[3]>, 0x7f00, 10 <unfinished ...>"
    ended = SyscallEntered(0, 1, 0, (3,))
    assert format_call(ended, signature("exit_group", "error_code:int")) == "exit_group(3) = ?"


def test_unknown_number_is_shown_raw() -> None:
    """A call without a name is a number and hex values."""
    event = SyscallExited(0, 1, 999, (1, 2), -38, 0)

    assert format_call(event, None) == "syscall_999(0x1, 0x2) = -1 ENOSYS (Function not implemented)"


def test_arguments_come_with_their_names() -> None:
    """The page of one call shows each argument; what the call ignores is left out."""
    event = SyscallExited(0, 1, 257, (AT_FDCWD, 1, 0, 0), 3, 0, {"1": b"/x"})

    assert [(argument.name, argument.text) for argument in arguments(event, OPENAT)] == [
        ("dirfd", "AT_FDCWD"),
        ("filename", '"/x"'),
        ("flags", "O_RDONLY"),
    ]
    assert result_text(event, OPENAT) == "3</x>"


@given(st.sampled_from(sorted(SHAPES)), st.data())
def test_no_call_raises_whatever_was_captured(name: str, data: st.DataObject) -> None:
    """Hostile arguments and short memory are printed, not feared."""
    count = max(len(SHAPES[name].split()), 1)
    sig = SyscallSignature(name, tuple((f"a{place}", "int") for place in range(count)))
    values = tuple(data.draw(st.lists(st.integers(0, (1 << 64) - 1), min_size=count, max_size=count)))
    memory: Data = {
        key: data.draw(st.none() | st.binary(max_size=40))
        for key in data.draw(st.sets(st.sampled_from(["0", "1", "2", "3", "4", "1.control", "1.name", "2.program"])))
    }
    result = data.draw(st.integers(-600, 1 << 40))
    exited = SyscallExited(0, 1, 0, values, result, 0, memory, {0: "x"})
    entered = SyscallEntered(0, 1, 0, values, memory, {0: "x"})

    for event in (exited, entered):
        assert format_call(event, sig).startswith(name + "(")
        arguments(event, sig)


def test_a_call_with_too_few_arguments_is_printed_by_its_number() -> None:
    """A damaged line: what says how to read the arguments is not among them."""
    fcntl = signature("fcntl", "fd:unsigned int, cmd:unsigned int, arg:unsigned long")
    event = SyscallExited(0, 1, 72, (3,), 1, 0)

    assert format_call(event, fcntl) == "syscall_72(0x3) = 1"
    assert arguments(event, fcntl)[0].text == "3"
    assert result_text(event, fcntl) == "1"


def test_open_how_is_read_as_its_machine_writes_it() -> None:
    """O_DIRECTORY and O_NOFOLLOW are other bits on aarch64."""
    openat2 = signature("openat2", "dfd:int, filename:const char *, how:struct open_how *, usize:size_t")
    how = struct.pack("<3Q", 0o40000 | 0o100000, 0, 0)
    event = SyscallExited(0, 1, 437, (AT_FDCWD, 1, 2, 24), 3, 0, {"1": b"/x", "2": how}, {})

    assert "flags=O_RDONLY|O_DIRECTORY|O_NOFOLLOW," in format_call(event, openat2, machine="aarch64")


def test_events_of_epoll_are_read_as_its_machine_writes_them() -> None:
    """12 bytes each on x86_64, 16 elsewhere: captured and shown alike."""
    epoll_pwait = signature("epoll_pwait", "epfd:int, events:struct epoll_event *, maxevents:int, timeout:int")
    for machine, raw in (("x86_64", struct.pack("<IQ", 1, 7)), ("aarch64", struct.pack("<I4xQ", 1, 7))):
        event = SyscallExited(0, 1, 22, (3, 1, 8, 0), 1, 0, {"1": raw}, {})

        assert "[{events=EPOLLIN, data={u32=7, u64=7}}]" in format_call(event, epoll_pwait, machine=machine)
        assert f"result1*{len(raw)}" in notation("epoll_pwait", machine)
