"""What can go wrong in containerd, as gRPC says it.

Real counterpart: containerd `errdefs/errors.go` and `errdefs/grpc.go`. Clients decide by the status code (NOT_FOUND
is what `ctr` and dockerd take as "gone"), people read the text, which ends in the class of the error.

    ContainerdError                 UNKNOWN
    |-- NotFoundError               NOT_FOUND             "...: not found"
    |-- AlreadyExistsError          ALREADY_EXISTS        "...: already exists"
    |-- InvalidArgumentError        INVALID_ARGUMENT      "...: invalid argument"
    |-- FailedPreconditionError     FAILED_PRECONDITION   "...: failed precondition"
    |-- UnavailableError            UNAVAILABLE           "...: unavailable"
    |-- UnimplementedError          UNIMPLEMENTED         "...: not implemented"
    |-- OutOfRangeError             OUT_OF_RANGE
    `-- ShimError                   the code that a shim answered over ttrpc
"""

from typing import ClassVar

from grpclib.const import Status


class ContainerdError(Exception):
    """An error that a client is told in a status and a sentence."""

    status: ClassVar[Status] = Status.UNKNOWN
    ending: ClassVar[str] = ""

    def __init__(self, sentence: str, *, bare: bool = False) -> None:
        super().__init__(sentence if bare or not self.ending else f"{sentence}: {self.ending}")

    @property
    def code(self) -> Status:
        """The gRPC status that goes into the trailers."""
        return self.status


class NotFoundError(ContainerdError):
    """There is no such thing."""

    status = Status.NOT_FOUND
    ending = "not found"


class AlreadyExistsError(ContainerdError):
    """The name is taken."""

    status = Status.ALREADY_EXISTS
    ending = "already exists"


class InvalidArgumentError(ContainerdError):
    """The request can never succeed as it stands."""

    status = Status.INVALID_ARGUMENT
    ending = "invalid argument"


class FailedPreconditionError(ContainerdError):
    """The request cannot succeed in the present state."""

    status = Status.FAILED_PRECONDITION
    ending = "failed precondition"


class UnavailableError(ContainerdError):
    """Another call holds what this one needs."""

    status = Status.UNAVAILABLE
    ending = "unavailable"


class UnimplementedError(ContainerdError):
    """Real containerd can, or another plugin could; this one does not."""

    status = Status.UNIMPLEMENTED
    ending = "not implemented"


class OutOfRangeError(ContainerdError):
    """An offset beyond the end."""

    status = Status.OUT_OF_RANGE


class ShimError(ContainerdError):
    """A status that a shim answered; containerd passes the code on and makes the text end in its class."""

    ENDINGS: ClassVar[dict[int, str]] = {
        2: "unknown",
        3: "invalid argument",
        5: "not found",
        6: "already exists",
        9: "failed precondition",
        12: "not implemented",
        14: "unavailable",
    }

    def __init__(self, code: int, sentence: str, prefix: str = "") -> None:
        ending = self.ENDINGS.get(code, "unknown")
        text = sentence if sentence == ending or sentence.endswith(f": {ending}") else f"{sentence}: {ending}"
        super().__init__(prefix + text)
        self._code = Status(code) if code in self.ENDINGS else Status.UNKNOWN

    @property
    def code(self) -> Status:
        """The shim's own code."""
        return self._code
