"""`start`: leave a serving process behind, and tell containerd where it listens.

Real counterpart: containerd runtime/v2/runc/manager (StartShim).

    containerd                     start                           serving process
      | exec, cwd = bundle    --->   |
      |                              | bind, listen
      |                              | fork                  --->    | setsid, stdio away, protobuf, epoll
      | <--- "unix:///...sock", exit | a byte               --->    | (a pipe: its end without a word means that
      |                              |                               |  `start` was killed and nobody knows of us)
      | connect (the backlog takes it, however long the imports last)|

The socket is bound before the fork, so the address is good as soon as it is printed. runc's shim executes itself anew
for the serving process; ours forks, so that Python starts once, and keeps `start` in its argv. containerd reads stdout
and stderr *together until both close*: whatever else were written there would spoil the address, and a child that kept
them open would hang it.
"""

import errno
import os
import socket
import sys

from runtime.shim.address import socket_path
from runtime.shim.bundle import write_note


def listen(path: str) -> socket.socket | None:
    """Return a listening socket, or None when a living shim already listens there."""
    os.makedirs(os.path.dirname(path), 0o711, exist_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        listener.bind(path)
    except OSError as reason:
        if reason.errno != errno.EADDRINUSE:  # what bind says of a path that exists
            raise
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            if probe.connect_ex(path) == 0:
                return None
        os.unlink(path)  # left by a shim that was killed
        listener.bind(path)
    os.chmod(path, 0o600)
    listener.listen(16)
    return listener


def start(namespace: str, container_id: str, address: str) -> int:
    """Print the address of a serving process for this container; start it unless there is one."""
    path = socket_path(address, namespace, container_id)
    listener = listen(path)
    url = f"unix://{path}"
    told = -1
    if listener is not None:
        heard, told = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.close(told)
            _become_daemon(keep=(listener.fileno(), heard))
            from runtime.shim.serve import serve  # here, because start's own part does not need it and is waited for

            if not os.read(heard, 1):
                os.unlink(path)
                return 1
            os.close(heard)
            serve(listener, namespace, address)
            return 0
        # For a containerd that restarts, and for whoever has to clean up.
        write_note("shim.pid", str(pid))
        write_note("address", url)
    sys.stdout.write(url)
    sys.stdout.flush()
    if told >= 0:
        os.write(told, b"\n")
    return 0


def _become_daemon(keep: tuple[int, int]) -> None:
    """Leave the caller's session and streams: its death, or its terminal's, must not reach the container."""
    os.setsid()
    # Whatever containerd was started with and did not mark close-on-exec would stay open for the container's life.
    first, last = sorted(keep)
    os.closerange(3, first)
    os.closerange(first + 1, last)
    os.closerange(last + 1, os.sysconf("SC_OPEN_MAX"))
    null = os.open("/dev/null", os.O_RDWR)
    os.dup2(null, 0)
    os.dup2(null, 1)
    try:
        # The FIFO that containerd made, and copies to its own log; non-blocking, for it may go away.
        log = os.open("log", os.O_WRONLY | os.O_NONBLOCK)
    except OSError:
        log = os.dup(null)
    os.dup2(log, 2)
    os.close(log)
    os.close(null)
