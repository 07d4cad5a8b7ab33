"""AppArmor profile and SELinux label: what the process will be confined by from its execve on.

Both are asked for by writing to /proc/self/attr/exec before execve (apparmor(7), proc(5)). Asking where the kernel has
no such module is an error, not a no-op: the container would be less confined than its author thinks.
"""

import os

from runtime.oci.errors import OCIError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def attribute(process: "dict[str, Any]") -> "tuple[str, str] | None":
    """The file below /proc and the text to write, or None when the process asks for no label."""
    profile = process.get("apparmorProfile", "")
    label = process.get("selinuxLabel", "")
    if profile and profile != "unconfined":
        if not _apparmor_enabled():
            raise OCIError(f'process.apparmorProfile: "{profile}" given, but AppArmor is not enabled on this host')
        own = "self/attr/apparmor/exec"
        return (own if os.path.exists(f"/proc/{own}") else "self/attr/exec"), f"exec {profile}"
    if label:
        if not os.path.exists("/sys/fs/selinux/enforce"):
            raise OCIError(f'process.selinuxLabel: "{label}" given, but SELinux is not enabled on this host')
        return "self/attr/exec", label
    return None


def _apparmor_enabled() -> bool:
    try:
        with open("/sys/module/apparmor/parameters/enabled") as file:
            return file.read(1) == "Y"
    except FileNotFoundError:
        return False


def hold_proc(wanted: "tuple[str, str] | None") -> int:
    """An fd of the host's /proc, for a child that will see another one, or a fake."""
    return os.open("/proc", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC) if wanted else -1


def open_attribute(proc_fd: int, wanted: "tuple[str, str] | None") -> "tuple[int, str] | None":
    """Open the file, in the process that it is about; the write comes later, just before execve."""
    if wanted is None:
        return None
    path, text = wanted
    fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC, dir_fd=proc_fd)
    os.close(proc_fd)
    return fd, text


def apply(opened: "tuple[int, str] | None") -> None:
    """Ask for the label: the last thing before execve, for it applies to the next one."""
    if opened is not None:
        fd, text = opened
        os.write(fd, text.encode())
        os.close(fd)
