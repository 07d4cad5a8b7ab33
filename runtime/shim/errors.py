"""What a task call can answer instead of a result.

    TaskError(code, message)         becomes a ttrpc Status; containerd appends the code's name to the message

Real counterpart: containerd's errdefs and google.golang.org/grpc/codes. Only the codes that the task service uses.
"""

UNKNOWN = 2
INVALID_ARGUMENT = 3
NOT_FOUND = 5
ALREADY_EXISTS = 6
FAILED_PRECONDITION = 9
UNIMPLEMENTED = 12
INTERNAL = 13


class TaskError(Exception):
    """A refusal with the gRPC code and the sentence that travel up to the user."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


def not_found(what: str) -> TaskError:
    """Say so the way errdefs does: callers test for the code, people read the ending."""
    return TaskError(NOT_FOUND, f"{what}: not found")
