"""`python -m runtime.containerd`: the program's flags and its two verbs.

Real counterpart: containerd `cmd/containerd`. Without a verb it is the daemon; `publish` is what a shim without ttrpc
would run to report an event (the event, a serialized Any, on stdin).
"""

import argparse
import asyncio
import os
import sys


def build_parser() -> argparse.ArgumentParser:
    """Return the command line's grammar."""
    parser = argparse.ArgumentParser(
        prog="containerd", description="A small containerd: containers, tasks, images, snapshots and events over gRPC."
    )
    parser.add_argument(
        "--root",
        "-root",
        default="/var/lib/glassbottom/containerd",
        help="what must survive a reboot: content, snapshots, metadata",
    )
    parser.add_argument(
        "--state",
        "-state",
        default="/run/glassbottom/containerd",
        help="what must not: bundles and FIFOs of running tasks",
    )
    parser.add_argument(
        "--address",
        "-address",
        "-a",
        default="/run/glassbottom/containerd/containerd.sock",
        help="socket for gRPC; shims report events on ADDRESS.ttrpc",
    )
    verbs = parser.add_subparsers(dest="verb")
    publish = verbs.add_parser("publish", help="report an event, a serialized Any on stdin")
    publish.add_argument("--topic", "-topic", required=True)
    publish.add_argument("--namespace", "-namespace", required=True)
    return parser


def main() -> int:
    """Run the daemon, or one verb, and return the exit status."""
    arguments = build_parser().parse_args()
    if arguments.verb == "publish":
        from runtime.containerd.publish import publish

        return asyncio.run(publish(arguments.address, arguments.namespace, arguments.topic, sys.stdin.buffer.read()))
    from runtime.containerd.daemon import StartError, serve
    from runtime.containerd.settings import Settings

    root, state, address = (os.path.abspath(path) for path in (arguments.root, arguments.state, arguments.address))
    settings = Settings(root, state, address, os.path.abspath(sys.argv[0]))
    try:
        asyncio.run(serve(settings))
    except StartError as failure:
        sys.stderr.write(f"containerd: {failure}\n")
        return 1
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        sys.stderr.write(f"containerd: cannot start: {where}{(error.strerror or str(error)).lower()}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
