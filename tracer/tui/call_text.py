"""A call as one line of text, in the way of strace(1)."""

from tracer.decode import text
from tracer.events import RecordingHeader, SyscallEntered, SyscallExited


def format_call(event: SyscallEntered | SyscallExited, header: RecordingHeader) -> str:
    """The call with names, flags and structures where they are known."""
    return text.format_call(event, header.syscalls.get(event.number))
