"""Signals and ends of threads in strace's words: `siginfo_t` of sigaction(2), and what a wait status says.

    {si_signo=SIGCHLD, si_code=CLD_EXITED, si_pid=4712, si_uid=0, si_status=0, si_utime=0, si_stime=0}

Layout: `include/uapi/asm-generic/siginfo.h` for 64-bit machines; the union begins at byte 16.
"""

import struct

from tracer.decode import flags
from tracer.decode.quote import quote
from tracer.events import ProcessExited, SignalDelivered

_CHILD = 17
_ALARM, _IO, _SYSTEM_CALL = 14, 29, 31
_TIMER, _QUEUE, _FILE = -2, -1, -5
_FAULTS = {4: "ILL", 5: "TRAP", 7: "BUS", 8: "FPE", 11: "SEGV"}
_ARCHITECTURES = {0xC000003E: "AUDIT_ARCH_X86_64", 0xC00000B7: "AUDIT_ARCH_AARCH64", 0x40000003: "AUDIT_ARCH_I386"}


def delivered(event: SignalDelivered) -> str:
    """`SIGCHLD {si_signo=SIGCHLD, ...}`, from the whole siginfo where the recording has it."""
    name = flags.signal_name(event.signal)
    information = event.data.get("siginfo")
    if information:
        return f"{name} {siginfo(information)}"
    sender = f", si_pid={event.sender_pid}" if event.sender_pid else ""
    return f"{name} {{si_signo={name}, si_code={_code(event.signal, event.code)}{sender}}}"


def ended(event: ProcessExited) -> str:
    """`exited with 0`, `killed by SIGKILL`."""
    if event.signal is None:
        return f"exited with {event.exit_code}"
    return f"killed by {flags.signal_name(event.signal)}"


def siginfo(raw: bytes) -> str:
    """The structure, with the members that its signal and code give a meaning."""
    if len(raw) < 40:
        return quote(raw)
    number, error, code = struct.unpack_from("<3i", raw)
    if number == 0:
        return "{}"
    parts = [f"si_signo={flags.signal_name(number)}"]
    if error:
        parts.append(f"si_errno={error}")
    parts += [f"si_code={_code(number, code)}", *_members(number, code, raw)]
    return "{" + ", ".join(parts) + "}"


def _members(number: int, code: int, raw: bytes) -> list[str]:
    pid, uid, status = struct.unpack_from("<iIi", raw, 16)
    word = struct.unpack_from("<Q", raw, 16)[0]
    if number == _CHILD and code > 0:
        told = str(status) if code == 1 else flags.signal_name(status)
        utime, stime = struct.unpack_from("<qq", raw.ljust(48, b"\0"), 32)
        return [f"si_pid={pid}", f"si_uid={uid}", f"si_status={told}", f"si_utime={utime}", f"si_stime={stime}"]
    if code == _TIMER:
        return [f"si_timerid={pid:#x}", f"si_overrun={uid}", *_value(raw)]
    if code == _FILE or (number == _IO and 0 < code < 0x80):
        fd = struct.unpack_from("<i", raw, 24)[0]
        return [f"si_band={word}", f"si_fd={fd}"]
    if code > 0 and number in _FAULTS:
        return [f"si_addr={_pointer(word)}"]
    if number == _SYSTEM_CALL and code > 0:
        call, arch = struct.unpack_from("<iI", raw, 24)
        machine = _ARCHITECTURES.get(arch, hex(arch))
        return [f"si_call_addr={_pointer(word)}", f"si_syscall={call}", f"si_arch={machine}"]
    if code == 0x80:
        return []
    sender = [f"si_pid={pid}", f"si_uid={uid}"]
    return [*sender, *_value(raw)] if code == _QUEUE else sender


def _value(raw: bytes) -> list[str]:
    number, pointer = struct.unpack_from("<i", raw, 24)[0], struct.unpack_from("<Q", raw, 24)[0]
    return [f"si_int={number}", f"si_ptr={_pointer(pointer)}"]


def _pointer(value: int) -> str:
    return hex(value) if value else "NULL"


def _code(number: int, code: int) -> str:
    general = flags.SIGNAL_CODES.get(code)
    if general is not None:
        return general
    return flags.SIGNAL_CODES_OF.get(number, {}).get(code, str(code) if code <= 0 else hex(code))
