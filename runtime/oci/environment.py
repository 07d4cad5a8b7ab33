"""The environment of the container's process (runtime-spec config.md, "process.env").

Counterpart: runc's `prepareEnv` and `user.GetExecUser`. The spec knows nothing of HOME; every caller expects it.
"""

import os
import stat

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def of(process: "dict[str, Any]", uid: int) -> dict[str, str]:
    """process.env, and HOME out of the image's /etc/passwd where it is not given."""
    env = dict(variable.partition("=")[::2] for variable in process.get("env", []))
    if not env.get("HOME"):
        env["HOME"] = _home_of(uid)
    return env


def _home_of(uid: int) -> str:
    try:
        # the image's: a FIFO in its place must not hold us, nor a device feed us for ever
        fd = os.open("/etc/passwd", os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError:
        return "/"  # an image need not have one
    try:
        return _home_in(fd, uid) if stat.S_ISREG(os.fstat(fd).st_mode) else "/"
    except OSError:
        return "/"  # nor need it be readable
    finally:
        os.close(fd)


def _home_in(fd: int, uid: int) -> str:
    with open(fd, encoding="utf-8", errors="surrogateescape", closefd=False) as file:
        for line in file:
            fields = line.rstrip("\n").split(":")
            if len(fields) >= 6 and fields[2] == str(uid):
                return fields[5] or "/"
    return "/"
