"""All parts of containerd put together, from the first directory to the last socket.

Real counterpart: containerd `cmd/containerd/command/main.go` and `services/server/server.go`.

    directories, lock      a second containerd on the same root is refused before it can change anything
    parts and services     what a kill -9 has left half made is found, overlayfs is tried, everything is loaded
    ADDRESS.ttrpc          shims that have outlived an earlier containerd have events to deliver
    shims found again      before clients can ask for them, or they would be told that nothing runs
    ADDRESS                from here on we are up
"""

import asyncio
import errno
import os
import signal
import socket
from functools import partial

from runtime.containerd import bundle, log
from runtime.containerd.metadata import Metadata, RootInUseError
from runtime.containerd.parts import Parts
from runtime.containerd.server import build_server
from runtime.containerd.services.table import make_services
from runtime.containerd.settings import Settings
from runtime.containerd.ttrpc_events import ShimConnection


class StartError(Exception):
    """Why containerd cannot start, in a sentence."""


async def serve(settings: Settings) -> None:
    """Run until SIGTERM or SIGINT; shims and containers stay."""
    loop = asyncio.get_running_loop()
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    loop.set_exception_handler(_report)
    for directory in (settings.root, settings.state, os.path.dirname(settings.address)):
        os.makedirs(directory, mode=0o711, exist_ok=True)
    try:
        metadata = Metadata(os.path.join(settings.root, "io.containerd.metadata.v1.bolt"))
    except RootInUseError as error:
        raise StartError(str(error)) from None
    parts = Parts(settings, metadata)
    services = make_services(parts)
    events_server = await loop.create_unix_server(
        partial(ShimConnection, parts.exchange), sock=listen(settings.ttrpc_address)
    )
    if bundle.existing(settings.root, settings.state):
        await parts.shims.load()
    server = build_server(services)
    await server.start(sock=listen(settings.address))
    log.info(f"containerd is listening on {settings.address}")
    await stopped.wait()
    server.close()
    events_server.close()
    await parts.shims.leave()
    for path in (settings.address, settings.ttrpc_address):
        if os.path.exists(path):  # somebody may have removed the whole state directory
            os.unlink(path)
    metadata.close()


def listen(path: str) -> socket.socket:
    """Return a listening unix socket; one left by a dead process is replaced, one that answers is not."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        _bind(listener, path)
    except OSError as error:
        listener.close()
        reason = (
            "a running process listens there"
            if error.errno == errno.EADDRINUSE
            else str(error.strerror or error).lower()
        )
        raise StartError(f"cannot listen on {path}: {reason}") from None
    listener.listen(128)
    # After listen(2), as containerd: who waits for us watches the folder, and inotify(7) says nothing of a listen.
    os.chmod(path, 0o660)
    return listener


def _bind(listener: socket.socket, path: str) -> None:
    try:
        listener.bind(path)
        return
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        if probe.connect_ex(path) == 0:
            raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE), path)
    os.unlink(path)
    listener.bind(path)


def _report(loop: asyncio.AbstractEventLoop, context: dict[str, object]) -> None:
    """What asyncio would print as a traceback (a peer that spoke nonsense, most of all) is a line in the log."""
    failure = context.get("exception")
    detail = f": {type(failure).__name__}: {failure}" if failure is not None else ""
    log.warn(f"{str(context.get('message', '')).rstrip('.').lower()}{detail}")
