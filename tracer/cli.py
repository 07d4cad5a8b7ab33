"""The command line: ``glassbottom VERB ...``.

Each verb is a module of its own, imported only when it is asked for, so that ``--help`` answers at once and a replay
on macOS never imports what exists on Linux alone. Errors become one sentence on stderr and an exit code here and
nowhere else; GLASSBOTTOM_DEBUG=1 shows where they came from instead.

Exit codes: 0 well; 1 refused; 2 a command line that cannot be understood; 130 interrupted. ``run`` and ``record`` have
those of ``docker run``: the container's own, 126 and 127, and 125 for all that is not the container's doing, be it a
refusal or a word of ours that cannot be understood.
"""

import importlib
import os
import sys

VERBS = {
    "run": "step through a live `docker run`, on the built-in stack",
    "record": "record a `docker run` without a screen",
    "replay": "step through a recording",
    "report": "tell a recording as text, for people and screen readers, or as JSON",
    "lessons": "list the lessons",
    "doctor": "say what this machine allows, and what would help",
    "cleanup": "remove what killed runs left behind",
    "stack": "run the stack by itself, for the docker CLI and ctr: stack up",
}

HELP = f"""usage: glassbottom VERB ...

Look down through every layer of `docker run`: the HTTP request, containerd's events,
the process tree and the system calls of one moment, on a real container.

{chr(10).join(f"  {name:<9} {purpose}" for name, purpose in VERBS.items())}

Start here:
  glassbottom run -it hostbox sh                 space steps to the next stage, ? helps, q quits
  glassbottom record -o run.jsonl -- docker run --rm hostbox echo hi
  glassbottom replay run.jsonl

`glassbottom VERB --help` explains each, with examples.
"""


RUN_CONTAINERS = ("run", "record")
NOT_THE_CONTAINER = 125
"""docker's exit code for what is no container's own."""


class CommandError(Exception):
    """A verb cannot do what was asked; the message is a sentence."""


def main(argv: list[str] | None = None) -> int:
    """Run one verb."""
    words = sys.argv[1:] if argv is None else argv
    if not words or words[0] in ("-h", "--help", "help"):
        print(HELP, end="")
        return 0 if words else 2
    if words[0] in ("-V", "--version"):
        from importlib.metadata import version

        print(f"glassbottom {version('glassbottom')}")
        return 0
    verb, *rest = words
    if verb not in VERBS:
        return _complain(f"there is no verb {verb!r}; `glassbottom --help` lists them", 2)
    if os.environ.get("GLASSBOTTOM_DEBUG") == "1":
        return int(importlib.import_module(f"tracer.verbs.{verb}").main(rest))
    refused = NOT_THE_CONTAINER if verb in RUN_CONTAINERS else 1
    try:
        return int(importlib.import_module(f"tracer.verbs.{verb}").main(rest))
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # Nobody reads on (`glassbottom report x | head`): no words, and nothing for the interpreter to flush at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 141
    except CommandError as error:
        return _complain(str(error), refused)
    except Exception as error:  # noqa: BLE001 - the one place where what nobody expected becomes a sentence
        return _complain(_describe(error), refused)


def _describe(error: Exception) -> str:
    """A sentence for any error: the project's own already are, the system's say which path."""
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror.lower()}" if error.filename else error.strerror.lower()
    if type(error).__module__.startswith("tracer."):
        return str(error)
    return f"this should not have happened ({type(error).__name__}: {error}); GLASSBOTTOM_DEBUG=1 shows where"


def _complain(message: str, code: int) -> int:
    print(f"glassbottom: {message}", file=sys.stderr)
    return code
