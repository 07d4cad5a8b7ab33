"""The daemon as a program: listen, serve, stop (dockerd: cmd/dockerd/daemon.go)."""

import asyncio
import gc
import logging
import os
import signal
import sys
from dataclasses import replace

from grpclib.exceptions import GRPCError

from runtime.api.containerd import snapshots_pb2
from runtime.daemon.containerd_client import Containerd, Status
from runtime.daemon.default_image import DefaultImage
from runtime.daemon.engine import Engine
from runtime.daemon.options import USAGE, DaemonOptions, UsageError, parse_arguments
from runtime.daemon.router import Router
from runtime.daemon.routes import all_routes
from runtime.daemon.server import ApiServer, ListenError, refuse_if_in_use
from runtime.daemon.socket_watch import SocketWatch


async def serve(options: DaemonOptions) -> None:
    """Run until SIGTERM or SIGINT; a second one stops the containers at once."""
    refuse_if_in_use(options.socket)
    with SocketWatch() as watch:
        engine = await _start_engine(options, watch)
        await _serve_api(engine, options.socket)


async def _start_engine(options: DaemonOptions, watch: SocketWatch) -> Engine:
    default_image = DefaultImage(options.data_root)
    try:
        await _reach_containerd(watch, options.containerd)
        engine = Engine(replace(options, snapshotter=options.snapshotter or await _best_snapshotter(options)))
        await engine.start(default_image)
        return engine
    finally:
        default_image.close()


async def _serve_api(engine: Engine, socket: str) -> None:
    server = ApiServer(Router(all_routes(engine)))
    stop, hurry = asyncio.Event(), asyncio.Event()

    def on_signal() -> None:
        (hurry if stop.is_set() else stop).set()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, on_signal)
    # Only now: who sees it listen may tell it to stop at once.
    await server.listen(socket)
    logging.getLogger("daemon").info("API listen on %s", socket)
    try:
        await stop.wait()
    finally:
        # Containers first: clients that are attached to them see their end as an end, not as a broken connection.
        await engine.stop_containers(hurry)
        server.close()
        engine.close()
        _unlink(socket)


async def _reach_containerd(watch: SocketWatch, address: str) -> None:
    """Wait until containerd listens, however long that takes: both are started at once, and either may be held."""
    if not os.path.isdir(os.path.dirname(address)):
        raise ListenError(f"cannot reach containerd at {address}: there is no such folder")
    if not os.path.exists(address):
        logging.getLogger("daemon").info("waiting for containerd at %s", address)
    await watch.wait(address)


async def _best_snapshotter(options: DaemonOptions) -> str:
    """overlayfs, or plain copies where containerd has not loaded it (moby: the priority list of graphdriver)."""
    containerd = Containerd(options.containerd, options.namespace)
    try:
        await containerd.snapshots.call("Stat", snapshots_pb2.StatSnapshotRequest(snapshotter="overlayfs", key="none"))
    except GRPCError as error:
        if error.status is Status.INVALID_ARGUMENT:
            logging.getLogger("daemon").warning("layers are copied, not stacked: %s", error.message)
            return "native"
        if error.status is not Status.NOT_FOUND:
            raise
    finally:
        containerd.close()
    return "overlayfs"


def main(arguments: list[str]) -> int:
    """Parse, serve, and turn what can go wrong into one sentence."""
    if "--help" in arguments or "-h" in arguments:
        sys.stdout.write(USAGE)
        return 0
    logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s", level=logging.INFO, stream=sys.stderr)
    try:
        options = parse_arguments(arguments)
    except UsageError as error:
        sys.stderr.write(f"daemon: {error}\nSee 'python -m runtime.daemon --help'.\n")
        return 2
    # What the imports made lives as long as the process: the collector need not look at it again.
    gc.freeze()
    try:
        if options.pidfile:
            with open(options.pidfile, "w", encoding="ascii") as file:
                file.write(str(os.getpid()))
        asyncio.run(serve(options))
    except (ListenError, GRPCError, OSError) as error:
        text = getattr(error, "message", None) or str(error)
        sys.stderr.write(f"daemon: {_because(error, text, options)}\n")
        return 1
    finally:
        if options.pidfile:
            _unlink(options.pidfile)
    return 0


def _because(error: Exception, text: str, options: DaemonOptions) -> str:
    if isinstance(error, (ConnectionRefusedError, FileNotFoundError)) and not getattr(error, "filename", None):
        return f"cannot reach containerd at {options.containerd}: is it running?"
    return text


def _unlink(path: str) -> None:
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass
