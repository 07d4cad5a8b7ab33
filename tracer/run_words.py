"""Take a command line of ``run`` or ``record`` apart: our own options, and docker's words, which are passed on.

    glassbottom record -o FILE --client docker -- docker run -it --rm hostbox sh
                       `------- ours -------'            `----- docker's ------'

Ours come first and end at the first word that is none of them, so that docker's flags need not be known here. The
client's own parser looks at docker's before anything is started.
"""

import os
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import get_args

from tracer import seats
from tracer.cli import CommandError
from tracer.commands import Speed

SEATS = (*seats.OPTIONS, "--stack", "--attach")
"""Options that put a real part in a seat, or in all of them."""

PORTS_STAY_INSIDE = (
    "the real dockerd of a run has a network of its own and makes no firewall rules in this host's: "
    "ports of -p and -P can be reached in there alone, not from this host"
)

_STREAMS = frozenset(("stdin", "stdout", "stderr"))
"""What docker's own --attach is given."""

SEATS_HELP = seats.options_help()

SPEED_HELP = """\
  --speed full|filtered|wire|processes
                       every system call; only those that stages and panes are made of; or so for the daemons alone,
                       which then run at nearly full speed (what --stack docker does unless told otherwise).
                       With --attach: full, or processes, which asks nothing of the daemons' calls (the default)"""


@dataclass
class RunWords:
    """A command line, taken apart."""

    options: dict[str, str] = field(default_factory=dict)
    """Ours: option (with its dashes) -> value, empty for one without."""
    docker: list[str] = field(default_factory=list)
    """What comes after ``docker run``."""

    @property
    def seats(self) -> dict[str, str]:
        """Seat -> real part, for plan_stack: those of --stack, and instead of them those that are named."""
        stack = seats.HOST if "--attach" in self.options else seats.STACKS[self.options.get("--stack", "glassbottom")]
        chosen = {**stack, **self.options}
        return {name.removeprefix("--"): chosen[name] for name in seats.OPTIONS if name in chosen}

    @property
    def with_deadlines(self) -> tuple[str, ...]:
        """The real parts of this run that give up when everything stands still; where there are none, it can be held.

        Without those that --attach names: they have deadlines like any others.
        """
        parts = {seat: name for seat, name in self.seats.items() if seat in seats.WITH_DEADLINES}
        return tuple("the shim" if seat == "shim" else os.path.basename(name) for seat, name in parts.items())


def take_apart(words: Sequence[str], with_value: Sequence[str], without: Sequence[str] = ("--help", "-h")) -> RunWords:
    """Read our options off the front; what is left is docker's, less the words ``docker run``."""
    taken, rest = RunWords(), list(words)
    while rest:
        name, equals, value = rest[0].partition("=")
        if name == "--attach" and (value or " ".join(rest[1:2])).lower() in _STREAMS:
            break  # docker's own
        if name in with_value:
            rest.pop(0)
            if not equals and rest:
                value = rest.pop(0)
            if not value:
                raise CommandError(f"{name} needs a value")
            if name == "--stack":
                _check_stack(value)
            taken.options[name] = value
        elif rest[0] in without and (rest[0] != "-h" or len(rest) == 1):  # docker's -h, before a word, is --hostname
            taken.options[rest.pop(0)] = ""
        else:
            break
    if rest[:1] == ["--"]:
        rest.pop(0)
    taken.docker = _after_run(rest)
    return taken


def check_speed(words: RunWords) -> None:
    """Raise CommandError for a speed that there is not."""
    known = get_args(Speed) if "--attach" in words.options else get_args(Speed)[:-1]
    asked = words.options.get("--speed", "full")
    if asked not in known:
        why = "it is for --attach; one of" if asked == "processes" else "it is one of"
        raise CommandError(f"--speed {asked}: {why} {', '.join(known)}")


def _check_stack(name: str) -> None:
    if name == "host":
        raise CommandError(
            "the daemons of this host are followed only when they are named, because others use them as well: "
            "--attach dockerd,containerd; --stack docker starts real ones of your own",
        )
    if name not in seats.STACKS:
        raise CommandError(f"there is no stack {name!r}: it is one of {', '.join(seats.STACKS)}")


def _after_run(words: list[str]) -> list[str]:
    """What follows ``docker run`` or ``docker container run``, both of which may be left out.

    Raises CommandError where docker is to do something else: taken for an image, it would be a riddle.
    """
    rest = words[1:] if words[:1] == ["docker"] else words
    if rest[:2] == ["container", "run"]:
        return rest[2:]
    if rest[:1] == ["run"]:
        return rest[1:]
    if rest is words:
        return rest
    other = " ".join(["docker", *rest[: 2 if rest[:1] == ["container"] else 1]])
    raise CommandError(
        f"only `docker run` and `docker container run` can be traced, and this is `{other}`; "
        "options of docker's own (-H, --context) are left out, and an image named docker is docker:latest",
    )


def refuse_what_docker_would(words: RunWords) -> int:
    """Print docker's complaint about its words and answer its exit code; 0 where it has none.

    Only where our client will run: a real docker knows flags that ours does not, and speaks for itself.
    """
    if "client" in words.seats:
        return 0
    from runtime.client.complaints import check_run_words

    complaint = check_run_words(words.docker)
    if complaint is None:
        return 0
    sys.stderr.write(f"{complaint.text}\n")
    return complaint.exit_code


def publishes_nothing(words: RunWords) -> bool:
    """Whether docker is asked for ports that will not be published: see `Stack.daemon_argv` for dockerd's network.

    With --attach it is the host's own dockerd, which publishes them.
    """
    if "daemon" not in words.seats:
        return False
    from runtime.client.flags import UsageError, parse
    from runtime.client.run_flags import RUN_FLAGS

    try:
        given, _ = parse(RUN_FLAGS, words.docker)
    except UsageError:
        # The real docker knows flags that ours does not, and so where its words end: better one warning too many.
        return any(re.match("-[a-zA-Z]*[pP]|--publish", word) for word in words.docker)
    return "publish" in given or given.on("publish-all")


def wants_docker_help(words: RunWords) -> bool:
    """``glassbottom run --help``, wherever it stands before IMAGE."""
    return "--help" in words.options or "-h" in words.options or words.docker[:1] == ["--help"]
