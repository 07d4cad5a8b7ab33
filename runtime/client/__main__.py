"""``python -m runtime.client [-H unix://SOCKET] VERB ...``: the docker command, as far as a lesson needs it.

Real counterpart: docker CLI's cmd/docker. Left out on purpose: contexts, credential stores, plugins, TLS, templates
in --format, and every command that ``docker run`` does not need. Exit codes: the container's own from ``run``; 125
where ``run`` was refused, 1 where another verb was.
"""

from __future__ import annotations

import os
import signal
import sys

from runtime.client.engine_client import (
    ConnectionLostError,
    DaemonError,
    EngineClient,
    UnreachableError,
    host_from_environment,
)
from runtime.client.flags import (
    ConflictError,
    Flag,
    MissingWordError,
    RefusedHereError,
    UsageError,
    boolean,
    describe,
    parse,
)
from runtime.client.http1 import ProtocolError
from runtime.client.run import REFUSED, RunRefusedError, run
from runtime.client.run_flags import USAGE

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
        return _complain(f"{error}\n\nUsage:  docker [OPTIONS] COMMAND [ARG...]", "docker --help", 125)
    if given.on("help") or not words:
        return _print_help()
    verb, *rest = words
    client = EngineClient(host_from_environment(given.text("host")))
    try:
        return _dispatch(client, verb, rest)
    except BrokenPipeError:
        return _die_of_broken_pipe()
    except UsageError as error:
        return _complain_usage(verb, error)
    except RunRefusedError as error:
        return _complain(f"docker: {error}", f"docker {verb} --help", error.exit_code)
    except (DaemonError, UnreachableError, ConnectionLostError, ProtocolError, OSError, ValueError) as error:
        words_of_error = _describe(error)
        if verb == "run":
            return _complain(f"docker: {words_of_error}", "docker run --help", REFUSED)
        print(words_of_error, file=sys.stderr)
        return 1


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


def _describe(error: Exception) -> str:
    """OSErrors as Go words them: ``open /x: no such file or directory``."""
    if isinstance(error, OSError) and error.strerror:
        return f"open {error.filename}: {error.strerror.lower()}" if error.filename else error.strerror.lower()
    return str(error)


def _complain_usage(verb: str, error: UsageError) -> int:
    """A bad command line, in docker's words for its kind."""
    if isinstance(error, RefusedHereError):
        print(error, file=sys.stderr)
        return 1
    if isinstance(error, MissingWordError):
        print(f"docker: {error}", file=sys.stderr)
        return 1
    if isinstance(error, ConflictError):
        return _complain(f"docker: {error}", f"docker {verb} --help", REFUSED)
    usage = USAGE if verb == "run" else f"Usage:  docker {verb} [OPTIONS]"
    return _complain(f"{error}\n\n{usage}", f"docker {verb} --help", REFUSED)


def _complain(message: str, help_command: str, code: int) -> int:
    print(f"{message}\n\nRun '{help_command}' for more information", file=sys.stderr)
    return code


def _die_of_broken_pipe() -> int:
    """Nobody reads our output any more (``docker logs | head -1``): end as every program does then, by SIGPIPE."""
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    os.kill(os.getpid(), signal.SIGPIPE)
    return 128 + signal.SIGPIPE


if __name__ == "__main__":
    sys.exit(main())
