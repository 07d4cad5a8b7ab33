"""The serving process: one loop around a task service, alive as long as its container is.

Real counterpart: containerd runtime/v2/shim/shim.go (serve, handleSignals).

It depends on nobody: its parent (`start`) is gone, it leads a session of its own, holds no pipe to containerd, and goes
on when containerd or dockerd die. It ends when Shutdown has been answered and nothing is left, and removes its socket.
"""

import os
import signal
import socket

from runtime.shim import kernel
from runtime.shim.container import Surroundings
from runtime.shim.loop import Loop, spawn
from runtime.shim.publisher import Publisher
from runtime.shim.reaper import Reaper
from runtime.shim.server import Server
from runtime.shim.task_service import TaskService


def serve(listener: socket.socket, namespace: str, address: str) -> None:
    """Serve until told to end."""
    # Before the first runtime call: an orphan goes to whoever is subreaper at the moment its parent ends.
    kernel.set_child_subreaper()
    # Both end the shim at once, as they end runc's; `delete` then cleans up, and the container ends with its shim.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    loop = Loop()
    reaper = Reaper()
    loop.on_signal(signal.SIGCHLD, reaper.reap)
    ttrpc_address = os.environ.get("TTRPC_ADDRESS") or f"{address}.ttrpc"
    publisher = Publisher(loop, ttrpc_address.removeprefix("unix://"), namespace)

    async def end() -> None:
        await publisher.drained()
        await server.drain()
        loop.stop()

    service = TaskService(
        Surroundings(loop, reaper, publisher),
        namespace,
        default_root=os.path.join(os.path.dirname(address) or "/run/containerd", "runc"),
        shutdown=lambda: spawn(end()),
    )
    server = Server(loop, listener, service)
    path = listener.getsockname()
    loop.run()
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass
