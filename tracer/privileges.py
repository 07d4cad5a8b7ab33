"""Root, or root of a user namespace: what an ordinary user needs to mount, unshare and map ids.

The whole command is started again inside ``python -m runtime.rootless``, as rootlesskit starts dockerd: from there on
one code path serves both kinds of user, and every program finds out from /proc/self/uid_map what it has to give up.
"""

import os
import sys

_MARK = "GLASSBOTTOM_ROOTLESS"
"""Set inside, so that a namespace which did not make us root is not entered again and again."""


def become_root_of_a_namespace(*, private_network: bool = True) -> None:
    """Return at once for root; otherwise replace this process by the same command inside a user namespace.

    With a network of its own where one can be had, so that containers have a bridge; who starts none needs none.
    """
    if os.geteuid() == 0:
        return
    if os.environ.get(_MARK) == "1":
        from tracer.cli import CommandError

        raise CommandError("a user namespace was made, but this process is not root in it")
    os.environ[_MARK] = "1"
    sys.stdout.flush()
    command = [sys.executable, "-m", "tracer", *sys.argv[1:]]
    network = "private" if private_network else "host"
    os.execv(sys.executable, [sys.executable, "-m", "runtime.rootless", "--net", network, "--", *command])
