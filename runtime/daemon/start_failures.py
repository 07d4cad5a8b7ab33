"""What is made of the OCI runtime's words when a container could not be started (moby: daemon/errors.go)."""

_MOUNT_ADVICE = (
    ": Are you trying to mount a directory onto a file (or vice-versa)? Check if the specified host path exists and is "
    "the expected type"
)


def explain(message: str) -> tuple[int, str]:
    """The exit code of a start that failed, and the words for the user; a working directory is no mount."""
    about_mounts = "not a directory" in message and "chdir to" not in message
    return start_exit_code(message), message + (_MOUNT_ADVICE if about_mounts else "")


def start_exit_code(message: str) -> int:
    """The exit code for a start that failed, by its words: what dockerd and the docker CLI agree on."""
    if any(
        word in message for word in ("executable file not found", "no such file or directory", "system cannot find")
    ):
        return 127
    if any(word in message for word in ("permission denied", "not a directory", "is a directory")):
        return 126
    return 128
