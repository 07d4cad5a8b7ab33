"""Root, or root of a user namespace: what an ordinary user needs to mount, unshare and map ids.

The whole command is started again inside ``python -m runtime.rootless``, as rootlesskit starts dockerd: from there on
one code path serves both kinds of user, and every program finds out from /proc/self/uid_map what it has to give up.
"""

import ctypes
import fcntl
import os
import sys

_CLONE_NEWNS = 0x00020000
_MS_REC, _MS_SLAVE = 0x4000, 0x80000
_NS_GET_USERNS = 0xB701
_MARK = "GLASSBOTTOM_ROOTLESS"
"""Set inside, so that a namespace which did not make us root is not entered again and again."""


def become_root_of_a_namespace(*, private_network: bool = True) -> None:
    """Return at once for root who may mount; otherwise replace this process by the same command in a user namespace.

    Root of a user namespace in somebody else's mount namespace (`unshare -Ur`) gets a mount namespace first.
    With a network of its own where one can be had, so that containers have a bridge; who starts none needs none.
    """
    if os.geteuid() == 0:
        if not may_mount_here():
            _leave_the_mount_namespace()
        return
    if os.environ.get(_MARK) == "1":
        from tracer.cli import CommandError

        raise CommandError("a user namespace was made, but this process is not root in it")
    os.environ[_MARK] = "1"
    sys.stdout.flush()
    command = [sys.executable, "-m", "tracer", *sys.argv[1:]]
    network = "private" if private_network else "host"
    os.execv(sys.executable, [sys.executable, "-m", "runtime.rootless", "--net", network, "--", *command])


def may_mount_here() -> bool:
    """Whether root's user namespace is the one that this mount namespace belongs to, or above it: ioctl_ns(2)."""
    namespace = os.open("/proc/self/ns/mnt", os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.close(fcntl.ioctl(namespace, _NS_GET_USERNS))
    except PermissionError:
        return False
    finally:
        os.close(namespace)
    return True


def _leave_the_mount_namespace() -> None:
    """A mount namespace of our own, in which what is mounted outside appears, as `runtime.rootless` makes one."""
    from tracer.cli import CommandError

    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(_CLONE_NEWNS) != 0 or libc.mount(b"none", b"/", None, _MS_REC | _MS_SLAVE, None) != 0:
        reason = os.strerror(ctypes.get_errno()).lower()
        raise CommandError(
            f"root of a user namespace, in a mount namespace that is not its own, and refused one: {reason}"
        )
