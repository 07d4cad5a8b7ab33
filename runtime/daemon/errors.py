"""What the Engine API answers when it refuses (moby: errdefs, api/server/httpstatus).

    ApiError                    status and message; becomes {"message": ...}
    ├── InvalidParameterError   400
    │   └── UnreadableError     400: JSON that is none, or of the wrong type
    ├── ForbiddenError          403
    ├── NotFoundError           404
    ├── ConflictError           409
    ├── ServerError             500
    └── NotModeledError         501: outside of what `docker run` needs, said by name

`NotModified` (304) is no refusal: the container already is as asked.
"""


class ApiError(Exception):
    """A refusal with the HTTP status that the docker CLI and docker-py classify it by."""

    status = 500

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class InvalidParameterError(ApiError):
    """The request cannot be meant as it is written."""

    status = 400


class UnreadableError(InvalidParameterError):
    """What should be JSON is none, or of another type than it should be; the words are those of Go's decoder."""


class ForbiddenError(ApiError):
    """Understood, and never allowed."""

    status = 403


class NotFoundError(ApiError):
    """The named thing does not exist."""

    status = 404


class ConflictError(ApiError):
    """The named thing is in a state that does not allow this."""

    status = 409


class ServerError(ApiError):
    """Something below the daemon failed; its text is passed on."""

    status = 500


class NotModeledError(ApiError):
    """A part of Docker that this stack leaves out on purpose."""

    status = 501


class NotModified(Exception):  # noqa: N818 - not an error: a repeated start or stop is fine
    """The container already is in the wanted state: 304, no body."""
