"""What the client says when it does not do what it was asked, and the exit code that goes with it.

Real counterpart: docker CLI's cli/cobra.go and cli/command/container/run.go (``toStatusError``). Scripts tell the
codes apart: 125 is docker's own refusal, 126 and 127 the command's, anything else the container's.
"""

from __future__ import annotations

from runtime.client.create_request import build
from runtime.client.engine_client import DaemonError
from runtime.client.flags import ConflictError, MissingWordError, RefusedHereError, UsageError, parse
from runtime.client.run_flags import RUN_FLAGS, USAGE

REFUSED, CANNOT_INVOKE, NOT_FOUND = 125, 126, 127


class Complaint:
    """The whole text for stderr, and the exit code."""

    def __init__(self, text: str, exit_code: int) -> None:
        self.text = text
        self.exit_code = exit_code


def complain(verb: str, error: Exception) -> Complaint:
    """Docker's words for an error of a verb."""
    if isinstance(error, RefusedHereError):
        return Complaint(str(error), 1)
    if isinstance(error, MissingWordError):
        return Complaint(f"docker: {error}", 1)
    if isinstance(error, UsageError) and not isinstance(error, ConflictError):
        usage = USAGE if verb == "run" else f"Usage:  docker {verb} [OPTIONS]"
        return Complaint(_with_advice(f"{error}\n\n{usage}", verb), REFUSED)
    if verb != "run":
        return Complaint(_describe(error), 1)
    code = _code_by_words(str(error)) if isinstance(error, DaemonError) else REFUSED
    return Complaint(_with_advice(f"docker: {_describe(error)}", verb), code)


def check_run_words(words: list[str]) -> Complaint | None:
    """What ``run`` would complain about before it says a word to the daemon; None where it would go on."""
    try:
        given, rest = parse(RUN_FLAGS, words)
        if not rest and not given.on("help"):
            raise missing_image()
        build(given, rest[0] if rest else "", rest[1:], (0, 0))
    except (UsageError, OSError, ValueError) as error:
        return complain("run", error)
    return None


def missing_image() -> MissingWordError:
    """``run`` without an IMAGE."""
    return MissingWordError(
        f"'docker run' requires at least 1 argument\n\n{USAGE}\n\nSee 'docker run --help' for more information"
    )


def _code_by_words(text: str) -> int:
    """126 or 127 where the daemon's words say that the command is at fault: the API has no field for it."""
    if "executable file not found" in text or "no such file or directory" in text:
        return NOT_FOUND
    if "permission denied" in text or "is a directory" in text:
        return CANNOT_INVOKE
    return REFUSED


def _describe(error: Exception) -> str:
    """OSErrors as Go words them: ``open /x: no such file or directory``."""
    if isinstance(error, OSError) and error.strerror:
        return f"open {error.filename}: {error.strerror.lower()}" if error.filename else error.strerror.lower()
    return str(error)


def _with_advice(message: str, verb: str) -> str:
    return f"{message}\n\nRun 'docker {verb} --help' for more information"
