"""A call as one line of text, in the way of strace(1)."""

from tracer.events import RecordingHeader, SyscallEntered, SyscallExited


def format_call(event: SyscallEntered | SyscallExited, header: RecordingHeader) -> str:
    """The call with raw values."""
    signature = header.syscalls.get(event.number)
    name = signature.name if signature else f"syscall_{event.number}"
    words = []
    for place, value in enumerate(event.arguments):
        data = event.data.get(str(place))
        text = repr(data[:60].decode("latin-1")).replace("'", '"') if data is not None else str(value)
        if place in event.files:
            text += f"<{event.files[place]}>"
        words.append(text)
    result = f" = {event.result}" if isinstance(event, SyscallExited) else ""
    return f"{name}({', '.join(words)}){result}"
