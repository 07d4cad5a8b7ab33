"""``python -m runtime.client [-H unix://SOCKET] VERB ...``: the docker command, as far as a lesson needs it.

Real counterpart: docker CLI's cmd/docker. Left out on purpose: contexts, credential stores, plugins, TLS, templates
in --format, and every command that ``docker run`` does not need. Exit codes: the container's own from ``run``; 125
where ``run`` was refused, 1 where another verb was.
"""

from __future__ import annotations

import os
import signal
import sys

from runtime.client.complaints import REFUSED, Complaint, complain
from runtime.client.engine_client import (
    ConnectionLostError,
    DaemonError,
    EngineClient,
    UnreachableError,
    host_from_environment,
)
from runtime.client.flags import Flag, MissingWordError, UsageError, boolean, describe, parse
from runtime.client.http1 import ProtocolError
from runtime.client.run import run

HELP = """Usage:  docker [OPTIONS] COMMAND

A small docker client over the Docker Engine API

Commands:
  run         Create and run a new container from an image
{verbs}

Global Options:
{options}

Run 'docker COMMAND --help' for more information on a command.
"""

GLOBAL_FLAGS = (
    Flag("host", "H", help="Daemon socket to connect to (default $DOCKER_HOST, or unix:///var/run/docker.sock)"),
    Flag("help", kind="bool", convert=boolean, help="Print usage"),
)


def main(argv: list[str] | None = None) -> int:
    """Run one verb; every error becomes a sentence on stderr and an exit code."""
    try:
        given, words = parse(GLOBAL_FLAGS, sys.argv[1:] if argv is None else argv)
    except UsageError as error:
        usage = "Usage:  docker [OPTIONS] COMMAND [ARG...]\n\nRun 'docker --help' for more information"
        return _say(Complaint(f"{error}\n\n{usage}", REFUSED))
    if given.on("help") or not words:
        return _print_help()
    verb, *rest = words
    client = EngineClient(host_from_environment(given.text("host")))
    try:
        return _dispatch(client, verb, rest)
    except BrokenPipeError:
        return _nobody_reads(verb)
    except (
        UsageError,
        DaemonError,
        UnreachableError,
        ConnectionLostError,
        ProtocolError,
        OSError,
        ValueError,
    ) as error:
        return _say(complain(verb, error))


def _dispatch(client: EngineClient, verb: str, rest: list[str]) -> int:
    if verb == "run":
        return run(client, rest)
    # Imported only here: `run` is what is timed and traced, and it needs none of this.
    from runtime.client.verbs import VERBS

    if verb not in VERBS:
        raise MissingWordError(f"unknown command: docker {verb}\n\nRun 'docker --help' for more information")
    return VERBS[verb].call(client, rest)


def _print_help() -> int:
    from runtime.client.verbs import VERBS

    verbs = "\n".join(f"  {name:<12}{verb.help}" for name, verb in VERBS.items())
    print(HELP.format(verbs=verbs, options=describe(GLOBAL_FLAGS)), end="")
    return 0


def _say(complaint: Complaint) -> int:
    print(complaint.text, file=sys.stderr)
    return complaint.exit_code


def _nobody_reads(verb: str) -> int:
    """Our output goes nowhere (``docker logs x | head -1``): end by SIGPIPE, as every program does then.

    While attached, SIGPIPE is among the signals that are caught, and a sentence is all that is left.
    """
    if verb in {"run", "attach"}:
        return _say(Complaint("write /dev/stdout: broken pipe", 1))
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    os.kill(os.getpid(), signal.SIGPIPE)
    return 128 + signal.SIGPIPE


if __name__ == "__main__":
    sys.exit(main())
