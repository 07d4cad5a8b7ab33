"""Find the program that process.args[0] names, before the container counts as created.

The words of the errors are Go's (os/exec), as runc hands them on: the docker CLI turns "executable file not found" and
"no such file or directory" into exit status 127 and "permission denied" into 126.
"""

import os
import stat

from runtime.oci.errors import OCIError, reason


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
        """Raise when executing path would run our own interpreter, directly or by `#!`."""
        fd = os.open(path, os.O_PATH | os.O_CLOEXEC)
        try:
            status = os.fstat(fd)
            first_bytes = _first_bytes(f"/proc/self/fd/{fd}", path)
        finally:
            os.close(fd)
        if (status.st_dev, status.st_ino) == self.identity:
            raise OCIError(f'exec: "{path}": permission denied: it leads to the runtime itself')
        if first_bytes.startswith(b"#!") and depth < 5:
            words = first_bytes[2:].partition(b"\n")[0].split()
            interpreter = os.fsdecode(words[0]) if words else ""
            if os.path.exists(interpreter):
                self.refuse(interpreter, depth + 1)


def _first_bytes(by_fd: str, path: str) -> bytes:
    for name in (by_fd, path):  # a container without /proc has only the second
        try:
            fd = os.open(name, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        except FileNotFoundError:
            continue
        except OSError:
            break  # executable but not readable: no `#!` line that the kernel could read on our behalf is hidden here
        try:
            return os.read(fd, 256)
        finally:
            os.close(fd)
    return b""
