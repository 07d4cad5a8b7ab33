"""What a call's line does not say by itself is said beside it."""

import struct

import pytest

from tracer.decode import siginfo
from tracer.decode.remarks import environment_changes, filter_lines, setting
from tracer.decode.strace_lines import StraceLines
from tracer.events import (
    Event,
    ProcessExecuted,
    ProcessExited,
    SignalDelivered,
    SyscallEntered,
    SyscallExited,
    SyscallSignature,
)

WRITE = SyscallSignature("write", (("fd", "unsigned int"), ("buf", "const char *"), ("count", "size_t")))


def written(file: str, text: str) -> SyscallExited:
    return SyscallExited(0, 1, 1, (5, 0x1000, len(text)), len(text), 0, {"1": text.encode()}, {0: file})


@pytest.mark.parametrize(
    ("file", "text", "expected"),
    [
        (
            "/sys/fs/cgroup/memory/docker/c1/memory.max",
            "67108864\n",
            "memory.max = 67108864, of cgroup /memory/docker/c1",
        ),
        ("/proc/sys/net/ipv4/ip_forward", "1", "net.ipv4.ip_forward = 1"),
        ("/proc/4711/uid_map", "0 100000 65536\n", "uid_map = 0 100000 65536, of process 4711"),
        ("/proc/mounts", "x", ""),
        ("/tmp/file", "x", ""),
    ],
)
def test_write_to_a_control_file_is_a_setting(file: str, text: str, expected: str) -> None:
    """Name and value, and whose it is; any other file says nothing."""
    assert setting(written(file, text), WRITE) == expected


def test_filter_is_summarised_then_listed() -> None:
    """The page of a seccomp call holds the whole program in words."""
    program = struct.pack("<HBBI", 0x06, 0, 0, 0x7FFF0000)
    event = SyscallExited(0, 1, 317, (1, 0, 9), 0, 0, {"2": bytes(16), "2.program": program})

    assert filter_lines(event) == ["allow for every call", "0: return allow"]
    assert filter_lines(written("/tmp/file", "x")) == []


def test_environment_is_told_by_its_changes() -> None:
    """New, changed, gone; what is inherited is left out."""
    before = ["PATH=/bin", "HOME=/root", "OLD=1"]
    after = ["PATH=/usr/bin", "HOME=/root", "NEW=a=b"]

    assert list(environment_changes(before, after)) == ["~PATH=/usr/bin", "+NEW=a=b", "-OLD"]


def information(number: int, code: int, *members: int, layout: str = "iI") -> bytes:
    return struct.pack(f"<3i4x{layout}", number, 0, code, *members).ljust(48, b"\0")


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (information(10, 0, 7, 1000), "{si_signo=SIGUSR1, si_code=SI_USER, si_pid=7, si_uid=1000}"),
        (
            information(17, 1, 7, 0, 3, layout="iIi"),
            "{si_signo=SIGCHLD, si_code=CLD_EXITED, si_pid=7, si_uid=0, si_status=3, si_utime=0, si_stime=0}",
        ),
        (
            information(17, 2, 7, 0, 9, layout="iIi"),
            "{si_signo=SIGCHLD, si_code=CLD_KILLED, si_pid=7, si_uid=0, si_status=SIGKILL, si_utime=0, si_stime=0}",
        ),
        (information(11, 1, 0x1000, layout="Q"), "{si_signo=SIGSEGV, si_code=SEGV_MAPERR, si_addr=0x1000}"),
        (
            information(31, 1, 0x1000, 165, 0xC000003E, layout="QiI"),
            "{si_signo=SIGSYS, si_code=SYS_SECCOMP, si_call_addr=0x1000, si_syscall=165, si_arch=AUDIT_ARCH_X86_64}",
        ),
        (
            information(34, -1, 7, 0, 5, layout="iIQ"),
            "{si_signo=SIGRT_2, si_code=SI_QUEUE, si_pid=7, si_uid=0, si_int=5, si_ptr=0x5}",
        ),
        (bytes(48), "{}"),
    ],
)
def test_siginfo_shows_the_members_that_mean_something(raw: bytes, expected: str) -> None:
    """Who sent it, how a child ended, where a fault was, which call a filter caught."""
    assert siginfo.siginfo(raw) == expected


def test_recording_reads_as_a_log_of_strace() -> None:
    """Calls, signals and ends of threads, with what a thread was in when it died."""
    lines = StraceLines({1: WRITE, 0: SyscallSignature("read", WRITE.arguments)}, "x86_64")
    events: list[Event] = [
        written("/tmp/file", "hi"),
        SignalDelivered(0, 1, 10, 0, 7, {"siginfo": information(10, 0, 7, 0)}),
        SyscallEntered(0, 1, 0, (3, 0x1000, 5), {}, {0: "pipe:[7]"}),
        ProcessExited(0, 1, 1, None, 9),
    ]

    assert [text for event in events for _, text in lines.feed(event)] == [
        'write(5</tmp/file>, "hi", 2) = 2',
        "--- SIGUSR1 {si_signo=SIGUSR1, si_code=SI_USER, si_pid=7, si_uid=0} ---",
        "read(3<pipe:[7]>, 0x1000, 5) = ?",
        "+++ killed by SIGKILL +++",
    ]


def test_exec_by_another_thread_supersedes_the_leader() -> None:
    """The thread that called execve takes the leader's number; its line comes under that."""
    lines = StraceLines({59: SyscallSignature("execve", (("filename", "const char *"),))}, "x86_64")
    events: list[Event] = [
        SyscallEntered(0, 2, 59, (0x1000,), {"0": b"/bin/true"}),
        ProcessExecuted(0, 1, 2, "/bin/true", ("true",), (), "/", 2),
        SyscallExited(0, 1, 59, (0x1000,), 0, 0, {"0": b"/bin/true"}),
    ]

    assert [line for event in events for line in lines.feed(event)] == [
        (1, "+++ superseded by execve in pid 2 +++"),
        (1, 'execve("/bin/true") = 0'),
    ]
