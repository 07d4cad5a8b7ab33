"""Both tables of system calls against the kernel's own headers."""

import re
from pathlib import Path

import pytest

from tracer.decode.syscall_numbers import NAMES
from tracer.engine.syscalls import signatures

HEADERS = {
    "x86_64": Path("/usr/include/x86_64-linux-gnu/asm/unistd_64.h"),
    "aarch64": Path("/usr/include/asm-generic/unistd.h"),
}
_DEFINED = re.compile(r"^#define __NR(3264)?_(\w+)\s+(\d+)", re.MULTILINE)
_ONLY_32_BITS = re.compile(r"\w+_time64|clock_\w+64|timer_\w+64|timerfd_\w+64")
_OTHER_NAMES = {"fstatat": "newfstatat", "sync_file_range2": "sync_file_range"}
"""What a 64-bit machine calls them: `__SYSCALL(__NR3264_fstatat, sys_newfstatat)`."""
WITHOUT_PROTOTYPE = frozenset(
    """
    uretprobe _sysctl create_module get_kernel_syms query_module nfsservctl getpmsg putpmsg afs_syscall tuxcall
    security vserver epoll_ctl_old epoll_wait_old set_thread_area get_thread_area
    """.split()
)
"""Numbers that the 64-bit kernels keep free: the call was removed, or never was."""
_NO_CALLS = ("arch_specific_syscall", "syscalls")


def header_names(machine: str) -> dict[int, str]:
    """Number -> name as the installed headers have it, without what only 32-bit machines have."""
    path = HEADERS[machine]
    if not path.exists():
        pytest.skip(f"no kernel headers: {path}")
    found = _DEFINED.findall(path.read_text())
    return {
        int(number): _OTHER_NAMES.get(name, name)
        for _, name, number in found
        if name not in _NO_CALLS and not _ONLY_32_BITS.fullmatch(name)
    }


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_tables_hold_every_call_of_the_headers(machine: str) -> None:
    """The decoder's table and the engine's agree with the kernel's, number by number."""
    theirs = header_names(machine)
    engine = {number: signature.name for number, signature in signatures(machine).items()}

    assert len(theirs) > 300
    assert theirs == {number: NAMES[machine].get(number) for number in theirs}
    assert theirs == {number: engine.get(number) for number in theirs}


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_decoder_and_engine_know_the_same_calls(machine: str) -> None:
    """Neither has a call that the other lacks, the newest included."""
    engine = {number: signature.name for number, signature in signatures(machine).items()}

    engine.pop(335, None)  # uretprobe is for the kernel's own trampoline: no filter names it
    assert engine == NAMES[machine]


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_no_call_is_without_arguments_by_mistake(machine: str) -> None:
    """Every call has a prototype; six nameless arguments stand only for what the kernel never had."""
    nameless = {
        signature.name
        for signature in signatures(machine).values()
        if signature.arguments[:1] == (("argument0", "unsigned long"),)
    }

    assert nameless <= WITHOUT_PROTOTYPE
