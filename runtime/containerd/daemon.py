"""All parts of containerd put together, from the first directory to the last socket.

Real counterpart: containerd `cmd/containerd/command/main.go` and `services/server/server.go`.

    directories, lock      a second containerd on the same root is refused before it can change anything
    ADDRESS.ttrpc          shims that have outlived an earlier containerd have events to deliver
    shims found again      before clients can ask for them, or they would be told that nothing runs
    ADDRESS                from here on we are up
"""

import asyncio
import errno
import os
import signal
import socket
import sys
from typing import NamedTuple

from grpclib.server import Server

from runtime.containerd import log
from runtime.containerd.content import ContentStore
from runtime.containerd.exchange import Exchange
from runtime.containerd.garbage import Collector
from runtime.containerd.metadata import Metadata, RootInUseError
from runtime.containerd.server import build_server
from runtime.containerd.services.containers import ContainersService
from runtime.containerd.services.content import ContentService
from runtime.containerd.services.diff import DiffService
from runtime.containerd.services.events import EventsService
from runtime.containerd.services.images import ImagesService
from runtime.containerd.services.leases import LeasesService
from runtime.containerd.services.namespaces import NamespacesService
from runtime.containerd.services.snapshots import SnapshotsService
from runtime.containerd.services.tasks import TasksService
from runtime.containerd.services.version import IntrospectionService, VersionService
from runtime.containerd.shim import Containerd
from runtime.containerd.shims import Shims
from runtime.containerd.snapshots.native import Native
from runtime.containerd.snapshots.overlayfs import Overlayfs
from runtime.containerd.snapshots.snapshotter import Snapshotter, Snapshotters
from runtime.containerd.ttrpc_events import ShimConnection


class Settings(NamedTuple):
    """Where this containerd lives."""

    root: str
    state: str
    address: str


class StartError(Exception):
    """Why containerd cannot start, in a sentence."""


def open_snapshotters(root: str, metadata: Metadata) -> Snapshotters:
    """Return the snapshotters below the root directory."""
    overlayfs = os.path.join(root, "io.containerd.snapshotter.v1.overlayfs")
    native = os.path.join(root, "io.containerd.snapshotter.v1.native")
    snapshotters = Snapshotters(
        [Snapshotter(Overlayfs(overlayfs), overlayfs, metadata), Snapshotter(Native(), native, metadata)]
    )
    snapshotters.sweep()
    return snapshotters


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
    exchange = Exchange()
    containerd = Containerd(settings.address, os.path.abspath(sys.argv[0]))
    shims = Shims(settings.root, settings.state, containerd, exchange)
    server = assemble(settings, metadata, exchange, shims)
    events_socket = listen(containerd.ttrpc_address)
    events_server = await loop.create_unix_server(lambda: ShimConnection(exchange), sock=events_socket)
    await shims.load()
    await server.start(sock=listen(settings.address))
    log.info(f"containerd is listening on {settings.address}")
    await stopped.wait()
    server.close()
    events_server.close()
    await shims.leave()
    for path in (settings.address, containerd.ttrpc_address):
        os.unlink(path)
    metadata.close()


def assemble(settings: Settings, metadata: Metadata, exchange: Exchange, shims: Shims) -> Server:
    """Return the gRPC server with every service in place."""
    snapshotters = open_snapshotters(settings.root, metadata)
    content = ContentStore(os.path.join(settings.root, "io.containerd.content.v1.content"), metadata)
    content.sweep()
    collector = Collector(metadata, content, snapshotters)
    return build_server(
        [
            VersionService(),
            IntrospectionService(settings.root, snapshotters),
            NamespacesService(metadata, exchange),
            ContainersService(metadata, exchange),
            TasksService(metadata, shims),
            EventsService(exchange),
            LeasesService(metadata, collector),
            ContentService(content, exchange),
            ImagesService(metadata, exchange, collector),
            SnapshotsService(metadata, snapshotters, exchange),
            DiffService(content),
        ]
    )


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
    os.chmod(path, 0o660)
    listener.listen(128)
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
