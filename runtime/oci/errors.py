"""Everything that can go wrong on purpose.

    OCIError                 a sentence for the user; the command fails with exit status 1
      UsageError             the command line is wrong; points at --help
      ConfigError            config.json (or process.json) is wrong; always names the field
      ContainerNotFound      no such container under --root

An OSError that reaches `__main__` is shown as "what: path: reason"; it keeps its errno until then.
"""


class OCIError(Exception):
    """A failure with a sentence for the user."""


class UsageError(OCIError):
    """The command line cannot be understood."""


class ConfigError(OCIError):
    """A field of the configuration is missing or wrong."""

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(f"config.json: {field}: {problem}")


class ContainerNotFoundError(OCIError):
    """There is no container of that name under the state root."""

    def __init__(self, container_id: str) -> None:
        super().__init__(f'container "{container_id}" does not exist')


def reason(error: Exception) -> str:
    """Why, without the path: the kernel's word for the errno in lowercase."""
    if isinstance(error, OSError) and error.strerror:
        return str(error.strerror).lower()
    return str(error)


def describe(error: Exception) -> str:
    """One lowercase sentence that names the path an error is about."""
    if isinstance(error, OSError) and error.filename:
        return f"{error.filename}: {reason(error)}"
    return reason(error)
