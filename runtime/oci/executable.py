"""Find the program that process.args[0] names, before the container counts as created.

The words of the errors are Go's (os/exec), as runc hands them on: the docker CLI turns "executable file not found" and
"no such file or directory" into exit status 127 and "permission denied" into 126.
"""

import os
import stat
import struct

from runtime.oci.errors import OCIError, reason

MAX_INTERPRETERS = 5
"""The kernel gives up, with ELOOP, at the same depth (execve(2))."""
PT_INTERP = 3
ELF_HEADER_SIZE = 64
PROGRAM_HEADER_SIZE = 56
"""Of a 64-bit program; the kernel runs none with entries of another size, nor with more than the next line says."""
MAX_PROGRAM_HEADERS_BYTES = 65536
PATH_MAX = 4096


def find(name: str, search_path: str) -> str:
    """The path to execve, looked up as the user and in the root that we have by now."""
    if "/" in name:
        try:
            status = os.stat(name)
        except OSError as error:
            raise OCIError(f'exec: "{name}": stat {name}: {reason(error)}') from None
        if not _may_execute(name, status):
            raise OCIError(f'exec: "{name}": permission denied')
        return name
    for directory in search_path.split(":"):
        candidate = os.path.join(directory or ".", name)
        try:
            status = os.stat(candidate)
        except OSError:
            continue
        if _may_execute(candidate, status):
            return candidate
    raise OCIError(f'exec: "{name}": executable file not found in $PATH')


def _may_execute(path: str, status: os.stat_result) -> bool:
    return stat.S_ISREG(status.st_mode) and os.access(path, os.X_OK, effective_ids=True)


class OwnExecutable:
    """The file that runs us: the *host's* Python interpreter. It must never run inside a container.

    `/proc/self/exe` of the process that enters the container leads to that file. An image whose program is a link to
    /proc/self/exe would run it again inside, dumpable now, and a second process could open it through /proc/PID/exe
    and overwrite the host's python as soon as it is no longer busy (CVE-2019-5736). Until execve, PR_SET_DUMPABLE 0
    keeps that door shut to everyone without CAP_SYS_PTRACE over us; here the execve itself is refused when the
    program, or the interpreter its first line names, is that very file.
    """

    def __init__(self) -> None:
        status = os.stat("/proc/self/exe")
        self.identity = (status.st_dev, status.st_ino)

    def refuse(self, path: str, depth: int = 0) -> None:
        """Raise when executing path would run our own interpreter: directly, by `#!`, or as an ELF interpreter."""
        fd = os.open(path, os.O_PATH | os.O_CLOEXEC)
        try:
            status = os.fstat(fd)
            interpreter = _interpreter(f"/proc/self/fd/{fd}", path)
        finally:
            os.close(fd)
        if (status.st_dev, status.st_ino) == self.identity:
            raise OCIError(f'exec: "{path}": permission denied: it leads to the runtime itself')
        if os.path.exists(interpreter) and depth < MAX_INTERPRETERS:
            self.refuse(interpreter, depth + 1)


def _interpreter(by_fd: str, path: str) -> str:
    """The program that the kernel runs in a file's place or maps beside it; empty when there is none."""
    for name in (by_fd, path):  # a container without /proc has only the second
        try:
            fd = os.open(name, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        except FileNotFoundError:
            continue
        except OSError:
            break  # executable but not readable: no interpreter that the kernel could read on our behalf is hidden here
        try:
            first_bytes = os.pread(fd, 256, 0)
            if first_bytes.startswith(b"#!"):
                return os.fsdecode((first_bytes[2:].partition(b"\n")[0].split() or [b""])[0])
            return os.fsdecode(_elf_interpreter(fd, first_bytes))
        finally:
            os.close(fd)
    return ""


def _elf_interpreter(fd: int, header: bytes) -> bytes:
    """PT_INTERP of a 64-bit program (elf(5)): the kernel opens it while /proc/self/exe is still *our* file.

    Offsets out of range are the kernel's to refuse; here they must only not be an error of ours.
    """
    if header[:5] != b"\x7fELF\x02" or len(header) < ELF_HEADER_SIZE:
        return b""
    (table,) = struct.unpack_from("=q", header, 32)
    (count,) = struct.unpack_from("=H", header, 56)
    entries = os.pread(fd, min(PROGRAM_HEADER_SIZE * count, MAX_PROGRAM_HEADERS_BYTES), max(table, 0))
    for at in range(0, len(entries) - PROGRAM_HEADER_SIZE + 1, PROGRAM_HEADER_SIZE):
        kind, _, begin, _, _, length = struct.unpack_from("=IIqqqq", entries, at)
        if kind == PT_INTERP:
            return os.pread(fd, max(0, min(length, PATH_MAX)), max(begin, 0)).partition(b"\0")[0]
    return b""
