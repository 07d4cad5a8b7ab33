"""ptrace(2) as the engine calls it, and the only door to python-ptrace (GPL-2.0-only).

What is taken from python-ptrace is its *tables*: system call names and argument prototypes. They are read from its
two or three data modules by file, because `import ptrace.syscall` costs 46 ms and runs `ldconfig -p` for things that
the engine has no use for. Its debugger, process and memory layers are not used: they poll with sleeps, know neither
SEIZE nor GET_SYSCALL_INFO, and lose the strings of every program started by vfork.

The calls go through ctypes without `argtypes` and without releasing the GIL: measured, a typed call costs 1400 to
2100 ns, this one 700 (the engine has one thread, so there is nobody to release the GIL for). Arguments must
therefore be plain ints below 2**31 or `byref` objects. errno is not available on this path and not needed: a ptrace
request on a tracee that is stopped fails only with ESRCH, when somebody killed it meanwhile, and then its exit status
is on the way. The few requests that fail for other reasons use `checked_ptrace`.
"""

import ctypes
import importlib.util
import os
from collections.abc import Mapping
from typing import Any

# Requests, ptrace(2). python-ptrace lacks those that came with PTRACE_SEIZE (Linux 3.4) and GET_SYSCALL_INFO (5.3).
PTRACE_CONT = 7
PTRACE_SYSCALL = 24
PTRACE_DETACH = 17
PTRACE_GETEVENTMSG = 0x4201
PTRACE_GETSIGINFO = 0x4202
PTRACE_SEIZE = 0x4206
PTRACE_INTERRUPT = 0x4207
PTRACE_LISTEN = 0x4208
PTRACE_GET_SYSCALL_INFO = 0x420E

OPTIONS = (
    0x1  # TRACESYSGOOD: a system call stop is SIGTRAP|0x80, never to be confused with a real SIGTRAP
    | 0x2  # TRACEFORK, TRACEVFORK, TRACECLONE: children are traced from their first instruction
    | 0x4
    | 0x8
    | 0x10  # TRACEEXEC: the former tid of an exec by a thread that was not the leader
    | 0x80  # TRACESECCOMP: a filter of ours stops the call, instead of failing it with ENOSYS
    | (_EXITKILL := 0x100000)  # nothing traced outlives the engine, however the engine ends
)
ATTACHED_OPTIONS = OPTIONS & ~_EXITKILL
"""For what ran before the engine, and for all that it starts (children inherit options): it outlives the engine."""

SYSCALL_INFO_ENTRY = 1
SYSCALL_INFO_EXIT = 2
SYSCALL_INFO_SECCOMP = 3  # as ENTRY, and what the filter returned after it
SYSCALL_INFO_SIZE = 88

WALL = 0x40000000  # __WALL of waitpid(2): threads and other clone children too

AUDIT_ARCH = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}

_libc_fast = ctypes.PyDLL(None)
_libc_checked = ctypes.CDLL(None, use_errno=True)

ptrace: Any = _libc_fast["ptrace"]
"""ptrace(request, tid, address, data) -> int; -1 where the tracee is gone. Typed by nobody, on purpose."""
ptrace.restype = ctypes.c_int


class SyscallInfo:
    """The one buffer that PTRACE_GET_SYSCALL_INFO fills, again and again."""

    __slots__ = ("_array", "raw", "reference")

    def __init__(self) -> None:
        self.raw = bytearray(SYSCALL_INFO_SIZE)
        self._array = (ctypes.c_char * SYSCALL_INFO_SIZE).from_buffer(self.raw)
        self.reference = ctypes.byref(self._array)


def checked_ptrace(request: int, tid: int, address: int = 0, data: int = 0) -> None:
    """A rare request. Raises OSError with the kernel's errno."""
    function = _libc_checked["ptrace"]
    function.restype = ctypes.c_long
    pointer = ctypes.c_void_p
    if function(ctypes.c_long(request), ctypes.c_int(tid), pointer(address), pointer(data)) == -1:
        number = ctypes.get_errno()
        raise OSError(number, f"ptrace request {request:#x} on {tid}: {os.strerror(number)}")


def checked_libc() -> Any:
    """The C library for rare calls, with errno in `ctypes.get_errno()`."""
    return _libc_checked


def event_message(tid: int) -> int:
    """PTRACE_GETEVENTMSG: the new child's tid (in *our* pid namespace), or the former tid after an exec; 0 if gone."""
    message = ctypes.c_ulong()
    return message.value if ptrace(PTRACE_GETEVENTMSG, tid, 0, ctypes.byref(message)) == 0 else 0


def signal_information(tid: int) -> bytes | None:
    """The siginfo_t of a signal-delivery-stop, or None where the tracee is gone."""
    buffer = ctypes.create_string_buffer(128)
    return buffer.raw if ptrace(PTRACE_GETSIGINFO, tid, 0, ctypes.byref(buffer)) == 0 else None


def syscall_names(machine: str) -> dict[int, str]:
    """python-ptrace's number -> name table for `x86_64` or `aarch64`."""
    names: Mapping[int, str] = _table(f"linux/{machine}").SYSCALL_NAMES
    return dict(names)


def syscall_prototypes() -> Mapping[str, tuple[str, tuple[tuple[str, str], ...]]]:
    """python-ptrace's name -> (return type, ((type, argument name), ...)) table."""
    prototypes: Mapping[str, tuple[str, tuple[tuple[str, str], ...]]] = _table("prototypes").SYSCALL_PROTOTYPES
    return prototypes


def _table(name: str) -> Any:
    """One of python-ptrace's data modules, by file: its package's __init__ would import everything else."""
    try:
        import ptrace as package  # its own __init__ is empty
    except ImportError as error:
        raise OSError("python-ptrace is not installed") from error
    path = os.path.join(package.__path__[0], "syscall", f"{name}.py")
    spec = importlib.util.spec_from_file_location(f"_ptrace_{name.replace('/', '_')}", path)
    if spec is None or spec.loader is None:
        raise ModuleNotFoundError(f"python-ptrace has no table {path}")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
